//! How SQLite answers the questions: with an index, whatever the number of rows.

use super::{
    super::{lists, queries},
    *,
};

#[test]
fn every_question_uses_an_index_and_sorts_nothing() {
    let store = Scratch::new();
    for (sql, wanted) in [
        (
            queries::CREDENTIAL,
            [
                "SEARCH c USING INDEX credential_name (folded=?)",
                "CORRELATED SCALAR SUBQUERY 1",
                "SEARCH n USING COVERING INDEX sqlite_autoindex_version_1 (id=?)",
            ]
            .as_slice(),
        ),
        (
            queries::CREDENTIAL_OF,
            &[
                "SEARCH c USING INDEX credential_owner (owner_object=?)",
                "CORRELATED SCALAR SUBQUERY 1",
                "SEARCH n USING COVERING INDEX sqlite_autoindex_version_1 (id=?)",
            ],
        ),
        (
            queries::VERSIONS,
            &[
                "SEARCH c USING INDEX credential_name (folded=?)",
                "SEARCH v USING INDEX sqlite_autoindex_version_2 (credential=?) LEFT-JOIN",
            ],
        ),
        (
            queries::ACTIVE,
            &[
                "SEARCH c USING INDEX credential_name (folded=?)",
                "SEARCH v USING INDEX sqlite_autoindex_version_2 (credential=?)",
            ],
        ),
        (
            queries::IMPORTED,
            &[
                "SEARCH c USING INDEX credential_name (folded=?)",
                "SEARCH v USING INDEX sqlite_autoindex_version_2 (credential=?)",
            ],
        ),
        (
            queries::VERSION,
            &["SEARCH v USING INDEX sqlite_autoindex_version_1 (id=?)", "SEARCH c USING INTEGER PRIMARY KEY (rowid=?)"],
        ),
        (lists::FIND_BELOW, &["SEARCH credential USING INDEX credential_name (folded>? AND folded<?)"]),
        (lists::FIND_CONTAINING, &["SCAN credential USING INDEX credential_name"]),
        (
            lists::EXPIRING_BELOW,
            &["SEARCH v USING INDEX version_expires (expires_ms<?)", "SEARCH c USING INTEGER PRIMARY KEY (rowid=?)"],
        ),
        (
            lists::EXPIRING_CONTAINING,
            &["SEARCH v USING INDEX version_expires (expires_ms<?)", "SEARCH c USING INTEGER PRIMARY KEY (rowid=?)"],
        ),
        (lists::OWNED, &["SEARCH credential USING INDEX credential_owner (owner_object>?)"]),
    ] {
        assert_eq!(plan(&store, sql), wanted, "{sql}");
    }
}

#[test]
fn what_later_releases_ask_has_its_index() {
    let store = Scratch::new();
    for (sql, wanted) in [
        ("SELECT id FROM version WHERE expires_ms <= ?1", "SEARCH version USING INDEX version_expires (expires_ms<?)"),
        ("SELECT id FROM version WHERE signer = ?1", "SEARCH version USING INDEX version_signer (signer=?)"),
        (
            "SELECT id FROM version WHERE ca_name_folded = ?1",
            "SEARCH version USING INDEX version_ca_name (ca_name_folded=?)",
        ),
        (
            "SELECT id FROM credential WHERE tombstoned_ms IS NOT NULL AND retain_until_ms < ?1",
            "SEARCH credential USING INDEX credential_retained (retain_until_ms<?)",
        ),
        (
            "SELECT id FROM credential WHERE family = ?1 AND tenant = ?2 AND foreign_id = ?3",
            "SEARCH credential USING INDEX credential_foreign (family=? AND tenant=? AND foreign_id=?)",
        ),
    ] {
        assert_eq!(plan(&store, sql), [wanted], "{sql}");
    }
}

#[tokio::test]
async fn what_belongs_to_a_credential_goes_with_its_row() {
    let store = Scratch::new();
    let (gone, kept) = (written(&*store, "/a").await, written(&*store, "/b").await);

    let purge = store
        .store
        .writer
        .write("credential", "/a", |step| Ok(step.db.execute("DELETE FROM credential WHERE folded = '/a'", [])?));
    assert_eq!(purge.await.unwrap(), 1);

    assert_eq!(store.version(gone.id).await.unwrap(), None);
    assert_eq!(store.version(kept.id).await.unwrap(), Some(kept));
    let versions = |db: &Connection| db.query_one("SELECT count(*) FROM version", [], |row| row.get(0));
    assert_eq!(store.store.points.with(versions), Ok(1));
}

fn plan(store: &Scratch, sql: &str) -> Vec<String> {
    store.store.points.with(|db| {
        let mut statement = db.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let arguments = vec![rusqlite::types::Null; statement.parameter_count()];
        let steps = statement.query_map(rusqlite::params_from_iter(arguments), |row| row.get(3)).unwrap();
        steps.collect::<Result<_, _>>().unwrap()
    })
}

#[test]
fn what_an_authority_signed_is_found_from_the_authority_and_not_by_name() {
    let wanted = [
        "SEARCH a USING COVERING INDEX sqlite_autoindex_credential_1 (id=?)",
        "SEARCH s USING INDEX sqlite_autoindex_version_2 (credential=?)",
        "SEARCH v USING INDEX version_signer (signer=?)",
        "SEARCH c USING INTEGER PRIMARY KEY (rowid=?)",
        "USE TEMP B-TREE FOR ORDER BY",
    ];
    assert_eq!(plan(&Scratch::new(), queries::SIGNED_BY), wanted);
}
