-- The whole schema of the store. Columns that no code fills yet are here already, so that later releases need no
-- rebuild of large tables. An applied migration is never edited: what changes gets a file of its own.
--
-- Times are milliseconds since 1970 in UTC. Identifiers are the 16 bytes of a UUID. What is secret is sealed before it
-- comes here; every other column may be read by whoever has the file.
--
-- `row` numbers rows in the order of their making, so that tables and the indexes by it grow at their end; `id` is what
-- the rest of the program knows a thing by.

PRAGMA application_id = 0x43726564; -- "Cred": tells our file from another program's

CREATE TABLE credential (
    row              INTEGER PRIMARY KEY,
    id               BLOB    NOT NULL UNIQUE CHECK (length(id) = 16),
    name             TEXT    NOT NULL,                      -- as first written
    folded           TEXT    NOT NULL,                      -- what look-ups compare
    kind             TEXT    NOT NULL,
    -- Records of the Tower and Tines families; NULL for a credential of the CredHub family.
    family           TEXT,
    tenant           TEXT,
    foreign_id       TEXT,
    attributes       TEXT,                                  -- JSON, in the clear
    -- Whose it is. The namespace stays when the object goes.
    owner_namespace  TEXT,                                  -- UID
    owner_object     TEXT,                                  -- UID of the live Credential
    owner_name       TEXT,                                  -- its namespace/name, for messages
    owner_api_writes TEXT,
    -- The newest version, so that a look-up or a find needs no GROUP BY over history. No foreign key: it would make
    -- every delete of a version search this table. Readers check that the version is there.
    newest           BLOB    CHECK (length(newest) = 16),
    newest_number    INTEGER,
    newest_ms        INTEGER,
    newest_actor     TEXT,
    newest_namespace TEXT,                                  -- UID of the namespace that its writer was of
    versions         INTEGER NOT NULL DEFAULT 0 CHECK (versions >= 0),
    created_ms       INTEGER NOT NULL,
    tombstoned_ms    INTEGER,                               -- set by a delete: the name is free from then on
    tombstoned_by    TEXT,
    retain_until_ms  INTEGER,                               -- when a purge may take the tombstone
    CHECK ((newest IS NULL) = (newest_number IS NULL)),
    CHECK ((newest IS NULL) = (newest_ms IS NULL)),
    CHECK ((newest IS NULL) = (newest_actor IS NULL)),
    CHECK ((owner_object IS NULL) = (owner_name IS NULL)),
    CHECK ((owner_object IS NULL) = (owner_api_writes IS NULL)),
    CHECK ((family IS NULL) = (foreign_id IS NULL)),
    CHECK ((family IS NULL) = (tenant IS NULL))
) STRICT;

-- Look-ups by name, and finds below a path as a range. Unique among the living: a deleted name may be written again.
CREATE UNIQUE INDEX credential_name ON credential (folded) WHERE tombstoned_ms IS NULL;
-- The list of what has an owner, at every start, and the release by object. Most credentials of an API user have none.
CREATE INDEX credential_owner ON credential (owner_object) WHERE owner_object IS NOT NULL AND tombstoned_ms IS NULL;
-- A record by the id its family knows it by. Of tombstones too: those ids are never given again.
CREATE UNIQUE INDEX credential_foreign ON credential (family, tenant, foreign_id) WHERE foreign_id IS NOT NULL;
-- What a purge may take.
CREATE INDEX credential_retained ON credential (retain_until_ms) WHERE tombstoned_ms IS NOT NULL;

-- Immutable but for `state` and `transitional`. Short columns stand first: SQLite reads a row from its front, and a
-- value of 64 KiB lies on pages of its own that a question about expiry never touches.
CREATE TABLE version (
    row               INTEGER PRIMARY KEY,
    id                BLOB    NOT NULL UNIQUE CHECK (length(id) = 16),
    credential        INTEGER NOT NULL REFERENCES credential (row) ON DELETE CASCADE,
    number            INTEGER NOT NULL CHECK (number > 0),
    created_ms        INTEGER NOT NULL,
    state             TEXT    NOT NULL,
    reason            TEXT    NOT NULL,
    actor             TEXT    NOT NULL,
    request           TEXT,
    -- No foreign key: data keys are never deleted while a version is sealed under them, and the check costs each write.
    data_key          BLOB    NOT NULL CHECK (length(data_key) = 16),
    -- Public facts about certificates.
    expires_ms        INTEGER,
    ca_name           TEXT,                                 -- the signer as it was typed
    ca_name_folded    TEXT,
    signer            BLOB    CHECK (length(signer) = 16),  -- the version that signed; it may be purged before this one
    is_ca             INTEGER NOT NULL DEFAULT 0 CHECK (is_ca IN (0, 1)),
    self_signed       INTEGER NOT NULL DEFAULT 0 CHECK (self_signed IN (0, 1)),
    generated         INTEGER CHECK (generated IN (0, 1)),
    transitional      INTEGER NOT NULL DEFAULT 0 CHECK (transitional IN (0, 1)),
    key_usage         TEXT,
    metadata          TEXT,                                 -- JSON, in the clear
    parameters_public TEXT,                                 -- JSON, in the clear
    trusted_ca        TEXT,                                 -- PEM
    parameters        BLOB,                                 -- sealed
    sealed            BLOB    NOT NULL,
    -- The versions of a credential newest first, and numbers without a double.
    UNIQUE (credential, number),
    CHECK (parameters_public IS NULL OR parameters IS NOT NULL),
    CHECK ((ca_name IS NULL) = (ca_name_folded IS NULL))
) STRICT;

-- A request makes one version for ever, in whatever credential.
CREATE UNIQUE INDEX version_request ON version (request) WHERE request IS NOT NULL;
-- What expires soon.
CREATE INDEX version_expires ON version (expires_ms) WHERE expires_ms IS NOT NULL;
-- What a certificate authority signed: by version when it rotates, by name when everything below it is made again.
CREATE INDEX version_signer ON version (signer) WHERE signer IS NOT NULL;
CREATE INDEX version_ca_name ON version (ca_name_folded) WHERE ca_name_folded IS NOT NULL;

-- Permissions made over the CredHub API. Paths compare in the case they were written in.
CREATE TABLE permission (
    row           INTEGER PRIMARY KEY,
    id            BLOB    NOT NULL UNIQUE CHECK (length(id) = 16),
    path          TEXT    NOT NULL,                         -- a name, or a prefix that ends in /*
    actor         TEXT    NOT NULL,
    may_read      INTEGER NOT NULL CHECK (may_read IN (0, 1)),
    may_write     INTEGER NOT NULL CHECK (may_write IN (0, 1)),
    may_delete    INTEGER NOT NULL CHECK (may_delete IN (0, 1)),
    may_read_acl  INTEGER NOT NULL CHECK (may_read_acl IN (0, 1)),
    may_write_acl INTEGER NOT NULL CHECK (may_write_acl IN (0, 1)),
    created_ms    INTEGER NOT NULL,
    UNIQUE (actor, path)                                    -- what an actor may do, in one range
) STRICT;

-- Who has entries on a path.
CREATE INDEX permission_path ON permission (path);

-- Consent that a CredentialGrant gives.
CREATE TABLE credential_grant (
    row           INTEGER PRIMARY KEY,
    object        TEXT    NOT NULL,                         -- UID of the CredentialGrant
    object_name   TEXT    NOT NULL,                         -- its namespace/name, for messages
    path          TEXT    NOT NULL,                         -- folded
    parts         TEXT,                                     -- words; NULL for all
    grantee_kind  TEXT    NOT NULL,                         -- a namespace or an actor
    grantee       TEXT    NOT NULL,                         -- the namespace's UID, or the actor
    may_read      INTEGER NOT NULL DEFAULT 0 CHECK (may_read IN (0, 1)),
    may_write     INTEGER NOT NULL DEFAULT 0 CHECK (may_write IN (0, 1)),
    may_delete    INTEGER NOT NULL DEFAULT 0 CHECK (may_delete IN (0, 1)),
    may_read_acl  INTEGER NOT NULL DEFAULT 0 CHECK (may_read_acl IN (0, 1)),
    may_write_acl INTEGER NOT NULL DEFAULT 0 CHECK (may_write_acl IN (0, 1)),
    may_project   INTEGER NOT NULL DEFAULT 0 CHECK (may_project IN (0, 1)),
    created_ms    INTEGER NOT NULL,
    UNIQUE (object, path, grantee_kind, grantee)            -- what an object gave, to take it back in one range
) STRICT;

-- Decisions: what a grantee was given, and who was given a path.
CREATE INDEX credential_grant_grantee ON credential_grant (grantee_kind, grantee, path);
CREATE INDEX credential_grant_path ON credential_grant (path);

CREATE TABLE data_key (
    row     INTEGER PRIMARY KEY,
    id      BLOB    NOT NULL UNIQUE CHECK (length(id) = 16),
    purpose TEXT    NOT NULL,
    master  TEXT    NOT NULL,                               -- the master key that wraps it
    wrapped BLOB    NOT NULL,
    canary  BLOB    NOT NULL,                               -- a known text, sealed
    active  INTEGER NOT NULL CHECK (active IN (0, 1))
) STRICT;

-- One seals, the others only open.
CREATE UNIQUE INDEX data_key_active ON data_key (purpose) WHERE active = 1;

CREATE TABLE setting (
    row    INTEGER PRIMARY KEY,
    name   TEXT    NOT NULL UNIQUE,
    sealed BLOB    NOT NULL
) STRICT;

-- Where long work stands, such as the phases of a rotation of a certificate authority.
CREATE TABLE job (
    row        INTEGER PRIMARY KEY,
    kind       TEXT    NOT NULL,
    credential INTEGER REFERENCES credential (row) ON DELETE CASCADE,
    phase      TEXT    NOT NULL,
    state      TEXT,                                        -- JSON, in the clear
    due_ms     INTEGER,
    updated_ms INTEGER NOT NULL
) STRICT;

-- One job of a kind for a credential, and one for the whole store.
CREATE UNIQUE INDEX job_credential ON job (credential, kind) WHERE credential IS NOT NULL;
CREATE UNIQUE INDEX job_store ON job (kind) WHERE credential IS NULL;
-- What is due.
CREATE INDEX job_due ON job (due_ms) WHERE due_ms IS NOT NULL;

-- Newest first is the row number backwards; the oldest lines go by range. No other index: a line costs each write.
CREATE TABLE audit (
    row      INTEGER PRIMARY KEY,
    chain    TEXT    NOT NULL,
    sequence INTEGER NOT NULL,
    at_ms    INTEGER NOT NULL,
    actor    TEXT    NOT NULL,
    action   TEXT    NOT NULL,
    resource TEXT    NOT NULL,
    details  TEXT    NOT NULL,
    hash     BLOB    NOT NULL CHECK (length(hash) = 32)
) STRICT;

-- One row. `number` fences whoever reconciles; `opened` counts the processes that opened the store and names their
-- audit chains; `trial` is written to find out whether writing works again.
CREATE TABLE epoch (
    row    INTEGER PRIMARY KEY CHECK (row = 1),
    number INTEGER NOT NULL DEFAULT 0,
    opened INTEGER NOT NULL DEFAULT 0,
    trial  BLOB
) STRICT;
INSERT INTO epoch (row) VALUES (1);
