//! The stores that fail on demand.

use std::sync::Arc;

use portcullis::TenantId;
use portcullis::audit::{AuditEvent, AuditSink, EventName, MemorySink};
use portcullis::error::{ErrorKind, Result};
use portcullis::id::Subject;
use portcullis::store::conformance::Harness;
use portcullis::store::fault::{Failure, Faults, FaultySink, FaultyStore, Operation};
use portcullis::store::{MemoryStore, TokenStore, User, UserStore};
use portcullis::time::Timestamp;

struct Wrapped(FaultyStore);

impl Harness for Wrapped {
    fn users(&self) -> Arc<dyn UserStore> {
        Arc::new(self.0.clone())
    }

    fn tokens(&self) -> Arc<dyn TokenStore> {
        Arc::new(self.0.clone())
    }

    async fn reopen(&mut self) -> Result<bool> {
        Ok(false)
    }
}

async fn wrapped() -> Wrapped {
    Wrapped(FaultyStore::over(MemoryStore::new()))
}

// Without faults the wrapper changes nothing.
portcullis::store_conformance!(wrapped);

fn user(id: &str) -> User {
    User::new(TenantId::default(), Subject::parse(id).unwrap(), Timestamp::UNIX_EPOCH)
}

#[tokio::test]
async fn a_call_fails_before_or_after_it_is_carried_out() {
    for (failure, is_stored) in [(Failure::NotDone, false), (Failure::AnswerLost, true)] {
        let store = FaultyStore::over(MemoryStore::new());
        store.faults().fail_nth(2, failure);
        assert!(UserStore::insert(&store, &user("first")).await.is_ok(), "{failure:?}: not the first");
        let error = UserStore::insert(&store, &user("second")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        let second = UserStore::get(&store, &TenantId::default(), &user("second").id).await.unwrap();
        assert_eq!(second.is_some(), is_stored, "{failure:?}");
    }
}

#[tokio::test]
async fn an_operation_fails_until_it_is_healed() {
    let store = FaultyStore::over(MemoryStore::new());
    let id = user("u").id;
    store.faults().fail_every(Operation::UserGet, Failure::NotDone);
    for _ in 0..3 {
        assert!(UserStore::get(&store, &TenantId::default(), &id).await.is_err());
    }
    assert!(UserStore::insert(&store, &user("u")).await.is_ok(), "others work");
    store.faults().heal();
    assert!(UserStore::get(&store, &TenantId::default(), &id).await.unwrap().is_some());
    store.faults().fail_all(Failure::NotDone);
    assert!(TokenStore::purge(&store, Timestamp::MIN).await.is_err());
    let gets = store.faults().calls().into_iter().filter(|call| *call == Operation::UserGet).count();
    assert_eq!((gets, store.faults().calls().len()), (4, 6), "the trace has them all");
}

#[tokio::test]
async fn stores_and_sinks_share_a_trace() {
    let store = FaultyStore::over(MemoryStore::new());
    let events = MemorySink::default();
    let sink = FaultySink::new(Arc::new(events.clone()), store.faults().clone());
    let event = || [AuditEvent::new(EventName::UserCreated, Timestamp::UNIX_EPOCH, TenantId::default())];
    store.faults().fail_nth(2, Failure::NotDone);
    assert!(UserStore::insert(&store, &user("u")).await.is_ok());
    assert_eq!(sink.record(&event()).await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert!(sink.record(&event()).await.is_ok() && sink.flush().await.is_ok());
    assert_eq!(events.events().len(), 1);
    let want = [Operation::UserInsert, Operation::AuditRecord, Operation::AuditRecord, Operation::AuditFlush];
    assert_eq!(sink.faults().calls(), want);
    assert!(!format!("{:?}", Faults::new()).is_empty());
}
