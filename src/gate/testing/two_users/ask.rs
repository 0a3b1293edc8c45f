//! One route, asked by everybody.

use std::fmt;
use std::future::poll_fn;
use std::pin::pin;

use bytes::{Buf as _, Bytes, BytesMut};
use http::header::CONTENT_TYPE;
use http::{Method, Request, Response, StatusCode};
use http_body::Body;
use tower_service::Service;

use super::{Create, Route, TwoUsers};
use crate::authz::{AccessMap, Lookup};
use crate::gate::testing::{ANONYMOUS, Cast};
use crate::principal::Principal;

/// Path, status and body.
type Sight = (String, StatusCode, Bytes);

/// One route.
pub(super) struct Asked<'t, 'a, S> {
    pub(super) all: &'t TwoUsers<'a>,
    pub(super) service: &'t S,
    pub(super) map: &'t AccessMap,
    pub(super) cast: &'t Cast,
    pub(super) route: &'t Route,
}

impl<S> Asked<'_, '_, S> {
    pub(super) async fn by_everybody<B, R>(&self, create: &Create<'_>) -> Result<(), String>
    where
        S: Service<Request<B>, Response = Response<R>> + Clone,
        S::Error: fmt::Debug,
        B: From<Bytes>,
        R: Body,
    {
        let (all, (method, pattern)) = (self.all, self.route);
        let actor = all.actor(method, pattern);
        let everybody = all.others.iter().map(String::as_str).chain([all.owner.as_str(), ANONYMOUS]);
        for other in everybody.filter(|name| *name != actor) {
            let path = self.create(create, &all.owner).await?;
            let mut paths = vec![path.clone()];
            if pattern.matches('{').count() > 1 && other != all.owner && self.is_neighbour(other) {
                let own = self.create(create, other).await?;
                paths.push(mixed(pattern, &path, &own));
            }
            for asked in paths {
                let before = self.sights(&path).await?;
                let (status, _) = self.ask(other, method, &asked).await?;
                if !matches!(status.as_u16(), 401 | 403 | 404) {
                    return Err(format!("`{other}` is answered {status} at {asked}, which is not theirs"));
                }
                let after = self.sights(&path).await?;
                if let Some(((path, ..), _)) =
                    before.iter().zip(&after).find(|(before, after)| before != after)
                {
                    return Err(format!(
                        "`{other}` is answered {status} at {asked}, but changed what is seen at {path}"
                    ));
                }
            }
        }
        let path = self.create(create, &all.owner).await?;
        let (status, _) = self.ask(actor, method, &path).await?;
        if status.as_u16() >= 400 {
            return Err(format!(
                "`{actor}` is answered {status} at {path} too, so the others' answers prove nothing: say `with_json`, \
                 `with_actor`, or that it is `shared`"
            ));
        }
        Ok(())
    }

    async fn create(&self, create: &Create<'_>, who: &str) -> Result<String, String> {
        let path = create(who.to_owned()).await;
        match self.map.pattern_of(&path) {
            Some(found) if found == self.route.1 => Ok(path),
            _ => Err(format!("`with_resource` made {path}, which is a path of another route or none")),
        }
    }

    fn is_neighbour(&self, name: &str) -> bool {
        let tenant = |name| self.cast.find(name).map(Principal::tenant);
        tenant(name).is_some() && tenant(name) == tenant(&self.all.owner)
    }

    /// What the owner sees of it.
    async fn sights<B, R>(&self, path: &str) -> Result<Vec<Sight>, String>
    where
        S: Service<Request<B>, Response = Response<R>> + Clone,
        S::Error: fmt::Debug,
        B: From<Bytes>,
        R: Body,
    {
        let (mut pattern, mut here) = (self.route.1.as_str(), path);
        let mut seen: Vec<_> =
            self.all.watched.iter().map(|path| (self.all.owner.as_str(), path.as_str())).collect();
        loop {
            if matches!(self.map.lookup_pattern(&Method::GET, pattern), Lookup::Rule(_)) {
                seen.push((self.all.actor(&Method::GET, pattern), here));
                break;
            }
            match (pattern.rsplit_once('/'), here.rsplit_once('/')) {
                (Some((above, _)), Some((path, _))) => (pattern, here) = (above, path),
                _ => break,
            }
        }
        if seen.is_empty() {
            return Err("nothing shows whether it was changed: `watch` something".to_owned());
        }
        let mut sights = Vec::new();
        for (who, path) in seen {
            let (status, body) = self.ask(who, &Method::GET, path).await?;
            if !status.is_success() {
                return Err(format!("`{who}` is answered {status} at {path}, so a change would not be seen"));
            }
            sights.push((path.to_owned(), status, body));
        }
        Ok(sights)
    }

    async fn ask<B, R>(&self, who: &str, method: &Method, path: &str) -> Result<(StatusCode, Bytes), String>
    where
        S: Service<Request<B>, Response = Response<R>> + Clone,
        S::Error: fmt::Debug,
        B: From<Bytes>,
        R: Body,
    {
        let mut request = Request::builder().method(method).uri(path);
        let mut body = Bytes::new();
        if let Some((_, kind, text)) =
            self.all.bodies.iter().find(|(route, ..)| route == self.route && route.0 == *method)
        {
            request = request.header(CONTENT_TYPE, kind);
            body = text.clone();
        }
        let request = request.body(B::from(body)).map_err(|cause| format!("{method} {path}: {cause}"))?;
        let mut service = self.service.clone();
        let failed = |cause: S::Error| format!("{method} {path} failed: {cause:?}");
        poll_fn(|cx| service.poll_ready(cx)).await.map_err(failed)?;
        let response = service.call(self.cast.ask_as(who, request)).await.map_err(failed)?;
        let (status, mut body, mut read) = (response.status(), pin!(response.into_body()), BytesMut::new());
        while let Some(frame) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
            let frame = frame.map_err(|_| format!("the body of {method} {path} broke off"))?;
            if let Ok(mut data) = frame.into_data() {
                read.extend_from_slice(&data.copy_to_bytes(data.remaining()));
            }
        }
        Ok((status, read.freeze()))
    }
}

/// The path of the other's resource, but with the last parameter of the owner's.
fn mixed(pattern: &str, owners: &str, others: &str) -> String {
    let last = pattern.split('/').filter(|segment| segment.contains('{')).count();
    let mut parameters = 0;
    let mut segments: Vec<&str> = Vec::new();
    let (mut owners, mut others) = (owners.split('/'), others.split('/'));
    for segment in pattern.split('/') {
        let (theirs, own) = (owners.next().unwrap_or_default(), others.next().unwrap_or_default());
        parameters += usize::from(segment.contains('{'));
        segments.push(if parameters == last { theirs } else { own });
    }
    // A catch-all takes the rest.
    segments.extend(owners);
    segments.join("/")
}
