//! What administrators do with keys. Nobody ever sees one.

use axum::Json;
use axum::extract::State;
use portcullis::audit::{AuditEvent, EventName};
use portcullis::axum::StrictJson;
use portcullis::crypto::KeyPurpose;
use portcullis::rejection::{Reason, Rejection, RejectionCode};
use portcullis::{ConfigError, Principal};
use serde::{Deserialize, Serialize};

use crate::app::{App, Failure};

#[derive(Serialize)]
pub struct KeyRow {
    purpose: &'static str,
    id: String,
    state: &'static str,
    /// Seconds since 1970.
    since: Option<i64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rotate {
    /// All that the server keeps itself, if none is named.
    purpose: Option<String>,
    /// Without waiting until every instance and everybody who verifies tokens knows the new key.
    #[serde(default)]
    immediately: bool,
}

#[derive(Serialize)]
pub struct Rotated {
    introduced: Vec<KeyRow>,
    /// When they become primary, from now.
    primary_in_seconds: u64,
}

pub async fn list(State(app): State<App>) -> Result<Json<Vec<KeyRow>>, Failure> {
    let file = app.keys.as_ref().ok_or(RejectionCode::Conflict)?;
    let rings = file.rings();
    let rows = rings.iter().flat_map(|ring| {
        ring.records().map(|record| KeyRow {
            purpose: ring.purpose().as_str(),
            id: record.id().to_string(),
            state: record.state().as_str(),
            since: record.since().map(portcullis::time::Timestamp::as_secs),
        })
    });
    Ok(Json(rows.collect()))
}

pub async fn rotate(
    State(app): State<App>,
    principal: Principal,
    StrictJson(wanted): StrictJson<Rotate>,
) -> Result<Json<Rotated>, Failure> {
    let file = app.keys.as_ref().ok_or(RejectionCode::Conflict)?;
    let kept: Vec<KeyPurpose> = file.rings().iter().map(|ring| ring.purpose()).collect();
    let purposes = match wanted.purpose.as_deref().map(str::parse::<KeyPurpose>) {
        None => kept,
        Some(Ok(purpose)) if kept.contains(&purpose) => vec![purpose],
        Some(_) => {
            let reason = Reason { field: "purpose", code: "unknown", limit: None };
            return Err(Rejection::new(RejectionCode::ValidationFailed).with_reasons([reason]).into());
        }
    };
    let mut introduced = Vec::with_capacity(purposes.len());
    for purpose in purposes {
        let now = app.clock.now();
        let changed = match wanted.immediately {
            true => file.rotate(purpose, now).await,
            false => file.introduce(purpose, now).await,
        };
        let id = changed.map_err(failed)?;
        let event = AuditEvent::new(EventName::AuthzAdmin, now, principal.tenant().clone());
        let event = event.with_subject(app.owner(&principal)?.clone());
        let event = event.with_detail("action", "key_rotation").with_detail("purpose", purpose.as_str());
        app.auditor.record(event.with_detail("key", id.as_str())).await?;
        let state = if wanted.immediately { "active" } else { "pre-active" };
        let since = Some(now.as_secs());
        introduced.push(KeyRow { purpose: purpose.as_str(), id: id.to_string(), state, since });
    }
    if wanted.immediately {
        app.accounts.refresh_keys().await?;
        app.vault.refresh_keys().await?;
    }
    let ahead = if wanted.immediately { 0 } else { app.rotation.publish_ahead().as_secs() };
    Ok(Json(Rotated { introduced, primary_in_seconds: ahead }))
}

fn failed(error: ConfigError) -> Failure {
    Failure::Failed(error.into())
}
