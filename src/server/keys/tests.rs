//! Keys that cannot be had are named; nobody sees what they are.

use std::{fs, os::unix::fs::PermissionsExt};

use credsmith_core::{
    keyring::Sealed,
    store::{InMemory, conformance},
    world::SeededEntropy,
};

use super::*;

fn url() -> StoreUrl {
    StoreUrl::new("sqlite:///s.db")
}

fn provider(seed: u8) -> Box<dyn KeyProvider> {
    from_file(file(&[seed; 32]).path()).unwrap()
}

fn file(text: &[u8]) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), text).unwrap();
    file
}

/// The error of `read` for a file of this text, with `FILE` for its name.
fn told(read: fn(&Path) -> Result<Box<dyn KeyProvider>, Error>, text: &[u8]) -> String {
    let file = file(text);
    read(file.path()).unwrap_err().to_string().replace(&file.path().display().to_string(), "FILE")
}

#[test]
fn a_new_key_goes_to_a_new_file_that_only_its_owner_reads() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("root.key");
    assert!(new(Some(&path)).unwrap().is_none());
    let written = fs::read_to_string(&path).unwrap();
    assert_eq!(written.trim_end().len(), 44);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(from_file(&path).is_ok());

    let error = new(Some(&path)).unwrap_err().to_string();
    assert_eq!(
        error,
        format!(
            "file {}: File exists (os error 17); name a new file: a key that is overwritten is lost, and its store \
             with it",
            path.display()
        )
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), written);
}

#[test]
fn a_new_key_is_given_as_text() {
    let (one, other) = (new(None).unwrap().unwrap(), new(None).unwrap().unwrap());
    assert_eq!(one.expose().len(), 44);
    assert!(!one.same_as(&other));
}

#[test]
fn a_key_that_cannot_be_read_is_named_without_what_stands_there() {
    assert_eq!(
        from_file(Path::new("/nonexistent")).unwrap_err().to_string(),
        "master key file:/nonexistent: No such file or directory (os error 2); put the file there (from your backup), or \
         change `keys`"
    );
    assert_eq!(
        told(from_file, b"hunter2"),
        "master key file:FILE does not hold a master key: give 32 random bytes in base64 (`credsmith keys new` prints \
         one)"
    );
    assert_eq!(
        told(from_passphrase, b"hunter2\n"),
        "master key passphrase:FILE: the passphrase is shorter than 12 characters: choose a longer one"
    );
    assert_eq!(
        told(from_passphrase, b"\xff\xfe hunter2 hunter2"),
        "master key passphrase:FILE: the file is no text (UTF-8); write the passphrase as text into it"
    );
}

#[tokio::test]
async fn a_passphrase_is_the_same_with_and_without_a_newline() {
    let (store, entropy) = (InMemory::new(), SeededEntropy::new(1));
    let passphrase = |text: &[u8]| from_passphrase(file(text).path()).unwrap();
    open_keyring(&store, &url(), &[passphrase(b"correct horse battery\n")], &entropy).await.unwrap();
    let (_, changes) = open_keyring(&store, &url(), &[passphrase(b"correct horse battery")], &entropy).await.unwrap();
    assert_eq!(changes, Changes::default());
}

#[tokio::test]
async fn a_first_start_makes_data_keys_and_the_next_one_finds_them() {
    let (store, entropy) = (InMemory::new(), SeededEntropy::new(2));
    let (first, changes) = open_keyring(&store, &url(), &[provider(1)], &entropy).await.unwrap();
    assert_eq!(changes.made.len(), 2);
    let (second, changes) = open_keyring(&store, &url(), &[provider(1)], &entropy).await.unwrap();
    assert_eq!(changes, Changes::default());
    assert_eq!(first.fingerprint(b"x"), second.fingerprint(b"x"));
}

#[tokio::test]
async fn a_new_first_key_wraps_every_data_key_again() {
    let (store, entropy) = (InMemory::new(), SeededEntropy::new(3));
    open_keyring(&store, &url(), &[provider(1)], &entropy).await.unwrap();
    let (_, changes) = open_keyring(&store, &url(), &[provider(2), provider(1)], &entropy).await.unwrap();
    assert_eq!(changes.rewrapped.len(), 2);
    let line = changes.to_string().lines().next().unwrap().to_owned();
    assert!(line.contains(" for values: wrapped by file:") && line.ends_with(" now"), "{line}");
    assert!(open_keyring(&store, &url(), &[provider(2)], &entropy).await.is_ok());
}

#[tokio::test]
async fn a_store_that_holds_anything_gets_no_new_data_keys() {
    let of_versions = InMemory::new();
    conformance::put_again(&of_versions, conformance::put("/a")).await.unwrap();
    let of_settings = InMemory::new();
    of_settings.add_setting("front-ca", Sealed::from_stored(vec![1])).await.unwrap();
    let half = InMemory::new();
    let entropy = SeededEntropy::new(8);
    assert!(may_make_master_key(&half).await.unwrap());
    open_keyring(&half, &url(), &[provider(1)], &entropy).await.unwrap();
    assert!(!may_make_master_key(&half).await.unwrap());
    let values = half.data_keys().await.unwrap().remove(0);
    let of_fingerprints = InMemory::new();
    of_fingerprints.add_data_key(values).await.unwrap();
    of_fingerprints.add_setting("front-ca", Sealed::from_stored(vec![1])).await.unwrap();
    for (store, purpose) in [(&of_versions, "values"), (&of_settings, "values"), (&of_fingerprints, "fingerprints")] {
        assert!(!may_make_master_key(store).await.unwrap());
        let before = store.data_keys().await.unwrap();
        let error = open_keyring(store, &url(), &[provider(1)], &entropy).await.unwrap_err().to_string();
        assert_eq!(
            error,
            format!(
                "store sqlite:///s.db: it holds sealed values, and its data key for {purpose} is gone; no new one is made, \
                 which would open none of them; restore the store from a backup"
            )
        );
        assert_eq!(store.data_keys().await.unwrap(), before);
    }
}

#[tokio::test]
async fn whoever_comes_second_takes_the_keys_of_the_first() {
    let store = InMemory::new();
    let providers = [provider(1)];
    let (url, here, there) = (url(), SeededEntropy::new(4), SeededEntropy::new(5));
    let (one, other) =
        futures::join!(open_keyring(&store, &url, &providers, &here), open_keyring(&store, &url, &providers, &there));
    assert_eq!(one.unwrap().0.fingerprint(b"x"), other.unwrap().0.fingerprint(b"x"));
    assert_eq!(store.data_keys().await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_missing_master_key_is_named_with_the_next_step() {
    let (store, entropy) = (InMemory::new(), SeededEntropy::new(6));
    open_keyring(&store, &url(), &[provider(1)], &entropy).await.unwrap();
    let wrapped_by = store.data_keys().await.unwrap()[0].wrapped.master.clone();
    let error = open_keyring(&store, &url(), &[provider(2)], &entropy).await.unwrap_err().to_string();
    assert_eq!(
        error,
        format!(
            "store sqlite:///s.db: the store is sealed under master key {wrapped_by}, which is not among the configured keys: add it to \
             `keys` again (from your backup), after the key that is to be active"
        )
    );
    assert_eq!(store.data_keys().await.unwrap()[0].wrapped.master, wrapped_by);
}

#[tokio::test]
async fn the_list_says_who_opens_what() {
    let (store, entropy) = (InMemory::new(), SeededEntropy::new(7));
    let configured = |path: &str, provider| Configured { source: KeySource::File(path.into()), provider };
    let empty = list(&[], &[]).await;
    assert_eq!(
        (empty.text.as_str(), empty.unopened),
        ("The store has no data keys yet: the first start makes them.\n", 0)
    );

    open_keyring(&store, &url(), &[provider(1)], &entropy).await.unwrap();
    let rows = store.data_keys().await.unwrap();
    let gone = Error::failure("master key file:/c", "gone", "put it back");
    let three = [configured("/a", Ok(provider(2))), configured("/b", Ok(provider(1))), configured("/c", Err(gone))];
    let listing = list(&rows, &three).await;
    let expected = format!(
        "data key {} for values, active, wrapped by {master}\n  opened by file:/b\n\
         data key {} for fingerprints, active, wrapped by {master}\n  opened by file:/b\n\
         master key file:/c: gone; put it back\n",
        rows[0].id,
        rows[1].id,
        master = rows[0].wrapped.master,
    );
    assert_eq!(listing.text, expected);
    assert_eq!(listing.verdict(&url()), Ok(()));

    let listing = list(&rows, &[configured("/a", Ok(provider(2)))]).await;
    let line = "\n  opened by no configured key: add that master key to `keys` (from your backup)\n";
    assert!(listing.text.contains(line), "{}", listing.text);
    assert_eq!(
        listing.verdict(&url()).unwrap_err().to_string(),
        "store sqlite:///s.db: 2 of its data keys cannot be opened with the configured keys; see the list for each, and \
         mend `keys`"
    );

    // The right master key, and a wrapping that is damaged, is no better.
    let mut damaged = rows.clone();
    *damaged[0].wrapped.bytes.last_mut().unwrap() ^= 1;
    let listing = list(&damaged, &[configured("/b", Ok(provider(1)))]).await;
    assert_eq!(listing.unopened, 1, "{}", listing.text);
    assert!(listing.text.contains("\n  not opened by file:/b: data key "), "{}", listing.text);
}
