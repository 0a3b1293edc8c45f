//! A token to test with.

use std::path::{Path, PathBuf};
use std::process::Command;

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error as ModuleError, RvError};
use cryptoki::object::{Attribute, KeyType, ObjectClass};
use cryptoki::session::{Session, UserType};
use portcullis::backend::pkcs11::{Pkcs11Module, Pkcs11ModuleBuilder};

/// Nothing may ever show it.
pub const PIN: &str = "4711-kanarienvogel";
const SO_PIN: &str = "87654321-so";
/// Label of the token.
pub const LABEL: &str = "app";
const FOLDER: &str = "PORTCULLIS_TEST_SOFTHSM";

/// Runs `body` in a process of its own, over an empty token in a folder of its own.
pub fn with_token(test: &str, body: impl AsyncFnOnce(Token)) {
    with_configured(test, "", body);
}

/// The same with more lines in the configuration.
pub fn with_configured(test: &str, configuration: &str, body: impl AsyncFnOnce(Token)) {
    let test = format!("pkcs11::{test}");
    let Some(library) = library(&test) else { return };
    if let Some(folder) = std::env::var_os(FOLDER) {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let token = Token { shared_object: library, folder: folder.into() };
        return runtime.block_on(body(token));
    }
    let folder = tempfile::tempdir().unwrap();
    let tokens = folder.path().join("tokens");
    std::fs::create_dir(&tokens).unwrap();
    let settings = folder.path().join("softhsm2.conf");
    let text =
        format!("directories.tokendir = {}\nobjectstore.backend = file\n{configuration}", tokens.display());
    std::fs::write(&settings, text).unwrap();
    let child = |program: &Path| {
        let mut command = Command::new(program);
        command.env("SOFTHSM2_CONF", &settings).env(FOLDER, folder.path());
        command
    };
    for label in [LABEL, "twin", "twin"] {
        let mut make = child(Path::new("softhsm2-util"));
        make.args(["--init-token", "--free", "--label", label, "--so-pin", SO_PIN, "--pin", PIN]);
        let made = make.output().unwrap();
        assert!(made.status.success(), "{made:?}");
    }
    let output =
        child(&std::env::current_exe().unwrap()).args([&test, "--exact", "--nocapture"]).output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && told.contains("1 passed"), "{}\n{told}", output.status);
}

fn library(test: &str) -> Option<PathBuf> {
    let named = std::env::var_os("SOFTHSM2_LIB").map(PathBuf::from);
    let triplet = format!("/usr/lib/{}-linux-gnu/softhsm/libsofthsm2.so", std::env::consts::ARCH);
    let usual = ["/usr/lib/softhsm/libsofthsm2.so", &triplet];
    let found = named.or_else(|| usual.into_iter().map(PathBuf::from).find(|path| path.is_file()));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let has = |tool: &str| std::env::split_paths(&path).any(|folder| folder.join(tool).is_file());
    let found = found.filter(|_| has("softhsm2-util") && has("pkcs11-tool"));
    if found.is_none() {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "no softhsm2 or pkcs11-tool, under CI=true");
        eprintln!("skipped: {test} (no softhsm2 or pkcs11-tool)");
    }
    found
}

/// Its keys are made and deleted through sessions that are not those under test.
pub struct Token {
    pub shared_object: PathBuf,
    pub folder: PathBuf,
}

/// A key to be put into the token: fit for use, until a part of it is changed.
#[derive(Clone)]
pub struct NewKey {
    pub label: &'static str,
    pub id: Vec<u8>,
    pub key_type: KeyType,
    pub bytes: Vec<u8>,
    pub attributes: Vec<Attribute>,
}

pub fn root(id: &[u8], byte: u8) -> NewKey {
    let attributes = vec![Attribute::Sign(true), Attribute::Wrap(false), Attribute::Unwrap(false)];
    NewKey {
        label: "root",
        id: id.to_vec(),
        key_type: KeyType::GENERIC_SECRET,
        bytes: bytes(byte).to_vec(),
        attributes,
    }
}

pub fn wrapping(id: &[u8], byte: u8) -> NewKey {
    let attributes = vec![Attribute::Sign(false), Attribute::Wrap(true), Attribute::Unwrap(true)];
    NewKey { label: "wrap", key_type: KeyType::AES, attributes, ..root(id, byte) }
}

/// Distinct, and no repetition that a check for weak secrets would find.
pub fn bytes(seed: u8) -> [u8; 32] {
    let mut state = u32::from(seed) + 1;
    std::array::from_fn(|_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    })
}

impl NewKey {
    pub fn with(mut self, attribute: Attribute) -> Self {
        self.attributes.retain(|other| other.attribute_type() != attribute.attribute_type());
        self.attributes.push(attribute);
        self
    }
}

impl Token {
    pub fn builder(&self) -> Pkcs11ModuleBuilder {
        Pkcs11Module::builder(&self.shared_object).with_token_label(LABEL).with_pin(PIN.into())
    }

    pub async fn module(&self) -> Pkcs11Module {
        self.builder().build().await.unwrap()
    }

    pub fn add(&self, key: &NewKey) {
        let mut template = vec![
            Attribute::Class(ObjectClass::SECRET_KEY),
            Attribute::Token(true),
            Attribute::Label(key.label.into()),
            Attribute::Id(key.id.clone()),
            Attribute::KeyType(key.key_type),
            Attribute::Value(key.bytes.clone()),
        ];
        template.extend(key.attributes.iter().cloned());
        for usual in [Attribute::Sensitive(true), Attribute::Extractable(false), Attribute::Private(true)] {
            if !template.iter().any(|other| other.attribute_type() == usual.attribute_type()) {
                template.push(usual);
            }
        }
        self.session().create_object(&template).unwrap();
    }

    pub fn remove(&self, label: &str, id: &[u8]) {
        let session = self.session();
        let template = [Attribute::Label(label.into()), Attribute::Id(id.to_vec())];
        let found = session.find_objects(&template).unwrap();
        assert!(!found.is_empty(), "there was no {label} {id:?}");
        found.into_iter().for_each(|object| session.destroy_object(object).unwrap());
    }

    pub fn remove_all(&self, label: &str) {
        let session = self.session();
        let found = session.find_objects(&[Attribute::Label(label.into())]).unwrap();
        found.into_iter().for_each(|object| session.destroy_object(object).unwrap());
    }

    /// Objects that are there only as long as a session.
    pub fn passing(&self) -> usize {
        self.session().find_objects(&[Attribute::Token(false)]).unwrap().len()
    }

    pub fn session(&self) -> Session {
        let pkcs11 = self.pkcs11();
        let mut slots = pkcs11.get_slots_with_initialized_token().unwrap();
        slots.retain(|slot| pkcs11.get_token_info(*slot).unwrap().label() == LABEL);
        let session = pkcs11.open_rw_session(slots[0]).unwrap();
        match session.login(UserType::User, Some(&PIN.into())) {
            Ok(()) | Err(ModuleError::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => session,
            Err(error) => panic!("{error}"),
        }
    }

    pub fn pkcs11(&self) -> Pkcs11 {
        let pkcs11 = Pkcs11::new(&self.shared_object).unwrap();
        match pkcs11.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
            Ok(()) | Err(ModuleError::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => pkcs11,
            Err(error) => panic!("{error}"),
        }
    }

    /// OpenSC's tool, in a process of its own.
    pub fn tool(&self, arguments: &[&str]) {
        let mut command = Command::new("pkcs11-tool");
        command.arg("--module").arg(&self.shared_object).args([
            "--token-label",
            LABEL,
            "--login",
            "--pin",
            PIN,
        ]);
        let output = command.args(arguments).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
}

/// The text of an error with all its causes, in both forms; also checks that it tells nothing.
pub fn told(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let text: Vec<_> = causes.map(|error| format!("{error} {error:?}")).collect();
    let text = text.join(": ");
    assert!(!text.contains(PIN), "{text}");
    text
}
