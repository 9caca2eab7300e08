//! The control of the layer: it loses what was not synced, and nothing else. A program below it is this test program.

use std::{
    io::{Seek as _, Write as _},
    process,
};

use super::*;

#[tokio::test]
async fn what_was_not_synced_is_lost_and_what_was_is_not() -> Result<()> {
    let here = tempfile::tempdir()?;
    let layer = FileLayer::over(&here.path().join("store")).await?;
    let file = |name: &str| layer.directory().join(name);

    run(&layer, "synced");
    assert_eq!(fs::read(file("synced"))?, b"one two");
    assert_eq!(layer.drop_unsynced()?, Dropped::default());
    assert_eq!(fs::read(file("synced"))?, b"one two");

    run(&layer, "unsynced");
    assert_eq!(fs::read(file("synced"))?, b"ONE");
    assert_eq!(fs::read(file("unsynced"))?, b"new");
    assert!(file("shared-shm").exists() && file("moved").exists() && !file("there").exists());
    assert_eq!(layer.drop_unsynced()?, Dropped { changes: 2, names: 4 });
    assert_eq!(fs::read(file("synced"))?, b"one two", "bytes and length are back");
    assert_eq!(fs::read(file("there"))?, b"kept", "and so is the name");
    let mut names: Vec<_> =
        fs::read_dir(layer.directory())?.map(|entry| entry.map(|e| e.file_name())).collect::<Result<_, _>>()?;
    names.sort();
    assert_eq!(names, ["synced", "there"]);
    assert_eq!(fs::read_dir(&layer.undo)?.count(), 0);
    Ok(())
}

#[tokio::test]
async fn a_name_is_synced_with_its_directory_and_bytes_with_their_file() -> Result<()> {
    let here = tempfile::tempdir()?;
    let layer = FileLayer::over(&here.path().join("store")).await?;
    run(&layer, "half");
    assert_eq!(layer.drop_unsynced()?, Dropped { changes: 1, names: 1 });
    assert_eq!(fs::read(layer.directory().join("named"))?, b"", "its name was synced, its bytes were not");
    assert!(!layer.directory().join("nameless").exists(), "its bytes were synced, its name was not");
    Ok(())
}

#[tokio::test]
async fn a_disk_is_full_or_fails_until_it_is_healed() -> Result<()> {
    let here = tempfile::tempdir()?;
    let layer = FileLayer::over(&here.path().join("store")).await?;
    for (call, error) in
        [(Call::Write, Errno::NOSPC), (Call::Write, Errno::IO), (Call::Sync, Errno::NOSPC), (Call::Sync, Errno::IO)]
    {
        run(&layer, "synced");
        layer.fail(call, error)?;
        run(&layer, if call == Call::Write { "no write" } else { "no sync" });
        layer.heal()?;
        layer.drop_unsynced()?;
        assert_eq!(fs::read(layer.directory().join("synced"))?, b"one two", "{call:?} {error:?}");
    }
    Ok(())
}

/// Not a test of its own: the program below the layer in the tests above.
#[test]
fn a_program_below_the_layer() {
    let (Some(directory), Ok(script)) = (env::var_os("FAULTFS_DIR"), env::var(SCRIPT)) else { return };
    let directory = PathBuf::from(directory);
    let make =
        |name: &str| OpenOptions::new().write(true).create(true).truncate(true).open(directory.join(name)).expect(name);
    let sync_names = || File::open(&directory).and_then(|directory| directory.sync_all()).expect("a sync");
    match script.as_str() {
        "synced" => {
            for (name, text) in [("synced", "one two"), ("there", "kept")] {
                let mut file = make(name);
                file.write_all(text.as_bytes()).expect("a write");
                file.sync_data().expect("a sync");
            }
            fs::remove_file(directory.join("moved")).ok();
            sync_names();
        }
        "unsynced" => {
            let mut file = OpenOptions::new().write(true).open(directory.join("synced")).expect("the file");
            file.write_all(b"ONE").expect("a write");
            file.set_len(3).expect("a cut");
            make("unsynced").write_all(b"new").expect("a write");
            make("shared-shm").write_all(b"memory").expect("a write");
            fs::rename(directory.join("there"), directory.join("moved")).expect("another name");
            fs::remove_file(directory.join("unsynced")).expect("no name");
            make("unsynced").write_all(b"new").expect("a write");
        }
        "half" => {
            let mut named = make("named");
            sync_names();
            named.write_all(b"lost").expect("a write");
            let mut nameless = make("nameless");
            nameless.write_all(b"kept").expect("a write");
            nameless.sync_all().expect("a sync");
        }
        "no write" => {
            let mut file = OpenOptions::new().write(true).open(directory.join("synced")).expect("the file");
            file.seek(io::SeekFrom::End(0)).expect("its end");
            assert!(file.write_all(b"more").is_err() && file.set_len(0).is_err());
            assert!(OpenOptions::new().write(true).create_new(true).open(directory.join("another")).is_err());
            file.sync_all().expect("a sync");
        }
        "no sync" => {
            let mut file = OpenOptions::new().write(true).open(directory.join("synced")).expect("the file");
            file.write_all(b"lost").expect("a write");
            assert!(file.sync_all().is_err() && file.sync_data().is_err());
        }
        other => panic!("no script {other:?}"),
    }
    process::exit(0); // as SIGKILL would: nothing is tidied up
}

fn run(layer: &FileLayer, script: &str) {
    let mut program = process::Command::new(env::current_exe().expect("this test program"));
    program.args(["--exact", "layer::tests::a_program_below_the_layer"]).env(SCRIPT, script).envs(layer.env());
    let output = program.output().expect("a program");
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stdout));
}

const SCRIPT: &str = "HARNESS_TEST_SCRIPT";
