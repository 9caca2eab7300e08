//! The program as somebody types it, without a cluster.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use credsmith_core::{
    store::{Store, conformance},
    world::SystemEntropy,
};
use tempfile::TempDir;

#[test]
fn without_a_cluster_a_start_makes_nothing() {
    let place = Place::new();
    let ended = place.run(&["run", "--listen", "127.0.0.1:0", "--listen-plain", "127.0.0.1:0"]);
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    let told = last_line(&ended.stderr);
    assert!(told.starts_with("error: the Kubernetes API: "), "{told}");
    assert!(
        told.ends_with("; run it in a pod with a ServiceAccount, or name a kubeconfig file in KUBECONFIG"),
        "{told}"
    );
    assert!(!place.path("data").exists(), "a store was made");
}

#[tokio::test]
async fn the_keys_are_listed_beside_the_process_that_has_the_store() {
    let place = Place::new();
    let store = place.store().await;
    let rows = store.data_keys().await.unwrap();
    let ended = place.run(&["keys", "list"]);
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    let list = String::from_utf8(ended.stdout).unwrap();
    for row in &rows {
        let line =
            format!("data key {} for {}, active, wrapped by {}", row.id, row.purpose.as_str(), row.wrapped.master);
        assert!(list.contains(&line), "{list}");
    }
    assert_eq!(list.matches(&format!("  opened by file:{}\n", place.path("root.key").display())).count(), 2, "{list}");

    let ended = place.run(&["keys", "rewrap"]);
    let url = place.url();
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert_eq!(
        last_line(&ended.stderr),
        format!(
            "error: store {url}: it is in use by the process with pid {}; start that process again with these keys, which \
             does the same; or stop it first",
            std::process::id()
        )
    );
}

#[tokio::test]
async fn a_list_of_keys_that_nothing_opens_is_a_failure() {
    let place = Place::new();
    drop(place.store().await);
    let before = fs::read(place.path("data/store.db")).unwrap();
    fs::write(place.path("root.key"), [7; 32]).unwrap();
    let ended = place.run(&["keys", "list"]);
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    let list = String::from_utf8(ended.stdout).unwrap();
    assert_eq!(list.matches("  opened by no configured key: ").count(), 2, "{list}");
    let told = last_line(&ended.stderr);
    assert!(told.contains(": 2 of its data keys cannot be opened with the configured keys; "), "{told}");
    assert!(fs::read(place.path("data/store.db")).unwrap() == before, "a look changed the store");
}

#[tokio::test]
async fn data_keys_that_are_gone_are_not_made_again() {
    let place = Place::new();
    let store = place.store().await;
    conformance::put_again(store.as_ref(), conformance::put("/a")).await.unwrap();
    drop(store);
    rusqlite::Connection::open(place.path("data/store.db")).unwrap().execute("DELETE FROM data_key", []).unwrap();

    let ended = place.run(&["keys", "rewrap"]);

    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert!(ended.stdout.is_empty(), "{ended:?}");
    let told = last_line(&ended.stderr);
    assert!(told.contains(": it holds sealed values, and its data key for values is gone; "), "{told}");
    assert!(told.ends_with("; restore the store from a backup"), "{told}");

    // A list does not say that the first start makes them.
    let ended = place.run(&["keys", "list"]);
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    let told = last_line(&ended.stderr);
    assert!(told.ends_with(" is damaged: it holds sealed values, and no data key; restore it from a backup"), "{told}");
}

#[test]
fn the_help_of_make_can_be_typed() {
    let root = env!("CARGO_MANIFEST_DIR");
    let help = Command::new("make").args(["--no-print-directory", "-C", root, "help"]).env_remove("MAKEFLAGS").output();
    let help = String::from_utf8(help.unwrap().stdout).unwrap();
    assert!(help.contains(r#"eval "$(make -s env)""#), "{help}");
    assert!(!help.contains("$$"), "{help}");
}

/// A directory of its own.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        fs::write(place.path("root.key"), [1; 32]).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn url(&self) -> String {
        format!("sqlite://{}", self.path("data/store.db").display())
    }

    /// The store with its data keys, open in this process.
    async fn store(&self) -> std::sync::Arc<dyn Store> {
        let store = credsmith_sql::open(&self.url()).unwrap();
        let providers = [credsmith::keys::from_file(&self.path("root.key")).unwrap()];
        let url = credsmith::config::StoreUrl::new(self.url());
        credsmith::keys::open_keyring(store.as_ref(), &url, &providers, &SystemEntropy).await.unwrap();
        store
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let home = self.0.path();
        Command::new(Path::new(env!("CARGO_BIN_EXE_credsmith")))
            .args(arguments)
            .env_clear()
            .env("HOME", home)
            .env("CREDSMITH_STORE", self.url())
            .env("CREDSMITH_KEYS", format!("file:{}", self.path("root.key").display()))
            .output()
            .unwrap()
    }
}

fn last_line(stderr: &[u8]) -> String {
    String::from_utf8_lossy(stderr).trim_end().lines().last().unwrap_or_default().to_owned()
}
