//! G8: whatever fails, in whatever step, the answer is a refusal or 503: never a pass, never a panic.

use portcullis::store::fault::{Failure, Operation};
use portcullis::token::VerifyAccessToken as _;
use secrecy::ExposeSecret as _;

use crate::support::{BY, PASSWORD, World, secret};

/// Fails the nth store call of every flow, for every n, before and after it was carried out.
#[tokio::test]
async fn every_call_of_every_flow_may_fail() {
    for failure in [Failure::NotDone, Failure::AnswerLost] {
        for flow in [
            "register",
            "sign_in",
            "refresh",
            "sign_out",
            "change",
            "roles",
            "disable",
            "everywhere",
            "delete",
        ] {
            for nth in 1..12 {
                let world = World::new().await;
                let user = world.register("ada").await;
                let signed_in = world.sign_in("ada").await;
                let (tenant, tokens) = (world.tenant(), &signed_in.tokens);
                let calls_before = world.faults.calls().len();
                world.faults.fail_nth(nth, failure);
                let accounts = &world.accounts;
                let result = match flow {
                    "register" => {
                        let registration = portcullis::account::Registration::new(
                            "grace",
                            "grace@example.com",
                            secret(PASSWORD),
                        );
                        accounts.register(&tenant, registration).await.map(drop)
                    }
                    "sign_in" => accounts.sign_in(&tenant, "ada", secret(PASSWORD)).await.map(drop),
                    "refresh" => accounts.refresh(&tenant, &tokens.refresh_token).await.map(drop),
                    "sign_out" => accounts.sign_out(&tenant, &user.id, &tokens.family).await,
                    "change" => {
                        let new = secret("an entirely different phrase");
                        accounts.change_password(&tenant, &user.id, secret(PASSWORD), new).await.map(drop)
                    }
                    "roles" => {
                        accounts.set_roles(BY, &tenant, &user.id, vec!["guest".into()]).await.map(drop)
                    }
                    "disable" => accounts
                        .set_status(BY, &tenant, &user.id, portcullis::store::UserStatus::Disabled)
                        .await
                        .map(drop),
                    "everywhere" => accounts.sign_out_everywhere(&tenant, &user.id).await,
                    _ => accounts.delete(BY, &tenant, &user.id).await,
                };
                let failed = world.faults.calls().get(calls_before + nth - 1).copied();
                // The follower polls beside the flow; its failures are its own.
                let failed = failed.is_some_and(|operation| operation != Operation::TokenRevokedSince);
                world.faults.heal();
                let name = format!("{flow}, call {nth}, {failure:?}");
                match result {
                    Ok(()) => assert!(!failed, "{name}: a failure was passed over"),
                    Err(error) => assert_eq!(error.rejection().status(), 503, "{name}: {error:?}"),
                }
                // Trying again settles it, except where the first try did happen after all.
                let again = accounts.sign_in(&tenant, "ada", secret(PASSWORD)).await;
                let may_refuse = matches!(flow, "change" | "disable" | "delete");
                assert!(again.is_ok() || may_refuse, "{name}: {again:?}");
            }
        }
    }
}

/// An audit sink that fails blocks the operation: nothing is answered that is not recorded.
#[tokio::test]
async fn a_failing_store_never_makes_a_revoked_token_valid() {
    let world = World::new().await;
    let user = world.register("ada").await;
    let signed_in = world.sign_in("ada").await;
    world.faults.fail_every(Operation::TokenRevoke, Failure::NotDone);
    let (tenant, family) = (world.tenant(), &signed_in.tokens.family);
    assert_eq!(
        world.accounts.sign_out(&tenant, &user.id, family).await.unwrap_err().rejection().status(),
        503
    );
    world.faults.heal();
    world.accounts.sign_out(&tenant, &user.id, family).await.unwrap();
    assert!(world.access.verify(signed_in.tokens.access_token.expose_secret()).is_err());
}
