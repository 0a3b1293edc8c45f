//! The stores that come with the crate, the suite they pass, and the suite's own teeth.

mod broken;
mod broken_rates;
mod faults;
mod sqlite_file;

mod memory {
    use std::sync::Arc;

    use portcullis::error::Result;
    use portcullis::store::conformance::Harness;
    use portcullis::store::{MemoryStore, TokenStore, UserStore};

    pub struct Memory(MemoryStore);

    impl Harness for Memory {
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

    pub async fn memory() -> Memory {
        Memory(MemoryStore::new())
    }

    portcullis::store_conformance!(memory);
}

mod sqlite {
    use std::sync::Arc;

    use portcullis::backend::sqlite::SqliteStore;
    use portcullis::error::Result;
    use portcullis::store::conformance::Harness;
    use portcullis::store::{TokenStore, UserStore};
    use tempfile::TempDir;

    pub struct Sqlite {
        store: SqliteStore,
        dir: TempDir,
    }

    impl Harness for Sqlite {
        fn users(&self) -> Arc<dyn UserStore> {
            Arc::new(self.store.clone())
        }

        fn tokens(&self) -> Arc<dyn TokenStore> {
            Arc::new(self.store.clone())
        }

        async fn reopen(&mut self) -> Result<bool> {
            self.store.close().await;
            self.store = SqliteStore::open(self.dir.path().join("app.db")).await?;
            Ok(true)
        }
    }

    pub async fn sqlite() -> Sqlite {
        let dir = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(dir.path().join("app.db")).await.unwrap();
        Sqlite { store, dir }
    }

    portcullis::store_conformance!(sqlite);
}
