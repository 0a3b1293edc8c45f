//! What a gate is made of.

use std::fmt;
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;

use super::edge::EdgeBuilder;
use super::{Gate, Inner};
use crate::account::Accounts;
use crate::authn::{AuthScheme, BearerScheme, Schemes};
use crate::authz::{AccessMapBuilder, Authorizer, RoleModel};
use crate::error::ConfigError;
use crate::id::TenantId;
use crate::token::{AccessTokens, VerifyAccessToken};
use crate::vault::Vault;
use crate::wire::Judge;

/// Collects what a [`Gate`] is made of.
#[derive(Default)]
pub struct GateBuilder {
    accounts: Option<Accounts>,
    vault: Option<Vault>,
    bearer: Option<BearerScheme>,
    realm: Option<String>,
    schemes: Vec<Arc<dyn AuthScheme>>,
    roles: Option<RoleModel>,
    map: AccessMapBuilder,
    tenant: TenantId,
    explains: bool,
    pub(super) edge: EdgeBuilder,
}

impl GateBuilder {
    /// Accepts bearer tokens as `verifier` does. They are looked for before the credentials of other schemes.
    #[must_use]
    pub fn with_access_tokens(mut self, verifier: impl VerifyAccessToken) -> Self {
        self.bearer = Some(BearerScheme::new(verifier));
        self
    }

    /// Accepts the access tokens that `accounts` issues, as [`with_access_tokens`](Self::with_access_tokens) does, and
    /// keeps the service at hand: [`Gate::accounts`]. Decides by their roles; gates over the same accounts share them.
    #[must_use]
    pub fn with_accounts(mut self, accounts: Accounts) -> Self {
        self.accounts = Some(accounts);
        self
    }

    /// Keeps a vault at hand, [`Gate::vault`], and its keys as their provider says.
    #[must_use]
    pub fn with_vault(mut self, vault: Vault) -> Self {
        self.vault = Some(vault);
        self
    }

    /// Names the protection space in challenges.
    #[must_use]
    pub fn with_realm(mut self, realm: impl Into<String>) -> Self {
        self.realm = Some(realm.into());
        self
    }

    /// Adds another way in, asked after those added before.
    #[must_use]
    pub fn add_scheme(mut self, scheme: impl AuthScheme) -> Self {
        self.schemes.push(Arc::new(scheme));
        self
    }

    /// The roles of the application, for a gate without accounts: those bring their own.
    #[must_use]
    pub fn with_roles(mut self, roles: RoleModel) -> Self {
        self.roles = Some(roles);
        self
    }

    /// The rules for [`Gate::layer`], and for routes of `gate.router()` that are `mapped`. Without any, that layer denies
    /// everything.
    #[must_use]
    pub fn with_access_map(mut self, map: AccessMapBuilder) -> Self {
        self.map = map;
        self
    }

    /// The tenant principals must belong to.
    #[must_use]
    pub fn with_tenant(mut self, tenant: TenantId) -> Self {
        self.tenant = tenant;
        self
    }

    /// Tells every client that is refused why: which rule refused, which roles it holds and which it would need, in member
    /// `explanation` of the problem body, in `grpc-message`, or wherever a renderer of yours puts
    /// [`Rejection::explanation`](crate::Rejection::explanation). It also tells a hidden refusal from a route that isn't
    /// there.
    ///
    /// For development only: it shows strangers how the rights of everybody are arranged. Building says so in the log.
    /// Operators have [`Authorizer::explain`].
    #[must_use]
    pub fn danger_explain_refusals(mut self) -> Self {
        self.explains = true;
        self
    }

    /// Checks it all and puts it together. From now on, until [`Gate::shutdown`] or the end of its last clone, the keys of
    /// the accounts are those of their provider, within two seconds ([`Accounts::refresh_keys`]).
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if there is no way in, roles are given beside those of the accounts, the realm cannot stand in a
    /// header, the access map contradicts itself or the roles, or parts of the outer half contradict each other. All of it
    /// is told at once: [`ConfigError::others`].
    pub async fn build(self) -> Result<Gate, ConfigError> {
        let gate = self.assemble()?;
        gate.follow_keys();
        Ok(gate)
    }

    /// The part of [`build`](Self::build) that needs to wait for nothing.
    pub(crate) fn assemble(mut self) -> Result<Gate, ConfigError> {
        let mut problems = Vec::new();
        let schemes = self.schemes(&mut problems);
        let authorizer = match (&self.accounts, self.roles.take()) {
            (Some(accounts), roles) => {
                if roles.is_some() {
                    problems.push(ConfigError::new(
                        "roles",
                        "are given to a gate whose accounts have their own",
                        "give them to `AccountsBuilder::with_roles` alone",
                    ));
                }
                accounts.authorizer().clone()
            }
            (None, roles) => Authorizer::new(roles.unwrap_or_default()),
        };
        let clock = self.accounts.as_ref().map(|accounts| accounts.tokens().clock().clone());
        let map = self.map.build(&authorizer.roles());
        let edge = self.edge.build(clock);
        problems.extend(map.as_ref().err().cloned());
        problems.extend(edge.as_ref().err().cloned());
        ConfigError::all(problems)?;
        let (map, edge) = (map?, edge?);
        let schemes = Schemes::new(schemes, self.tenant);
        let (challenge, bearer) = (schemes.challenge().clone(), schemes.bearer().cloned());
        let judge = Judge { authorizer, challenge, bearer };
        if self.explains {
            tracing::warn!(
                "`danger_explain_refusals` is on: refusals tell clients which rules, roles and permissions there are; leave it \
                 out in production"
            );
        }
        let unmapped = ArcSwap::default();
        Ok(Gate(Arc::new(Inner {
            schemes,
            judge,
            map,
            unmapped,
            accounts: self.accounts,
            vault: self.vault,
            routed: Mutex::default(),
            follower: Mutex::default(),
            key_follower: Mutex::default(),
            explains: self.explains,
            edge: Arc::new(edge),
        })))
    }

    /// The ways in, bearer tokens first.
    fn schemes(&mut self, problems: &mut Vec<ConfigError>) -> Vec<Arc<dyn AuthScheme>> {
        let mut schemes: Vec<Arc<dyn AuthScheme>> = Vec::new();
        let own = self.accounts.as_ref().map(|accounts| {
            BearerScheme::new(AccessTokens::new(accounts.tokens().clone(), self.tenant.clone()))
        });
        if own.is_some() && self.bearer.is_some() {
            problems.push(ConfigError::new(
                "access tokens",
                "are verified in two ways",
                "call `with_accounts` or `with_access_tokens`, not both",
            ));
        }
        match (self.bearer.take().or(own), self.realm.take()) {
            (Some(bearer), Some(realm)) => match bearer.with_realm(&realm) {
                Ok(bearer) => schemes.push(Arc::new(bearer)),
                Err(error) => problems.push(error),
            },
            (Some(bearer), None) => schemes.push(Arc::new(bearer)),
            (None, Some(_)) => problems.push(ConfigError::new(
                "realm",
                "is set, but no bearer tokens are accepted",
                "call `with_accounts` or `with_access_tokens`, or leave the realm to the other schemes",
            )),
            (None, None) => {}
        }
        schemes.append(&mut self.schemes);
        if schemes.is_empty() && problems.is_empty() {
            problems.push(ConfigError::new(
                "gate",
                "has no way to authenticate anybody",
                "call `with_accounts`, `with_access_tokens` or `add_scheme`",
            ));
        }
        schemes
    }
}

impl fmt::Debug for GateBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GateBuilder")
            .field("bearer", &self.bearer)
            .field("realm", &self.realm)
            .field("roles", &self.roles)
            .field("map", &self.map)
            .field("tenant", &self.tenant)
            .field("explains", &self.explains)
            .field("edge", &self.edge)
            .finish_non_exhaustive()
    }
}
