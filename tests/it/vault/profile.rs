//! Members of users' profiles that are kept sealed.

use portcullis::account::{Accounts, Registration, SealedProfile};
use portcullis::crypto::blind_index::Normalization;
use portcullis::store::{MemoryStore, UserReplacement, UserStore};
use portcullis::vault::Progress;

use super::*;

async fn accounts(vault: &Vault, store: &Arc<MemoryStore>) -> Accounts {
    let profile = SealedProfile::new(vault.clone()).add_member("phone");
    let profile = profile.add_indexed_member("full_name", Normalization::CaseFolded).unwrap();
    Accounts::builder()
        .with_store(store.clone())
        .with_keys(Arc::new(StaticKeys::danger_new(Keyring::new(key(KeyPurpose::TokenSigning)).unwrap())))
        .with_audit(Arc::new(MemorySink::default()))
        .with_issuer("https://id.example")
        .with_audience("https://api.example")
        .with_sealed_profile(profile)
        .build()
        .await
        .unwrap()
}

fn registration(name: &str, profile: serde_json::Value) -> Registration {
    let password = "correct horse battery staple".to_owned().into();
    Registration::new(name, format!("{name}@example.com"), password)
        .with_profile(profile.as_object().unwrap().clone())
}

#[tokio::test]
async fn profiles_are_sealed_at_rest_found_and_opened() {
    let keys = Turning::new();
    let (vault, _) = vault(&keys).await;
    let store = Arc::new(MemoryStore::new());
    let accounts = accounts(&vault, &store).await;
    let tenant = TenantId::default();
    let profile =
        json!({ "full_name": "Ada Lovelace", "phone": "555", "color": "blue", "full_name_index": "made up" });
    let ada = accounts.register(&tenant, registration("ada", profile)).await.unwrap();
    let ben = accounts.register(&tenant, registration("ben", json!({ "color": "red" }))).await.unwrap();

    let stored = store.get(&tenant, &ada.id).await.unwrap().unwrap();
    let text = serde_json::to_string(&stored.profile).unwrap();
    assert!(!text.contains("Lovelace") && !text.contains("555") && !text.contains("made up"), "{text}");
    assert!(text.contains("blue"));
    let open = accounts.profile(&stored).await.unwrap();
    assert_eq!(json!(open), json!({ "full_name": "Ada Lovelace", "phone": "555", "color": "blue" }));
    assert_eq!(json!(accounts.profile(&ben).await.unwrap()), json!({ "color": "red" }));

    let index = stored.profile["full_name_index"].as_str().unwrap().to_owned();
    assert_eq!(accounts.profile_candidates(&tenant, "full_name", "ADA LOVELACE"), [index.as_str()]);
    assert!(!accounts.profile_candidates(&tenant, "full_name", "Ben").contains(&index));
    assert!(accounts.profile_candidates(&tenant, "phone", "555").is_empty(), "not indexed");
    let other = TenantId::parse("other").unwrap();
    assert!(!accounts.profile_candidates(&other, "full_name", "Ada Lovelace").contains(&index));

    keys.rotate();
    vault.refresh_keys().await.unwrap();
    let candidates = accounts.profile_candidates(&tenant, "full_name", "Ada Lovelace");
    assert!(candidates.len() == 2 && candidates.contains(&index), "found while the key rotates");
    assert!(accounts.profile(&stored).await.is_ok());

    // Moved to the newest keys, the old ones may go; nobody is signed out by it.
    let mut progress = Progress::default();
    while !progress.ended {
        accounts.reseal_profiles(&tenant, &mut progress).await.unwrap();
    }
    assert_eq!((progress.seen, progress.resealed, progress.is_complete()), (2, 1, true));
    let old = keys.sealing().records().nth(1).unwrap().id().clone();
    keys.change(|ring| ring.destroy(&old, NOW));
    vault.refresh_keys().await.unwrap();
    let moved = store.get(&tenant, &ada.id).await.unwrap().unwrap();
    assert_eq!(accounts.profile(&moved).await.unwrap()["full_name"], "Ada Lovelace");
    assert_eq!(moved.epoch, stored.epoch);
    assert_eq!(moved.profile["full_name_index"], candidates[0].as_str(), "indexed with the newest");
    assert!(accounts.profile(&stored).await.is_err(), "under the old key");
    let mut again = Progress::default();
    accounts.reseal_profiles(&tenant, &mut again).await.unwrap();
    assert_eq!(again.resealed, 0);

    // An index that is missing is made.
    let mut bare = moved.clone();
    bare.profile.remove("full_name_index");
    assert_eq!(store.replace(&bare, moved.revision).await.unwrap(), UserReplacement::Replaced);
    let mut progress = Progress::default();
    accounts.reseal_profiles(&tenant, &mut progress).await.unwrap();
    let again = store.get(&tenant, &ada.id).await.unwrap().unwrap();
    assert_eq!(
        (progress.resealed, &again.profile["full_name_index"]),
        (1, &moved.profile["full_name_index"])
    );

    // Another user's row.
    let mut stored = moved;
    stored.id = ben.id.clone();
    assert!(accounts.profile(&stored).await.is_err());
}
