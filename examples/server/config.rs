//! Configuration from the environment. What is wrong is named, with the cure, and the server does not start.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use portcullis::ConfigError;
use portcullis::authz::RoleFile;
use portcullis::crypto::sealed::SealAlgorithm;
use portcullis::crypto::{Algorithm, RotationPolicy};
use portcullis::password::PasswordPolicy;
use portcullis::token::TokenPolicy;
use secrecy::SecretString;

use crate::edge::Edge;
use crate::serve::Limits;

/// Names that belong to capabilities this server does not have yet. Set, they would promise what does not happen.
const NOT_YET: [&str; 4] = ["LOGIN_ATTEMPT_WINDOW_MINUTES", "MAX_LOGIN_ATTEMPTS", "REDIS_URL", "SMTP_URL"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Environment {
    Development,
    Test,
    Production,
}

impl Environment {
    /// This alone, where nothing else of the configuration matters.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::parse(Vars(std::env::vars().collect()).text("ENVIRONMENT"))
    }

    fn parse(text: Option<&str>) -> Result<Self, ConfigError> {
        match text.unwrap_or("development") {
            "development" | "dev" => Ok(Self::Development),
            "test" => Ok(Self::Test),
            "production" | "prod" => Ok(Self::Production),
            _ => Err(invalid("ENVIRONMENT", "use development, test or production")),
        }
    }
}

/// Where the signing key comes from.
#[derive(Debug)]
pub enum SigningKey {
    /// A shared secret: HS256.
    Secret(SecretString),
    /// The key file.
    File(Algorithm),
}

/// Where all keys come from.
#[derive(Debug)]
pub struct KeySources {
    pub signing: SigningKey,
    /// What keys for data are derived from, instead of the key file.
    pub encryption: Option<SecretString>,
    /// The root before, so that what it sealed still opens.
    pub previous_encryption: Option<SecretString>,
    /// Beside the database.
    pub file: PathBuf,
}

#[derive(Debug)]
pub struct Admin {
    pub username: String,
    pub email: String,
    /// Generated and printed once if absent.
    pub password: Option<SecretString>,
}

#[derive(Debug)]
pub struct Config {
    pub bind: SocketAddr,
    pub environment: Environment,
    pub public_origin: String,
    pub database: PathBuf,
    pub keys: KeySources,
    pub tokens: TokenPolicy,
    pub passwords: PasswordPolicy,
    pub admin: Admin,
    /// Instead of the roles the server comes with.
    pub roles: Option<RoleFile>,
    /// In front of the routes.
    pub edge: Edge,
    /// On connections.
    pub limits: Limits,
    /// By which algorithm fields are sealed.
    pub sealing: SealAlgorithm,
    pub rotation: RotationPolicy,
    /// Rows moved to a new key each second.
    pub reseal_batch: NonZeroU32,
    /// Set, but without effect in this server.
    pub ignored: Vec<&'static str>,
}

impl Config {
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::from_vars(std::env::vars().collect())
    }

    fn from_vars(vars: HashMap<String, String>) -> Result<Self, ConfigError> {
        let vars = Vars(vars);
        let environment = Environment::parse(vars.text("ENVIRONMENT"))?;
        if vars.flag("DEBUG")?.unwrap_or(false) && environment == Environment::Production {
            return Err(ConfigError::new(
                "DEBUG",
                "is on in production",
                "unset it, or set ENVIRONMENT=development",
            ));
        }
        let bind = vars.parse("BIND", "use an address and port, such as 127.0.0.1:8012")?;
        let bind = bind.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 8012)));
        let database = database(vars.text("DATABASE_URL").unwrap_or("sqlite://portcullis-server.db"))?;
        let key_file = database.with_file_name("portcullis-server.keys.json");
        let signing = signing_key(&vars, &key_file, environment)?;
        Ok(Self {
            bind,
            environment,
            public_origin: public_origin(&vars, bind, environment)?,
            keys: KeySources {
                encryption: encryption(&vars, &signing, &key_file, environment)?,
                previous_encryption: previous_encryption(&vars)?,
                signing,
                file: key_file,
            },
            tokens: token_policy(&vars)?,
            passwords: password_policy(&vars)?,
            admin: Admin {
                username: vars.text("ADMIN_USERNAME").unwrap_or("admin").to_owned(),
                email: vars.text("ADMIN_EMAIL").unwrap_or("admin@example.com").to_owned(),
                password: vars.text("ADMIN_PASSWORD").map(|text| text.to_owned().into()),
            },
            roles: vars.text("ROLES_FILE").map(RoleFile::new).transpose().map_err(roles_file)?,
            edge: Edge::from_vars(&vars)?,
            limits: limits(&vars)?,
            sealing: sealing(&vars)?,
            rotation: rotation(&vars)?,
            reseal_batch: reseal_batch(&vars)?,
            ignored: NOT_YET.into_iter().filter(|name| vars.text(name).is_some()).collect(),
            database,
        })
    }
}

fn limits(vars: &Vars) -> Result<Limits, ConfigError> {
    Ok(Limits {
        connections: usize::try_from(vars.number("MAX_CONNECTIONS", 1..=1_000_000)?.unwrap_or(900))
            .unwrap_or(usize::MAX),
        silence: Duration::from_secs(vars.number("HEADER_TIMEOUT_SECONDS", 1..=60)?.unwrap_or(10)),
        farewell: Duration::from_secs(10),
    })
}

fn sealing(vars: &Vars) -> Result<SealAlgorithm, ConfigError> {
    let Some(name) = vars.text("ENCRYPTION_ALGORITHM") else { return Ok(SealAlgorithm::default()) };
    let known = SealAlgorithm::ALL.iter().find(|known| known.as_str().eq_ignore_ascii_case(name));
    known.copied().ok_or_else(|| invalid("ENCRYPTION_ALGORITHM", "use XChaCha20-Poly1305 or XAES-256-GCM"))
}

/// A key that replaced another stays for the lifetime of the longest access token.
fn rotation(vars: &Vars) -> Result<RotationPolicy, ConfigError> {
    let policy = RotationPolicy::default();
    let ahead = vars.number("KEY_PUBLISH_AHEAD_SECONDS", 2..=86_400)?;
    Ok(ahead.map_or(policy, |ahead| policy.with_publish_ahead(Duration::from_secs(ahead))))
}

/// What tokens name as their issuer and audience.
fn public_origin(vars: &Vars, bind: SocketAddr, environment: Environment) -> Result<String, ConfigError> {
    let Some(origin) = vars.text("PUBLIC_ORIGIN") else { return Ok(format!("http://{bind}")) };
    let authority = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
    match authority.map(str::parse::<http::uri::Authority>) {
        Some(Ok(_)) if environment == Environment::Production && origin.starts_with("http:") => {
            Err(ConfigError::new(
                "PUBLIC_ORIGIN",
                "is plain HTTP in production: tokens could be read on the way",
                "use the https origin that clients see, or set ENVIRONMENT=development",
            ))
        }
        Some(Ok(authority)) if !authority.as_str().contains('@') => Ok(origin.to_owned()),
        _ => Err(invalid("PUBLIC_ORIGIN", "use an origin without a path, such as https://api.example.com")),
    }
}

fn database(url: &str) -> Result<PathBuf, ConfigError> {
    let path = url.strip_prefix("sqlite:").map(|rest| rest.strip_prefix("//").unwrap_or(rest));
    match path.map(|path| PathBuf::from(path.split('?').next().unwrap_or(path))) {
        Some(path) if path.file_name().is_some() && !path.ends_with(":memory:") => {
            match path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
                Some(folder) if !folder.is_dir() => Err(ConfigError::new(
                    "DATABASE_URL",
                    format!("names a file in {}, which is not a folder", folder.display()),
                    "make the folder, or use another",
                )),
                _ => Ok(path),
            }
        }
        _ => Err(ConfigError::new(
            "DATABASE_URL",
            "is not the url of an sqlite file",
            "use a path such as sqlite://portcullis-server.db",
        )),
    }
}

fn signing_key(
    vars: &Vars,
    file: &std::path::Path,
    environment: Environment,
) -> Result<SigningKey, ConfigError> {
    let algorithm = match vars.text("JWT_ALGORITHM") {
        None => None,
        Some("HS256") => Some(Algorithm::Hs256),
        Some("EdDSA") => Some(Algorithm::EdDsa),
        Some("ES256") => Some(Algorithm::Es256),
        Some("PS256") => Some(Algorithm::Ps256),
        Some(_) => return Err(invalid("JWT_ALGORITHM", "use EdDSA, ES256, PS256 or HS256")),
    };
    match (vars.text("JWT_SECRET_KEY"), algorithm) {
        (Some(secret), None | Some(Algorithm::Hs256)) => Ok(SigningKey::Secret(secret.to_owned().into())),
        (Some(_), Some(_)) => Err(ConfigError::new(
            "JWT_SECRET_KEY",
            "is set together with an algorithm that has no shared secret",
            "unset it to use the key file, or set JWT_ALGORITHM=HS256",
        )),
        (None, Some(Algorithm::Hs256)) => Err(ConfigError::new(
            "JWT_SECRET_KEY",
            "is missing, and JWT_ALGORITHM=HS256 needs it",
            "set it to at least 32 random bytes, for example from `openssl rand -base64 32`",
        )),
        (None, algorithm) => {
            if environment == Environment::Production && !file.exists() {
                return Err(ConfigError::new(
                    "JWT_SECRET_KEY",
                    format!("is not set, and there is no key file {}", file.display()),
                    "set it, or put the key file in place; keys are generated only outside production",
                ));
            }
            Ok(SigningKey::File(algorithm.unwrap_or(Algorithm::EdDsa)))
        }
    }
}

/// Keys for data come from this or from the key file, which in production is not made here.
fn encryption(
    vars: &Vars,
    signing: &SigningKey,
    file: &std::path::Path,
    environment: Environment,
) -> Result<Option<SecretString>, ConfigError> {
    let root = vars.text("ENCRYPTION_KEY").map(|text| text.to_owned().into());
    let is_missing = root.is_none() && matches!(signing, SigningKey::Secret(_)) && !file.exists();
    if is_missing && environment == Environment::Production {
        return Err(ConfigError::new(
            "ENCRYPTION_KEY",
            format!("is not set, and there is no key file {}", file.display()),
            "set it to 32 random bytes in base64, or put the key file in place; keys are generated only outside production",
        ));
    }
    Ok(root)
}

fn previous_encryption(vars: &Vars) -> Result<Option<SecretString>, ConfigError> {
    match (vars.text("ENCRYPTION_KEY_PREVIOUS"), vars.text("ENCRYPTION_KEY")) {
        (Some(_), None) => Err(ConfigError::new(
            "ENCRYPTION_KEY_PREVIOUS",
            "is set, but ENCRYPTION_KEY is not",
            "set the new root in ENCRYPTION_KEY",
        )),
        (previous, _) => Ok(previous.map(|text| text.to_owned().into())),
    }
}

fn reseal_batch(vars: &Vars) -> Result<NonZeroU32, ConfigError> {
    let rows = vars.number("RESEAL_BATCH", 1..=100_000)?.unwrap_or(500);
    Ok(u32::try_from(rows).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN))
}

fn token_policy(vars: &Vars) -> Result<TokenPolicy, ConfigError> {
    let mut policy = TokenPolicy::default();
    if let Some(minutes) = vars.number("JWT_ACCESS_TOKEN_EXPIRE_MINUTES", 1..=60)? {
        policy = policy.with_access_lifetime(Duration::from_secs(minutes * 60));
    }
    if let Some(days) = vars.number("JWT_REFRESH_TOKEN_EXPIRE_DAYS", 1..=90)? {
        let absolute = Duration::from_secs(days * 24 * 60 * 60);
        policy = policy.with_refresh_lifetime(policy.refresh_idle().min(absolute), absolute);
    }
    Ok(policy)
}

/// Any `PASSWORD_*` selects the composition preset; without them the default policy holds.
fn password_policy(vars: &Vars) -> Result<PasswordPolicy, ConfigError> {
    let length = vars.number("PASSWORD_MIN_LENGTH", 8..=64)?;
    let mut rules = [
        ("PASSWORD_REQUIRE_UPPERCASE", None),
        ("PASSWORD_REQUIRE_LOWERCASE", None),
        ("PASSWORD_REQUIRE_NUMBERS", None),
        ("PASSWORD_REQUIRE_SPECIAL", None),
    ];
    for (name, rule) in &mut rules {
        *rule = vars.flag(name)?;
    }
    if length.is_none() && rules.iter().all(|(_, rule)| rule.is_none()) {
        return Ok(PasswordPolicy::nist());
    }
    let [upper, lower, digit, special] = rules.map(|(_, rule)| rule.unwrap_or(true));
    let policy = PasswordPolicy::composition()
        .with_uppercase(upper)
        .with_lowercase(lower)
        .with_digit(digit)
        .with_special(special);
    match length {
        Some(length) => policy.with_min_length(u32::try_from(length).unwrap_or(u32::MAX)),
        None => Ok(policy),
    }
}

pub fn roles_file(error: ConfigError) -> ConfigError {
    error.with_field("ROLES_FILE")
}

fn invalid(name: &'static str, cure: &'static str) -> ConfigError {
    ConfigError::new(name, "is not understood", cure)
}

pub struct Vars(HashMap<String, String>);

impl Vars {
    /// Empty counts as unset, as in compose files.
    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|text| !text.is_empty())
    }

    fn parse<T: std::str::FromStr>(
        &self,
        name: &'static str,
        cure: &'static str,
    ) -> Result<Option<T>, ConfigError> {
        self.text(name).map(|text| text.parse().map_err(|_| invalid(name, cure))).transpose()
    }

    /// Separated by commas.
    pub fn list(&self, name: &str) -> Option<Vec<&str>> {
        Some(self.text(name)?.split(',').map(str::trim).collect())
    }

    pub fn number(
        &self,
        name: &'static str,
        range: std::ops::RangeInclusive<u64>,
    ) -> Result<Option<u64>, ConfigError> {
        let cure = format!("use a number from {} to {}", range.start(), range.end());
        match self.text(name).map(str::parse) {
            None => Ok(None),
            Some(Ok(number)) if range.contains(&number) => Ok(Some(number)),
            Some(_) => Err(ConfigError::new(name, "is out of range", cure)),
        }
    }

    pub fn flag(&self, name: &'static str) -> Result<Option<bool>, ConfigError> {
        match self.text(name).map(str::to_ascii_lowercase).as_deref() {
            None => Ok(None),
            Some("true" | "1" | "yes" | "on") => Ok(Some(true)),
            Some("false" | "0" | "no" | "off") => Ok(Some(false)),
            Some(_) => Err(invalid(name, "use true or false")),
        }
    }
}
