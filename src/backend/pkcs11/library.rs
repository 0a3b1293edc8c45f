//! Modules, each loaded and initialized once.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error as ModuleError, RvError};

use super::failure::Failure;
use crate::error::ConfigError;

/// Never unloaded: threads of a module may run on in its code, and others may have initialized it as well.
static LOADED: Mutex<Vec<(PathBuf, Pkcs11)>> = Mutex::new(Vec::new());

/// Blocks.
pub(super) fn load(path: &Path) -> Result<Pkcs11, Failure> {
    let bad = |problem: String, cure| Failure::Unreachable(ConfigError::new("pkcs#11 module", problem, cure));
    let real = path.canonicalize().map_err(|error| {
        bad(format!("`{}` cannot be found: {error}", path.display()), "give the path of the vendor's library")
    })?;
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, pkcs11)) = loaded.iter().find(|(path, _)| *path == real) {
        return Ok(pkcs11.clone());
    }
    let pkcs11 = Pkcs11::new(&real).map_err(|error| {
        bad(
            format!("`{}` cannot be loaded: {error}", path.display()),
            "give the path of a library that is a pkcs#11 module for this machine",
        )
    })?;
    initialize(&pkcs11).map_err(|error| {
        bad(
            format!("`{}` cannot be initialized: {error}", path.display()),
            "see its own configuration and log",
        )
    })?;
    loaded.push((real, pkcs11.clone()));
    Ok(pkcs11)
}

/// Does nothing where the module is initialized, by whomever.
pub(super) fn initialize(pkcs11: &Pkcs11) -> Result<(), ModuleError> {
    match pkcs11.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
        Err(ModuleError::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => Ok(()),
        outcome => outcome,
    }
}
