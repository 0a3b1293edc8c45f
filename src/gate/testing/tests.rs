use std::convert::Infallible;

use bytes::Bytes;
use http::{Method, Response};
use tower::{Layer as _, ServiceExt as _, service_fn};

use super::*;
use crate::authz::policy::{Decision, Policy, PolicyOutcome};
use crate::authz::{AccessMap, AccessRequest, Role, RoleModel, Rule};
use crate::error::{Error, ErrorKind};
use crate::gate::Gate;

/// Answers after a wait: with an outage, or that it has nothing to say.
struct Waits {
    works: bool,
}

impl Policy for Waits {
    fn decide(&self, _: &AccessRequest<'_>) -> PolicyOutcome {
        let works = self.works;
        PolicyOutcome::Pending(Box::pin(async move {
            tokio::task::yield_now().await;
            if works {
                Ok(Decision::Allow)
            } else {
                Err(Error::new(ErrorKind::Unavailable, "the store is down"))
            }
        }))
    }
}

fn cast() -> Cast {
    Cast::new()
        .add("stranger", act_as("default", "sam"))
        .add("user", act_as("default", "ada").with_roles(["user"]))
        .add("reader", act_as("default", "ada").with_roles(["admin"]).with_scopes(["tasks:read"]))
        .add("admin", act_as("default", "root").with_roles(["admin"]))
        .add("elsewhere", act_as("other", "root").with_roles(["admin"]))
}

async fn gate() -> Gate {
    let roles = RoleModel::builder()
        .add(Role::new("user").grants("tasks:read"))
        .add(Role::new("admin").inherits("user").grants("tasks:*"));
    let map = AccessMap::builder()
        .add(Method::GET, "/health", Rule::public())
        .add(Method::GET, "/hello", Rule::anyone())
        .add(Method::GET, "/me", Rule::authenticated())
        .add(Method::GET, "/tasks/{id}", Rule::permission("tasks:read"))
        .add(Method::DELETE, "/tasks/{id}", Rule::permission("tasks:delete"))
        .add(Method::GET, "/users", Rule::role("admin"))
        .add(Method::GET, "/late", Rule::policy(Waits { works: true }))
        .add(Method::GET, "/down", Rule::policy(Waits { works: false }));
    let gate = Gate::builder().with_access_tokens(cast()).with_roles(roles.build().unwrap());
    gate.with_access_map(map).build().await.unwrap()
}

/// The table, and that the gate means it: every cell is asked for as a request.
#[tokio::test]
async fn the_matrix_is_what_the_gate_answers() {
    let (gate, cast) = (gate().await, cast());
    let matrix = Matrix::of(&gate, gate.access_map(), &cast).await;
    let golden = "
                             anonymous  stranger  user  reader  admin  elsewhere
        GET     /health      in         in        in    in      in     in
        GET     /hello       in         in        in    in      in     404
        GET     /me          401        in        in    in      in     404
        GET     /tasks/{id}  401        403       in    in      in     404
        DELETE  /tasks/{id}  401        403       403   403     in     404
        GET     /users       401        403       403   403     in     404
        GET     /late        in         in        in    in      in     404
        GET     /down        503        503       503   503     503    404";
    assert_eq!(matrix, golden);
    assert_ne!(matrix, &*golden.replace("403     in", "in      in"));
    assert!(golden.contains(matrix.to_string().lines().nth(4).unwrap()), "{matrix}");

    let service = service_fn(async |_: Request<()>| Ok::<_, Infallible>(Response::new(Bytes::new())));
    let service = gate.layer().layer(service);
    let mut asked = 0;
    for (method, pattern, _) in gate.access_map().iter() {
        for name in ["anonymous", "stranger", "user", "reader", "admin", "elsewhere"] {
            let path = pattern.replace("{id}", "42");
            let request = Request::builder().method(method).uri(path).body(()).unwrap();
            let status = service.clone().oneshot(cast.ask_as(name, request)).await.unwrap().status();
            let want = matrix.answer(name, method, pattern).to_string().replace("in", "200");
            assert_eq!(status.as_str(), want, "{name}: {method} {pattern}");
            asked += 1;
        }
    }
    assert_eq!(asked, 8 * 6);
}

#[test]
fn a_wrong_test_fails_where_it_is_wrong() {
    type Act = Box<dyn FnOnce()>;
    let add = |name: &'static str| move || drop(cast().add(name, act_as("default", "ada")));
    let nobody = Principal::anonymous(TenantId::default());
    let wrong: [(&str, Act); 8] = [
        ("no tenant", Box::new(|| drop(act_as("", "ada")))),
        ("no subject", Box::new(|| drop(act_as("default", "")))),
        ("twice", Box::new(add("user"))),
        ("anonymous", Box::new(add("anonymous"))),
        ("not a token", Box::new(add("a b"))),
        ("no name", Box::new(add(""))),
        ("nobody", Box::new(move || drop(cast().add("nobody", nobody)))),
        ("unknown", Box::new(|| drop(cast().ask_as("eve", Request::new(()))))),
    ];
    for (name, act) in wrong {
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(act)).is_err(), "{name}");
    }
    // A credential that the request had before is not kept.
    let request = Request::builder().header(AUTHORIZATION, "Bearer admin").body(()).unwrap();
    assert!(cast().ask_as("anonymous", request).headers().is_empty());
    assert!(cast().verify("eve").is_err());
}
