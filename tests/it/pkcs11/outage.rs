//! Sessions end, tokens go away, modules hang.

use std::fs::File;
use std::num::NonZeroUsize;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use portcullis::backend::pkcs11::{Pkcs11Keys, Pkcs11Wrap};
use portcullis::crypto::seal::SymmetricKey;
use portcullis::crypto::{KeyProvider, KeyPurpose, KeyWrap, UnwrapError, WrappedKey};
use portcullis::error::ErrorKind;
use portcullis::id::KeyId;

use tokio::sync::Barrier;

use super::token::{PIN, Token, root, told, with_token, wrapping};

#[test]
fn a_session_that_ended_is_opened_again() {
    with_token("outage::a_session_that_ended_is_opened_again", async |token| {
        token.add(&root(&[1], 1));
        token.add(&wrapping(&[1], 1));
        let module = token.module().await;
        let keys = Pkcs11Keys::open(&module, "root").await.unwrap();
        let wrap = Pkcs11Wrap::open(&module, "wrap").await.unwrap();
        let key = SymmetricKey::generate().unwrap();
        let wrapped = wrap.wrap(&key).await.unwrap();
        type End = fn(&Token);
        let ends: [(&str, End); 2] = [
            ("logged out", |token| token.session().logout().unwrap()),
            ("the module was ended", |token| token.pkcs11().finalize().unwrap()),
        ];
        for (name, end) in ends {
            end(&token);
            let ring = keys.keyring(KeyPurpose::Sealing).await.unwrap();
            assert_eq!(ring.primary().id().as_str(), "01", "{name}");
            end(&token);
            assert_eq!(wrap.unwrap(&wrapped).await.unwrap().expose_bytes(), key.expose_bytes(), "{name}");
            end(&token);
            assert_eq!(wrap.wrap(&key).await.unwrap(), wrapped, "{name}");
            end(&token);
            assert!(wrap.is_current(&wrapped).await.unwrap(), "{name}");
        }
    });
}

/// What the token could not do for want of a session is an outage, never a lost data key, and nobody gets another key
/// than their own.
#[test]
fn thirty_two_tasks_lose_their_login() {
    with_token("outage::thirty_two_tasks_lose_their_login", async |token| {
        token.add(&wrapping(&[1], 1));
        let wrap = Arc::new(Pkcs11Wrap::open(&token.module().await, "wrap").await.unwrap());
        let start = Arc::new(Barrier::new(33));
        let tasks: Vec<_> = (0..32)
            .map(|_| {
                let (wrap, start) = (wrap.clone(), start.clone());
                tokio::spawn(async move {
                    let key = SymmetricKey::generate().unwrap();
                    let wrapped = wrap.wrap(&key).await.unwrap();
                    start.wait().await;
                    let mut done = 0;
                    for _ in 0..20 {
                        match wrap.unwrap(&wrapped).await {
                            Ok(unwrapped) => {
                                assert_eq!(unwrapped.expose_bytes(), key.expose_bytes());
                                done += 1;
                            }
                            Err(UnwrapError::Failed(error)) => {
                                assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
                            }
                            Err(UnwrapError::Refused(_)) => panic!("a good key was refused"),
                        }
                    }
                    assert!(wrap.unwrap(&wrapped).await.is_ok() && done > 10, "{done}");
                })
            })
            .collect();
        start.wait().await;
        for _ in 0..4 {
            token.session().logout().unwrap();
            // In its turn: after what was waiting.
            assert!(wrap.is_current(&WrappedKey::new(KeyId::parse("01").unwrap(), [0; 40])).await.unwrap());
        }
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(token.passing(), 0, "a data key was left in the token");
    });
}

#[test]
fn a_token_that_is_gone_is_an_outage() {
    with_token("outage::a_token_that_is_gone_is_an_outage", async |token| {
        token.add(&root(&[1], 1));
        token.add(&wrapping(&[1], 1));
        let module = token.module().await;
        let keys = Pkcs11Keys::open(&module, "root").await.unwrap();
        let wrap = Pkcs11Wrap::open(&module, "wrap").await.unwrap();
        let wrapped = wrap.wrap(&SymmetricKey::generate().unwrap()).await.unwrap();

        let (tokens, away) = (token.folder.join("tokens"), token.folder.join("away"));
        std::fs::rename(&tokens, &away).unwrap();
        std::fs::create_dir(&tokens).unwrap();
        token.pkcs11().finalize().unwrap();
        for _ in 0..2 {
            let error = keys.keyring(KeyPurpose::Sealing).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unavailable);
            assert!(told(&error).contains("not in any slot"), "{error:?}");
            // Not `Refused`: that would say that the data key is lost.
            let outcome = wrap.unwrap(&wrapped).await;
            let Err(UnwrapError::Failed(error)) = outcome else { panic!("{outcome:?}") };
            assert_eq!(error.kind(), ErrorKind::Unavailable);
        }

        std::fs::remove_dir(&tokens).unwrap();
        std::fs::rename(&away, &tokens).unwrap();
        token.pkcs11().finalize().unwrap();
        assert!(keys.keyring(KeyPurpose::Sealing).await.is_ok(), "it is back");
        assert!(wrap.unwrap(&wrapped).await.is_ok());
    });
}

/// Many tokens lock themselves after a few wrong PINs.
#[test]
fn a_refused_pin_is_not_tried_again() {
    with_token("outage::a_refused_pin_is_not_tried_again", async |token| {
        token.add(&root(&[1], 1));
        let keys = Pkcs11Keys::open(&token.module().await, "root").await.unwrap();
        let other = "0815-nachtigall";
        token.session().set_pin(&PIN.into(), &other.into()).unwrap();
        token.pkcs11().finalize().unwrap();
        for problem in ["refused by the token", "not tried again"] {
            let error = keys.keyring(KeyPurpose::Sealing).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unavailable);
            assert!(told(&error).contains(problem) && !told(&error).contains(other), "{error:?}");
        }
    });
}

/// SoftHSM looks into a small file at every search; a pipe in its place lets it wait for ever.
#[test]
fn a_module_that_hangs_is_an_outage() {
    with_token("outage::a_module_that_hangs_is_an_outage", async |token| {
        token.add(&root(&[1], 1));
        let patience = Duration::from_millis(300);
        let builder = token.builder().with_timeout(patience).with_max_sessions(NonZeroUsize::MIN);
        let keys = Pkcs11Keys::open(&builder.build().await.unwrap(), "root").await.unwrap();
        let folders = std::fs::read_dir(token.folder.join("tokens")).unwrap();
        let files: Vec<_> = folders.map(|folder| folder.unwrap().path().join("generation")).collect();
        let files: Vec<_> = files.into_iter().filter(|file| file.is_file()).collect();
        for file in &files {
            std::fs::rename(file, file.with_extension("away")).unwrap();
            assert!(Command::new("mkfifo").arg(file).status().unwrap().success());
        }
        // The one session hangs, and whoever waits for it gives up as well.
        for _ in 0..2 {
            let error = keys.keyring(KeyPurpose::Sealing).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unavailable);
            assert!(told(&error).contains("in time"), "{error:?}");
        }
        for file in &files {
            let pipe = File::options().read(true).write(true).open(file).unwrap();
            // First the file, so that nobody opens the pipe once its end is closed.
            std::fs::rename(file.with_extension("away"), file).unwrap();
            drop(pipe);
        }
        let mut outcome = keys.keyring(KeyPurpose::Sealing).await;
        if outcome.is_err() {
            // What it read from the pipe may have upset it once.
            outcome = keys.keyring(KeyPurpose::Sealing).await;
        }
        assert!(outcome.is_ok(), "{outcome:?}");
    });
}
