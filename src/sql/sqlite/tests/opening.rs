//! Opening, closing, and who else may.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, Command, Stdio},
};

use super::*;
use crate::{OpenError, open};
use credsmith_core::{domain::Epoch, keyring::Sealed};

#[tokio::test]
async fn what_was_written_survives_a_reopen() {
    let store = Scratch::new();
    let versions = [written(&*store, "/A").await, written(&*store, "/a").await];
    store.add_setting("key", Sealed::from_stored(vec![1, 2, 3])).await.unwrap();
    let (credential, lines) = (store.credential(&name("/a")).await.unwrap(), store.audit(9).await.unwrap());
    assert_eq!(store.raise_epoch().await.unwrap(), Epoch(1));

    let store = store.meanwhile(|_| ());

    let [first, second] = versions;
    assert_eq!(store.versions(&name("/a"), None).await.unwrap(), [second, first]);
    assert_eq!(store.credential(&name("/a")).await.unwrap(), credential);
    assert_eq!(store.setting("key").await.unwrap().unwrap().as_bytes(), [1, 2, 3]);
    assert_eq!(store.audit(9).await.unwrap(), lines);
    assert_eq!(store.raise_epoch().await.unwrap(), Epoch(2));
    assert_eq!(written(&*store, "/a").await.number, 3);
}

#[tokio::test]
async fn each_opening_begins_an_audit_chain_of_its_own() {
    let store = Scratch::new();
    written(&*store, "/a").await;
    let store = store.meanwhile(|_| ());
    written(&*store, "/a").await;
    written(&*store, "/a").await;

    let lines = store.audit(9).await.unwrap();

    let pid = std::process::id();
    let places: Vec<_> = lines.iter().map(|line| (line.chain.clone(), line.sequence)).collect();
    assert_eq!(places, [(format!("2-{pid}"), 2), (format!("2-{pid}"), 1), (format!("1-{pid}"), 1)]);
}

#[tokio::test]
async fn closing_empties_the_log_and_gives_the_lock_back() {
    let store = Scratch::new();
    written(&*store, "/a").await;
    let log = store.directory.path().join("store.db-wal");
    assert!(log.exists());

    store.meanwhile(|_| assert!(!log.exists(), "the log is still there"));
}

#[test]
fn a_second_opening_is_refused_and_names_the_process() {
    let store = Scratch::new();
    let (path, pid) = (store.path(), std::process::id());
    let elsewhere = store.directory.path().join("link.db");
    std::os::unix::fs::symlink(&path, &elsewhere).unwrap();

    for path in [&path, &elsewhere] {
        let refused = Sqlite::open(path).unwrap_err();
        assert_eq!(
            refused.to_string(),
            format!(
                "the store {} is in use by the process with pid {pid}: only one process may have it; stop that one, or \
                 give this one another store",
                store.path().canonicalize().unwrap().display()
            )
        );
    }
}

#[tokio::test]
async fn another_process_is_kept_out_until_it_is_killed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    let mut child = other_process(&path, "022");

    match Sqlite::open(&path) {
        Err(OpenError::InUse { pid, .. }) => assert_eq!(pid, Some(child.id())),
        other => panic!("the store is in use: {other:?}"),
    }
    child.kill().unwrap();
    child.wait().unwrap();

    let store = Sqlite::open(&path).unwrap();
    assert_eq!(store.versions(&name("/child"), None).await.unwrap().len(), 1, "it was answered before the kill");
}

#[test]
fn files_are_for_their_owner_alone_whatever_the_umask() {
    let directory = tempfile::tempdir().unwrap();
    let inner = directory.path().join("a/b");
    let mut child = other_process(&inner.join("store.db"), "000");

    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&inner), mode(inner.parent().unwrap())), (0o700, 0o700));
    for name in ["store.db", "store.db-wal", "store.db-shm", "store.db.lock"] {
        assert_eq!(mode(&inner.join(name)), 0o600, "{name}");
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn what_is_no_store_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().canonicalize().unwrap().join("store.db");
    let refused = |wanted: &str| {
        let before = fs::read(&path).unwrap();
        let error = Sqlite::open(&path).unwrap_err().to_string();
        assert_eq!(error, wanted.replace("{}", path.to_str().unwrap()));
        assert_eq!(fs::read(&path).unwrap(), before, "it was written to");
    };

    fs::write(&path, "a text, and no database at all".repeat(100)).unwrap();
    refused("{} is not a database: give the path of the store, or move that file away to start an empty one");
    fs::remove_file(&path).unwrap();

    Connection::open(&path).unwrap().execute_batch("CREATE TABLE other (x)").unwrap();
    refused("{} is the database of another program: give the store a path of its own");
    fs::remove_file(&path).unwrap();

    drop(Sqlite::open(&path).unwrap());
    Connection::open(&path).unwrap().execute_batch("PRAGMA user_version = 7").unwrap();
    refused(
        "the store {} has schema version 7, newer than this release, which knows 1: start the newer release again, or \
         restore the backup that was made before it",
    );
}

#[test]
fn what_cannot_be_made_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path().canonicalize().unwrap();
    fs::write(directory.join("file"), "").unwrap();

    let below = directory.join("file/sub/store.db");
    assert_eq!(
        open(&format!("sqlite://{}", below.display())).unwrap_err().to_string(),
        format!(
            "cannot create the directory {} for the store: not a directory; create it, or let this process write to \
             the one above it",
            directory.join("file").display()
        )
    );
    assert_eq!(
        open(&format!("sqlite://{}", directory.display())).unwrap_err().to_string(),
        format!(
            "cannot open the store {}: Is a directory (os error 21); let this process read and write that file and its \
             directory",
            directory.display()
        )
    );
}

#[test]
fn a_full_or_read_only_disk_is_named() {
    use std::io::ErrorKind;
    let fault = |kind: ErrorKind| super::super::files::fault(Path::new("/data/store.db"), kind.into()).to_string();

    let full = "the disk of the store /data/store.db is full: make room on its volume, then start again";
    assert_eq!(fault(ErrorKind::StorageFull), full);
    let read_only = "the store /data/store.db is read-only: let this process write to its volume and its file";
    assert_eq!(fault(ErrorKind::ReadOnlyFilesystem), read_only);
}

/// A process that has the store at `path` with the version `/child` in it, until it is killed.
fn other_process(path: &Path, umask: &str) -> Child {
    let program = std::env::current_exe().unwrap();
    let mut child = Command::new("sh")
        .args(["-c", "umask $UMASK; exec \"$0\" --exact sqlite::tests::opening::child --ignored --nocapture"])
        .arg(program)
        .env("UMASK", umask)
        .env(STORE, path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let told = BufReader::new(child.stdout.take().unwrap()).lines().any(|line| line.unwrap().ends_with(READY));
    assert!(told, "the other process ended early");
    child
}

#[tokio::test]
#[ignore = "the body of the other process"]
async fn child() {
    let store = Sqlite::open(Path::new(&std::env::var(STORE).unwrap())).unwrap();
    written(&store, "/child").await;
    writeln!(std::io::stdout(), "{READY}").unwrap();
    std::thread::sleep(std::time::Duration::from_secs(60));
}

const STORE: &str = "CREDSMITH_TEST_STORE";
const READY: &str = "ready";
