//! The reference server: accounts, tokens, roles, tasks and notes over one SQLite file.
//!
//! ```text
//! cargo run --example server
//!
//! curl -i localhost:8012/api/auth/me                                   # 401
//! curl -s localhost:8012/api/auth/register -H 'content-type: application/json' \
//!      -d '{"username":"ada","email":"ada@example.com","password":"correct horse battery staple"}'
//! curl -s localhost:8012/api/auth/login -d 'username=ada&password=correct horse battery staple'
//! curl -s localhost:8012/api/auth/me -H "authorization: Bearer $TOKEN"   # 200
//! ```
//!
//! `cargo run --example server -- --access-map` prints who may call what, and ends; `--access-map=json` does so for
//! programs. Neither opens a database or a key file.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program talks to its terminal")]
#![allow(unreachable_pub, reason = "the modules of a program have no outside")]

mod admin;
mod app;
mod config;
mod debug;
mod edge;
mod input;
mod key_admin;
mod keys;
mod notes;
mod roles;
mod routes;
mod sealed;
mod serve;
mod tasks;

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use portcullis::TenantId;
use portcullis::account::{AccountError, Accounts, By, Registration};
use portcullis::audit::{Auditor, OnFailure};
use portcullis::backend::sqlite::SqliteStore;
use portcullis::gate::Gate;
use portcullis::secret::OpaqueToken;
use portcullis::store::{LoginKeyKind, Page};
use portcullis::time::Clock;
use portcullis::vault::Vault;
use secrecy::ExposeSecret as _;

use crate::app::App;
use crate::config::{Admin, Config, Environment, SigningKey};

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env()
                .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info,sqlx=warn")),
        )
        .with_writer(std::io::stderr)
        .init();
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("not started: {error}");
            let mut cause = error.source();
            while let Some(error) = cause {
                eprintln!("  because: {error}");
                cause = error.source();
            }
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    match std::env::args().skip(1).collect::<Vec<_>>().as_slice() {
        [] => serve().await,
        [argument] if argument == "--access-map" => {
            print!("{}", routes::table(Environment::from_env()?).await?);
            Ok(())
        }
        [argument] if argument == "--access-map=json" => {
            println!("{:#}", routes::table(Environment::from_env()?).await?.to_json());
            Ok(())
        }
        _ => Err("the only argument is --access-map or --access-map=json; everything else is set in the environment"
            .into()),
    }
}

async fn serve() -> Result<(), Box<dyn Error>> {
    let config = Config::from_env()?;
    let keys = keys::load(&config.keys).await?;
    let store = SqliteStore::open(&config.database).await?;
    let clock = debug::ServerClock::default();
    let shared_clock: Arc<dyn Clock> = Arc::new(clock.clone());

    let roles = match &config.roles {
        Some(file) => file.load().map_err(config::roles_file)?,
        None => roles::model()?,
    };

    let vault = Vault::builder(keys.provider.clone(), Arc::new(store.clone()))
        .with_algorithm(config.sealing)
        .with_clock(shared_clock.clone())
        .build()
        .await?;
    let accounts = Accounts::builder()
        .with_store(Arc::new(store.clone()))
        .with_audit(Arc::new(store.clone()))
        .with_keys(keys.provider)
        .with_sealed_profile(sealed::profile(&vault)?)
        .with_issuer(config.public_origin.as_str())
        .with_audience(config.public_origin.as_str())
        .with_clock(shared_clock.clone())
        .with_token_policy(config.tokens)
        .with_password_policy(config.passwords.clone())
        .with_roles(roles)
        .with_default_roles(["user"])
        .with_guarded_role("admin")
        .build()
        .await?;
    let gate = Gate::builder().with_accounts(accounts.clone()).with_vault(vault.clone());
    let gate = config.edge.before(gate).build().await?;

    let app = App {
        accounts: accounts.clone(),
        notes: notes::rule(&accounts.authorizer().roles())?,
        pool: store.pool().clone(),
        store: store.clone(),
        clock: shared_clock.clone(),
        vault,
        keys: keys.file.clone(),
        auditor: Auditor::new(Arc::new(store.clone()), OnFailure::Block),
        rotation: config.rotation,
    };
    app.migrate().await?;
    let resealing =
        tokio::spawn(sealed::keep_current(app.clone(), gate.tenant().clone(), config.reseal_batch));
    let rotation = keys.file.map(|file| tokio::spawn(keys::advance(file, shared_clock, config.rotation)));
    let routes =
        routes::build(config.environment, &accounts, gate.tenant(), clock, config.edge.sign_in_limit.clone());
    let service = gate.router().add_routes(routes.with_state(app)).finish()?;
    if let Some(file) = &config.roles {
        gate.follow_roles(file.clone()).await.map_err(config::roles_file)?;
    }

    first_admin(&accounts, &config.admin).await?;
    let listener = serve::listen(config.bind)
        .map_err(|error| format!("BIND: {} cannot be listened on: {error}", config.bind))?;
    welcome(&config, listener.local_addr()?);
    let housekeeping = tokio::spawn(purge(accounts));
    let plain = |stream| std::future::ready(Ok(stream));
    serve::serve(listener, plain, false, service, config.limits, stop()).await;
    for task in [housekeeping, resealing].into_iter().chain(rotation) {
        task.abort();
    }
    gate.shutdown().await;
    store.close().await;
    Ok(())
}

/// Forgets what has no effect any more, at the start and once an hour.
async fn purge(accounts: Accounts) {
    loop {
        match accounts.tokens().purge().await {
            Ok(0) => {}
            Ok(purged) => tracing::info!(purged, "expired tokens were removed"),
            Err(error) => tracing::warn!(%error, "expired tokens could not be removed"),
        }
        tokio::time::sleep(Duration::from_secs(60 * 60)).await;
    }
}

/// An empty user store gets an administrator; without `ADMIN_PASSWORD` its password is generated and printed once.
async fn first_admin(accounts: &Accounts, admin: &Admin) -> Result<(), Box<dyn Error>> {
    let tenant = TenantId::default();
    if !accounts.users(&tenant, Page { after: None, limit: 1 }).await?.is_empty() {
        return Ok(());
    }
    let generated = OpaqueToken::mint()?.to_text();
    let password = admin.password.clone().unwrap_or_else(|| generated.clone());
    let registration = Registration::new(admin.username.as_str(), admin.email.as_str(), password);
    match accounts
        .create(By::Application("first_admin"), &tenant, registration, vec!["admin".to_owned()])
        .await
    {
        Ok(_) if admin.password.is_none() => {
            println!("administrator {} has the password {}", admin.username, generated.expose_secret());
            println!("it is not shown again\n");
        }
        Ok(_) => {}
        // Another server over the same file was faster.
        Err(AccountError::Taken(LoginKeyKind::Username | LoginKeyKind::Email)) => {}
        Err(AccountError::PasswordRejected(reasons)) => {
            let codes: Vec<_> = reasons.iter().map(|reason| reason.code).collect();
            return Err(
                format!("ADMIN_PASSWORD: is not acceptable ({}); use another", codes.join(", ")).into()
            );
        }
        Err(AccountError::Invalid(reasons)) => {
            let names = reasons.iter().map(|reason| match reason.field {
                "email" => format!("ADMIN_EMAIL: is not acceptable ({}); use another", reason.code),
                _ => format!("ADMIN_USERNAME: is not acceptable ({}); use another", reason.code),
            });
            return Err(names.collect::<Vec<_>>().join(", ").into());
        }
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

fn welcome(config: &Config, address: std::net::SocketAddr) {
    for name in &config.ignored {
        eprintln!("warning: {name} is set, but this server does not have what it configures yet");
    }
    let file = config.keys.file.display();
    let signing = match &config.keys.signing {
        SigningKey::Secret(_) => "JWT_SECRET_KEY (HS256)".to_owned(),
        SigningKey::File(algorithm) => format!("{file} ({algorithm})"),
    };
    let keys = match &config.keys.encryption {
        Some(_) => format!("{signing}, ENCRYPTION_KEY"),
        None if matches!(config.keys.signing, SigningKey::Secret(_)) => format!("{signing}, {file}"),
        None => signing,
    };
    println!("listening on http://{address}");
    println!("database     {}", config.database.display());
    println!("keys         {keys}");
    if let Some(file) = &config.roles {
        println!("roles        {}", file.path().display());
    }
    println!("\ntry");
    println!("  curl -i http://{address}/api/auth/me");
    println!(
        "  curl -s http://{address}/api/auth/register -H 'content-type: application/json' \\\n       \
         -d '{{\"username\":\"ada\",\"email\":\"ada@example.com\",\"password\":\"correct horse battery staple\"}}'"
    );
    println!(
        "  curl -s http://{address}/api/auth/login -d 'username=ada&password=correct horse battery staple'"
    );
}

async fn stop() {
    let interrupt = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        let Ok(mut terminate) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
        else {
            return drop(interrupt.await);
        };
        tokio::select! {
            _ = interrupt => {}
            _ = terminate.recv() => {}
        }
    }
    #[cfg(not(unix))]
    drop(interrupt.await);
}
