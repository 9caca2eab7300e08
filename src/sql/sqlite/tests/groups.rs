//! Steps that share a commit.

use std::sync::{atomic::Ordering, mpsc};

use super::*;
use credsmith_core::{domain::name::Pattern, store::WriteMode};
use futures::{StreamExt, future::join_all, join, poll};

#[tokio::test]
async fn those_who_wait_share_a_commit() {
    let store = Scratch::new();
    let before = commits(&store);

    let (go, puts) = (held(&store), (0..200).map(|number| async_put(&store, number)));
    let all = async {
        let mut puts: Vec<_> = puts.map(Box::pin).collect();
        for put in &mut puts {
            assert!(poll!(put).is_pending());
        }
        go.send(()).unwrap();
        join_all(puts).await
    };
    let answers = all.await;

    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(commits(&store) - before, 2, "one for the step that held the others up, one for all of them");
}

#[tokio::test]
async fn a_crowd_needs_far_fewer_commits_than_it_has_writers() {
    let store = Scratch::new();
    let before = commits(&store);

    futures::stream::iter(0..640)
        .map(|number| async_put(&store, number))
        .buffer_unordered(32)
        .for_each(async |row| {
            row.unwrap();
        })
        .await;

    let commits = commits(&store) - before;
    assert!(commits <= 320, "{commits} commits for 640 steps of 32 writers");
}

#[tokio::test]
async fn a_refusal_in_a_group_undoes_its_own_step_alone() {
    let store = Scratch::new();
    let first = written(&*store, "/a").await;
    let go = held(&store);
    let create = |path: &str| store.put_version(PutVersion { mode: WriteMode::CreateOnly, ..put(path) });
    let after = PutVersion { credential: first.credential, mode: WriteMode::After(first.id), ..put("/a") };
    let mut changes = store.changes();

    // All five wait for one commit.
    let (one, two, three, four, (), five) = join!(
        create("/b"),
        create("/a"),
        store.put_version(after.clone()),
        store.put_version(after),
        async { go.send(()).unwrap() },
        create("/c"),
    );

    assert_eq!((one.unwrap().number, three.unwrap().number, five.unwrap().number), (1, 2, 1));
    assert!(matches!(two, Err(Error::Conflict { .. })), "{two:?}");
    assert!(matches!(four, Err(Error::Conflict { .. })), "{four:?}");
    let told: Vec<_> = std::iter::from_fn(|| changes.try_recv().ok()).map(|change| change.name.to_string()).collect();
    assert_eq!(told, ["/b", "/a", "/c"]);
    let sequences: Vec<_> = store.audit(9).await.unwrap().iter().map(|line| line.sequence).collect();
    assert_eq!(sequences, [4, 3, 2, 1]);
}

#[tokio::test]
async fn a_step_that_nobody_waits_for_is_not_begun() {
    let store = Scratch::new();
    let go = held(&store);
    {
        let mut left = Box::pin(store.put_version(put("/left")));
        assert!(poll!(&mut left).is_pending());
    }
    go.send(()).unwrap();

    written(&*store, "/a").await;

    assert_eq!(store.credential(&name("/left")).await.unwrap(), None);
}

#[tokio::test]
async fn the_log_is_moved_into_the_database_as_it_grows() {
    let store = Scratch::new();
    for number in 0..48 {
        store.put_version(large(&format!("/x/{number}"), 1 << 20)).await.unwrap();
    }

    let size = |name: &str| std::fs::metadata(store.directory.path().join(name)).unwrap().len() >> 20;
    assert!(size("store.db-wal") < 24, "the log has {} MiB", size("store.db-wal"));
    assert!(size("store.db") > 24, "the database has {} MiB", size("store.db"));
    assert_eq!(store.find(Pattern::below("/x")).count().await, 48);
}

#[tokio::test]
async fn the_audit_trail_is_bounded() {
    let store = Scratch::new();
    written(&*store, "/a").await;
    let store = store.damaged(
        "INSERT INTO audit SELECT NULL, 'x', value, 0, 'operator', 'set', '/x', '', zeroblob(32) \
         FROM (WITH RECURSIVE n (value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n LIMIT 100998) \
         SELECT value FROM n)",
    );
    let lines = || store.store.points.with(|db| db.query_one("SELECT count(*) FROM audit", [], |row| row.get(0)));
    assert_eq!(lines(), Ok(100_999));
    assert_eq!(store.audit(u32::MAX).await.unwrap().len(), 100_000, "what is over the number is not seen");

    written(&*store, "/a").await;

    assert_eq!(lines(), Ok(100_000));
    assert_eq!(store.audit(1).await.unwrap()[0].resource, "/a");
}

fn commits(store: &Scratch) -> u64 {
    store.store.writer.health().commits.load(Ordering::Relaxed)
}

/// Lets the writer wait within a step until it is told to go on.
fn held(store: &Scratch) -> mpsc::Sender<()> {
    let (go, wait) = mpsc::channel();
    let (began, begins) = mpsc::channel();
    let hold = store.store.writer.write("epoch", 1, move |_| {
        began.send(()).unwrap();
        wait.recv().unwrap();
        Ok(())
    });
    // The step is awaited until it has begun; what it answers is nobody's business.
    let mut hold = Box::pin(hold);
    let waker = futures::task::noop_waker();
    assert!(hold.as_mut().poll(&mut std::task::Context::from_waker(&waker)).is_pending());
    begins.recv().unwrap();
    go
}

async fn async_put(store: &Scratch, number: u32) -> Result<VersionRow, Error> {
    store.put_version(put(&format!("/x/{number}"))).await
}
