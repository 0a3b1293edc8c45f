-- Users: one record each. `body` is the record as JSON; JSON escapes NUL, so text is safe here.
CREATE TABLE portcullis_users (
    tenant   TEXT    NOT NULL,
    id       TEXT    NOT NULL,
    revision INTEGER NOT NULL,
    body     TEXT    NOT NULL,
    PRIMARY KEY (tenant, id)
) STRICT;

-- What users are found by. Keys are blobs: compared byte for byte, NUL included, with no collation.
CREATE TABLE portcullis_login_keys (
    tenant  TEXT NOT NULL,
    kind    TEXT NOT NULL,
    key     BLOB NOT NULL,
    user_id TEXT NOT NULL,
    PRIMARY KEY (tenant, kind, key),
    FOREIGN KEY (tenant, user_id) REFERENCES portcullis_users (tenant, id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE INDEX portcullis_login_keys_user ON portcullis_login_keys (tenant, user_id);

-- Refresh tokens, sessions, one-time tokens, API keys. Times are microseconds since the Unix epoch.
CREATE TABLE portcullis_tokens (
    tenant          TEXT    NOT NULL,
    id              TEXT    NOT NULL,
    kind            TEXT    NOT NULL,
    subject         TEXT    NOT NULL,
    family          TEXT    NOT NULL,
    digest          BLOB    NOT NULL,
    security        INTEGER NOT NULL,
    grants          INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    last_used_at    INTEGER NOT NULL,
    expires_at      INTEGER NOT NULL,
    absolute_expiry INTEGER NOT NULL,
    revision        INTEGER NOT NULL,
    attempts        INTEGER NOT NULL,
    consumed_at     INTEGER,
    successor       TEXT,
    sealed          BLOB,
    sealed_until    INTEGER,
    revoked_at      INTEGER,
    data            TEXT    NOT NULL,
    PRIMARY KEY (tenant, id)
) STRICT;

CREATE INDEX portcullis_tokens_family ON portcullis_tokens (tenant, family);
CREATE INDEX portcullis_tokens_subject ON portcullis_tokens (tenant, subject, kind, created_at, id);
CREATE INDEX portcullis_tokens_expiry ON portcullis_tokens (absolute_expiry);
CREATE INDEX portcullis_tokens_sealed ON portcullis_tokens (sealed_until) WHERE sealed IS NOT NULL;

-- Below which counters a subject's credentials of a kind are dead. Rows are never removed, numbers never fall.
CREATE TABLE portcullis_floors (
    tenant    TEXT    NOT NULL,
    subject   TEXT    NOT NULL,
    kind      TEXT    NOT NULL,
    security  INTEGER NOT NULL,
    grants    INTEGER NOT NULL,
    raised_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, subject, kind)
) STRICT, WITHOUT ROWID;

-- The feed of revocations. AUTOINCREMENT: a number is never used again, so a cursor never skips. There is one writer
-- at a time, so numbers become visible in their order.
CREATE TABLE portcullis_revocations (
    number     INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant     TEXT    NOT NULL,
    target     TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    kinds      INTEGER,
    security   INTEGER,
    grants     INTEGER,
    at         INTEGER NOT NULL,
    keep_until INTEGER NOT NULL
) STRICT;

CREATE INDEX portcullis_revocations_keep ON portcullis_revocations (keep_until);

-- The audit trail, append only.
CREATE TABLE portcullis_audit (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant TEXT    NOT NULL,
    at     INTEGER NOT NULL,
    body   TEXT    NOT NULL
) STRICT;

CREATE INDEX portcullis_audit_tenant ON portcullis_audit (tenant, number);

CREATE TRIGGER portcullis_audit_no_update BEFORE UPDATE ON portcullis_audit
BEGIN
    SELECT RAISE(ABORT, 'the audit trail is append only');
END;

CREATE TRIGGER portcullis_audit_no_delete BEFORE DELETE ON portcullis_audit
BEGIN
    SELECT RAISE(ABORT, 'the audit trail is append only');
END;
