//! When the disk or somebody else stands in the way.

use std::time::Duration;

use super::{
    super::{connection::Site, lists, queries},
    *,
};
use credsmith_core::domain::name::Pattern;
use futures::{StreamExt, future::join_all};

#[tokio::test]
async fn a_full_disk_refuses_writes_and_loses_nothing() {
    let store = Scratch::new();
    let before = written(&*store, "/before").await;
    pages(&store, 0).await;

    let mut changes = store.changes();
    let answers = join_all((0..8).map(|number| store.put_version(large(&format!("/x/{number}"), 100_000)))).await;

    let full = "its disk is full; make room on the volume, then writing goes on by itself";
    for answer in answers {
        assert_eq!(why(answer), full);
    }
    assert!(changes.try_recv().is_err(), "a lost step was told");
    assert_eq!(store.find(Pattern::below("/x")).count().await, 0);
    assert_eq!(store.version(before.id).await.unwrap().as_ref(), Some(&before));
    assert_eq!(why(store.ping().await), full);
    assert_eq!(store.store.writer.failure().as_deref(), Some(full));

    pages(&store, 1 << 20).await;
    store.ping().await.unwrap();
    assert_eq!(store.store.writer.failure(), None);
    store.put_version(large("/x/9", 100_000)).await.unwrap();
    assert_eq!(written(&*store, "/before").await.number, 2);
    let sequences: Vec<_> = store.audit(9).await.unwrap().iter().map(|line| line.sequence).collect();
    assert_eq!(sequences, [3, 2, 1], "the chain goes on where it was");
}

#[tokio::test]
async fn a_commit_that_fails_answers_to_all_of_its_group_and_tells_nothing() {
    let store = Scratch::new();
    let before = written(&*store, "/before").await;
    let mut changes = store.changes();
    // A foreign key that is checked at the commit lets the commit fail, as a disk would.
    let orphan = store.store.writer.write("version", 1, |step| {
        step.db.execute_batch(
            "PRAGMA defer_foreign_keys = ON; \
             INSERT INTO version (id, credential, number, created_ms, state, reason, actor, data_key, sealed) \
             VALUES (zeroblob(16), 99, 1, 0, 'live', 'SetByAPI', 'operator', zeroblob(16), x'')",
        )?;
        Ok(())
    });
    let refused = PutVersion { mode: credsmith_core::store::WriteMode::CreateOnly, ..put("/before") };

    let (one, two, three) = futures::join!(orphan, store.put_version(put("/x")), store.put_version(refused));

    let wanted = "FOREIGN KEY constraint failed (SQLite code 787)";
    assert_eq!(why(one), wanted);
    // The others may have come a commit later; with the orphan they are lost, refusals included.
    for answer in [two, three] {
        if let Err(Error::Unavailable(why)) = answer {
            assert_eq!(why, wanted);
        }
    }
    let _ = store.ping().await;
    let told = std::iter::from_fn(|| changes.try_recv().ok()).count();
    assert_eq!(told, usize::from(store.credential(&name("/x")).await.unwrap().is_some()));
    assert_eq!(store.version(before.id).await.unwrap(), Some(before));
    assert_eq!(written(&*store, "/before").await.number, 2);
}

#[tokio::test]
async fn another_program_that_has_the_database_locked_is_waited_for_and_then_named() {
    let store = Scratch::new();
    let short = store.store.writer.write("epoch", 1, |step| Ok(step.db.busy_timeout(Duration::from_millis(20))?));
    short.await.unwrap();
    let other = Connection::open(store.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();

    let wanted = "another program has the database locked; end it, then writing goes on by itself";
    assert_eq!(why(store.put_version(put("/a")).await), wanted);
    assert_eq!(why(store.ping().await), wanted);
    assert_eq!(store.credential(&name("/a")).await.unwrap(), None, "reading goes on");

    other.execute_batch("ROLLBACK").unwrap();
    store.ping().await.unwrap();
    written(&*store, "/a").await;
}

#[tokio::test]
async fn a_writer_that_panicked_is_told_and_does_not_hang() {
    let store = Scratch::new();
    let broken = store.store.writer.write("epoch", 1, |_| -> Result<(), _> { panic!("a bug, made for this test") });

    let wanted = "its writer has stopped; start the process again";
    assert_eq!(why(broken.await), wanted);
    assert_eq!(why(store.put_version(put("/a")).await), wanted);
    assert_eq!(why(store.ping().await), wanted);
    assert_eq!(store.credential(&name("/a")).await.unwrap(), None, "reading goes on");
}

#[tokio::test]
async fn a_writer_whose_connection_broke_opens_another() {
    let store = Scratch::new();
    let first = written(&*store, "/a").await;
    // From now on its BEGIN fails, as it would on a connection that is of no use any more.
    let breaks = store.store.writer.write("epoch", 1, |step| Ok(step.db.execute_batch("PRAGMA query_only = ON")?));
    breaks.await.unwrap();

    let second = written(&*store, "/a").await;

    assert_eq!(store.versions(&name("/a"), None).await.unwrap(), [second, first]);
    assert_eq!(store.audit(1).await.unwrap()[0].sequence, 2);
}

#[test]
fn a_connection_is_opened_anew_only_to_the_same_file() {
    let directory = tempfile::tempdir().unwrap();
    let (path, other) = (directory.path().join("store.db"), directory.path().join("other.db"));
    drop((Sqlite::open(&path).unwrap(), Sqlite::open(&other).unwrap()));
    let (site, _db) = Site::open(&path).unwrap();
    assert!(site.reopen().is_ok());

    std::fs::rename(&other, &path).unwrap();
    assert_eq!(site.reopen().unwrap_err(), "another file lies in its place; start the process again");
    std::fs::remove_file(&path).unwrap();
    assert_eq!(
        site.reopen().unwrap_err(),
        "its file cannot be opened: No such file or directory (os error 2); start the process again"
    );
}

#[tokio::test]
async fn a_list_that_nobody_waits_for_is_stopped() {
    let store = Scratch::new();
    let endless = "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n";
    let lists = std::sync::Arc::clone(&store.store.lists);
    for _ in 0..4 {
        let gather = move |db: &Connection| queries::all(db, endless, [], |row| Ok(row.get::<_, i64>(0)?));
        let mut list = lists::paged(std::sync::Arc::clone(&lists), gather, |_, key| Ok(Some(*key)));
        let waited = tokio::time::timeout(Duration::from_millis(50), list.next()).await;
        assert!(waited.is_err(), "the list ended by itself: {waited:?}");
    }

    // More of them were begun than there are connections for lists.
    let found = tokio::time::timeout(Duration::from_secs(30), store.find(Pattern::below("/")).count()).await;
    assert_eq!(found, Ok(0));
}

/// Lets the database grow to so many pages and no further; 0 for those that it has.
async fn pages(store: &Scratch, number: i64) {
    let limit = store.store.writer.write("epoch", 1, move |step| {
        let has: i64 = step.db.query_row("PRAGMA page_count", [], |row| row.get(0))?;
        let sql = format!("PRAGMA max_page_count = {}", number.max(has));
        step.db.query_row(&sql, [], |_| Ok(()))?;
        Ok(())
    });
    limit.await.unwrap();
}
