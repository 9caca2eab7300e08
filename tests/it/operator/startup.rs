//! What keeps the process from starting is one line that says what to do, and nothing is written.

use std::{fs, path::Path, process::Stdio};

use credsmith_core::world::SystemEntropy;
use credsmith_harness::operator::built_binary;
use k8s_openapi::api::core::v1::Secret;
use tempfile::TempDir;
use tokio::process::Command;

use super::scene::{Scene, fresh_key, operator};

#[tokio::test]
async fn a_store_of_another_master_key_does_not_open() {
    let dir = store_with_key().await;
    let (before, master) = (data_keys(dir.path()), master_of(dir.path()));
    fresh_key(&dir.path().join("other.key"));
    let ended = run(&[store(dir.path()), file_key(&dir.path().join("other.key"))]).await;
    assert_eq!(
        ended,
        (
            Some(1),
            format!(
                "error: store sqlite://{}/store.db: the store is sealed under master key {master}, which is not among the \
                 configured keys: add it to `keys` again (from your backup), after the key that is to be active",
                dir.path().display()
            )
        )
    );
    assert_eq!(data_keys(dir.path()), before, "a data key was made or wrapped again");
}

#[tokio::test]
async fn a_master_key_that_is_not_there_is_told_with_its_file() {
    let dir = store_with_key().await;
    let missing = dir.path().join("missing.key");
    let ended = run(&[store(dir.path()), file_key(&missing)]).await;
    let message = format!(
        "error: master key file:{}: No such file or directory (os error 2); put the file there (from your backup), or change \
         `keys`",
        missing.display()
    );
    assert_eq!(ended, (Some(1), message));

    fs::write(&missing, "this is no key").unwrap();
    let ended = run(&[store(dir.path()), file_key(&missing)]).await;
    let message = format!(
        "error: master key file:{} does not hold a master key: give 32 random bytes in base64 (`credsmith keys new` prints \
         one)",
        missing.display()
    );
    assert_eq!(ended, (Some(1), message));
}

#[tokio::test]
async fn a_lost_secret_with_the_master_key_is_not_replaced() {
    let scene = Scene::new().await;
    let dir = store_with_key().await;
    let namespace = ("CREDSMITH_NAMESPACE".to_owned(), scene.name().to_owned());
    let secret = ("CREDSMITH_KEYS".to_owned(), "secret:root-key".to_owned());
    let kubeconfig = ("KUBECONFIG".to_owned(), scene.cluster.kubeconfig().display().to_string());
    let ended = run(&[store(dir.path()), secret, namespace, kubeconfig]).await;
    let message = format!(
        "error: master key secret:root-key: Secret {}/root-key with a master key is not there, and nothing is made in its \
         place because the store holds data already: restore it from your backup; a key that is to be new is made with \
         `credsmith keys new` and kubectl create secret generic root-key --from-file=key=FILE",
        scene.name()
    );
    assert_eq!(ended, (Some(1), message));
    let none = scene.api::<Secret>().list_metadata(&Default::default()).await.unwrap();
    assert!(none.items.is_empty(), "a key was made");
}

#[tokio::test]
async fn a_second_process_on_a_store_is_kept_out() {
    let operator = operator().await;
    let pid = operator.process().pid().unwrap();
    let key = operator.dir().join("master.key");
    let ended = run(&[store(operator.dir()), file_key(&key)]).await;
    let message = format!(
        "error: the store {}/store.db is in use by the process with pid {pid}: only one process may have it; stop that one, \
         or give this one another store",
        operator.dir().canonicalize().unwrap().display()
    );
    assert_eq!(ended, (Some(1), message));
    assert!(operator.process().alive());
}

#[tokio::test]
async fn a_file_that_is_no_store_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    fresh_key(&dir.path().join("master.key"));
    let file = dir.path().join("store.db");
    fs::write(&file, "a shopping list, and not a short one: ".repeat(200)).unwrap();
    let before = fs::read(&file).unwrap();
    let ended = run(&[store(dir.path()), file_key(&dir.path().join("master.key"))]).await;
    let message = format!(
        "error: {} is not a database: give the path of the store, or move that file away to start an empty one",
        file.canonicalize().unwrap().display()
    );
    assert_eq!(ended, (Some(1), message));
    assert!(fs::read(&file).unwrap() == before, "it was written to");
}

#[tokio::test]
async fn a_setting_that_cannot_be_is_bad_usage() {
    let table = [
        (
            ("CREDSMITH_LISTEN", "nowhere"),
            "error: setting listen: \"nowhere\" is no address with a port; give an IP address and a port, such as 0.0.0.0:8844 \
             or [::]:8844, by --listen, CREDSMITH_LISTEN, or listen in the configuration file",
        ),
        (
            ("CREDSMITH_STORE", "postgres://me:secret-word@db/x"),
            "error: setting store: a store in PostgreSQL is not available in this release: give sqlite:// and an absolute \
             path, such as sqlite:///var/lib/credsmith/store.db",
        ),
    ];
    for ((name, value), message) in table {
        let ended = run(&[(name.to_owned(), value.to_owned())]).await;
        assert_eq!(ended, (Some(2), message.to_owned()), "{name}={value}");
    }
}

/// Runs the program to its end: its exit code and the last line that it wrote.
async fn run(env: &[(String, String)]) -> (Option<i32>, String) {
    let cluster = credsmith_harness::shared::shared().await;
    let mut program = Command::new(built_binary().unwrap());
    program
        .arg("run")
        .env_clear()
        .env("KUBECONFIG", cluster.kubeconfig())
        .env("CREDSMITH_LISTEN", "127.0.0.1:0")
        .env("CREDSMITH_LISTEN_PLAIN", "127.0.0.1:0")
        .envs(env.iter().cloned())
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let ended = tokio::time::timeout(super::scene::PATIENCE, program.output()).await.expect("it runs on").unwrap();
    let text = String::from_utf8(ended.stderr).unwrap();
    (ended.status.code(), text.trim_end().lines().last().unwrap_or_default().to_owned())
}

/// A directory with a store that holds data keys, and the master key that wraps them.
async fn store_with_key() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("master.key");
    fresh_key(&key);
    let url = format!("sqlite://{}/store.db", dir.path().display());
    let store = credsmith_sql::open(&url).unwrap();
    let providers = [credsmith::keys::from_file(&key).unwrap()];
    let url = credsmith::config::StoreUrl::new(url);
    credsmith::keys::open_keyring(store.as_ref(), &url, &providers, &SystemEntropy).await.unwrap();
    dir
}

/// The name of the master key that the store is sealed under.
fn master_of(dir: &Path) -> String {
    let store = rusqlite::Connection::open(dir.join("store.db")).unwrap();
    store.query_row("SELECT master FROM data_key", [], |row| row.get(0)).unwrap()
}

/// The data keys as they lie in the store.
fn data_keys(dir: &Path) -> Vec<(Vec<u8>, String, Vec<u8>)> {
    let store = rusqlite::Connection::open(dir.join("store.db")).unwrap();
    let mut rows = store.prepare("SELECT id, master, wrapped FROM data_key ORDER BY row").unwrap();
    let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

fn store(dir: &Path) -> (String, String) {
    ("CREDSMITH_STORE".into(), format!("sqlite://{}/store.db", dir.display()))
}

fn file_key(file: &Path) -> (String, String) {
    ("CREDSMITH_KEYS".into(), format!("file:{}", file.display()))
}
