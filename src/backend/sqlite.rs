//! `SqliteStore`: users and tokens in an embedded database.
