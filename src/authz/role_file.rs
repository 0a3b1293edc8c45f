//! [`RoleFile`]: where a role model is kept as text.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::authz::RoleModel;
use crate::error::ConfigError;

/// Largest role file in bytes.
const MAX_BYTES: u64 = 4 * 1024 * 1024;

/// A file with the roles of an application, in TOML or JSON as its extension says: [`RoleModel::from_toml`],
/// [`RoleModel::from_json`].
///
/// Whoever can write it decides who may do what. On Unix a file that everybody may write is refused; that nobody else
/// can put another in its place is for the permissions of its folder. A gate [follows](crate::gate::Gate::follow_roles)
/// it while the service runs. Write a new one beside it and rename it over the old, so that nobody meets half of it.
///
/// ```
/// use portcullis::authz::{Permission, RoleFile};
/// use portcullis::TenantId;
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("roles.toml");
/// std::fs::write(&path, "[[roles]]\nname = \"user\"\ngrants = [\"tasks:read\"]\n").unwrap();
/// let roles = RoleFile::new(&path)?.load()?;
/// assert!(roles.grants(&TenantId::default(), "user", &Permission::parse("tasks:read").unwrap()));
/// # Ok::<(), portcullis::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct RoleFile {
    path: PathBuf,
    format: Format,
}

#[derive(Clone, Copy, Debug)]
enum Format {
    Json,
    Toml,
}

impl RoleFile {
    /// The file at this path, which is not looked at yet.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if its extension is neither `toml` nor `json`.
    pub fn new(path: impl Into<PathBuf>) -> Result<Self, ConfigError> {
        let path = path.into();
        let format = match path.extension().and_then(|extension| extension.to_str()) {
            Some("toml") => Format::Toml,
            Some("json") => Format::Json,
            _ => {
                let what = format!("`{}` has no known extension", path.display());
                return Err(ConfigError::new("role file", what, "call it .toml or .json"));
            }
        };
        Ok(Self { path, format })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads and checks the roles. It waits for the file system; [`Gate::reload_roles`](crate::gate::Gate::reload_roles)
    /// does so elsewhere than on a worker of the runtime.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] naming the file if it is no file, cannot be read, has more than 4 MiB, can be written by everybody
    /// or holds no role model.
    pub fn load(&self) -> Result<RoleModel, ConfigError> {
        self.parse(&self.read()?)
    }

    /// The text, if the file can be trusted.
    pub(crate) fn read(&self) -> Result<String, ConfigError> {
        let unreadable = |cause: std::io::Error| {
            self.problem(format_args!("cannot be read: {cause}"), "put it there, readable by this service")
        };
        // Opening something else, a pipe for one, could wait for ever.
        if !std::fs::metadata(&self.path).map_err(unreadable)?.is_file() {
            return Err(self.problem("is not a file", "name a file"));
        }
        let file = File::open(&self.path).map_err(unreadable)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            if file.metadata().map_err(unreadable)?.permissions().mode() & 0o002 != 0 {
                return Err(self.problem("can be written by everybody", "chmod o-w"));
            }
        }
        let mut text = String::new();
        file.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(unreadable)?;
        if u64::try_from(text.len()).is_ok_and(|bytes| bytes > MAX_BYTES) {
            return Err(self.problem("has more than 4 MiB", "is it the right file?"));
        }
        Ok(text)
    }

    /// The roles in a text of this file.
    pub(crate) fn parse(&self, text: &str) -> Result<RoleModel, ConfigError> {
        let model = match self.format {
            Format::Json => RoleModel::from_json(text),
            Format::Toml => RoleModel::from_toml(text),
        };
        model.map_err(|cause| self.unfit(&cause))
    }

    /// What is wrong with what it holds.
    pub(crate) fn unfit(&self, cause: &ConfigError) -> ConfigError {
        self.problem(format_args!("cannot be put in force: {cause}"), "correct the file")
    }

    fn problem(&self, what: impl std::fmt::Display, cure: &'static str) -> ConfigError {
        ConfigError::new("role file", format!("`{}` {what}", self.path.display()), cure)
    }
}
