//! What Cargo cannot see. Each failure says what to do next.

use std::{
    fs,
    path::{Path, PathBuf},
};

#[test]
fn inside_core_the_arrows_run_one_way() {
    let found = arrows(&root().join("src/core"));
    assert!(
        found.is_empty(),
        "{found:#?}\nmove the code to the module that may know the other, or hand it in as an argument"
    );
}

#[test]
fn the_search_for_arrows_can_fail() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("domain")).unwrap();
    fs::write(dir.path().join("domain/name.rs"), "use crate::{hub::Hub, world::Entropy};\n").unwrap();
    fs::write(dir.path().join("store.rs"), "fn f() { crate::hub::g() }\n// crate::hub is named in a comment\n")
        .unwrap();
    assert_eq!(arrows(dir.path()), ["domain/name.rs knows hub", "store.rs knows hub"]);
}

#[test]
fn the_definitions_that_are_checked_in_are_those_of_the_code() {
    for crd in credsmith_operator::crds() {
        let name = crd.metadata.name.clone().unwrap();
        let yaml = serde_yaml::to_string(&crd).unwrap();
        assert!(yaml.len() < 100_000, "{name} has {} bytes: kubectl apply keeps a copy and takes 256 kB", yaml.len());
        for folder in ["crds", "charts/credsmith/crds"] {
            same_or_blessed(&root().join(folder).join(format!("{name}.yaml")), &yaml);
        }
    }
}

#[test]
fn the_image_is_built_with_the_pinned_toolchain() {
    let read = |path: &str| fs::read_to_string(root().join(path)).unwrap();
    let (toolchain, image) = (read("rust-toolchain.toml"), read("deploy/Containerfile"));
    let pinned = toolchain.lines().find_map(|line| line.strip_prefix("channel = ")).unwrap().trim_matches('"');
    let base = image.lines().find_map(|line| line.strip_prefix("FROM docker.io/library/rust:")).unwrap();
    assert!(
        base.starts_with(&format!("{pinned}-")),
        "deploy/Containerfile builds with rust:{base}, and rust-toolchain.toml pins {pinned}: name the same in both"
    );
    let user = read("charts/credsmith/templates/statefulset.yaml");
    assert!(
        user.contains("runAsUser: 65532") && image.contains("USER 65532:65532"),
        "chart and image name another user"
    );
}

#[test]
fn no_file_is_longer_than_a_reader_can_hold() {
    let long: Vec<_> = rust_files(&root().join("src"))
        .into_iter()
        .map(|file| (fs::read_to_string(&file).unwrap().lines().count(), file))
        .filter(|(lines, _)| *lines > 700)
        .collect();
    assert!(long.is_empty(), "{long:#?}\nfind the seam: a file is split when a reader needs only half of it");
}

/// Which modules of core know one that stands after them.
fn arrows(core: &Path) -> Vec<String> {
    // In the order of reading: each may know those before it; keyring and store are beside each other, the store knows
    // what is sealed.
    const MAY_KNOW: [(&str, &[&str]); 9] = [
        ("world", &[]),
        ("domain", &["world"]),
        ("auth", &["world", "domain"]),
        ("metrics", &[]),
        ("probe", &[]), // for sql and operator; nobody in here knows it
        ("keyring", &["world", "domain"]),
        ("material", &["world", "domain", "metrics"]),
        ("store", &["world", "domain", "keyring"]),
        ("hub", &["world", "domain", "auth", "metrics", "keyring", "material", "store"]),
    ];
    let mut found = Vec::new();
    for file in rust_files(core) {
        let inside = file.strip_prefix(core).unwrap().to_owned();
        let module = inside.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs").to_owned();
        let Some((_, may)) = MAY_KNOW.iter().find(|(name, _)| *name == module) else { continue };
        let text = fs::read_to_string(&file).unwrap();
        // Tests stand at the bottom, and may use whatever they need.
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        let code: String =
            code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
        for (other, _) in MAY_KNOW {
            if other != module && !may.contains(&other) && names(&code, other) && !inside.ends_with("tests.rs") {
                found.push(format!("{} knows {other}", inside.display()));
            }
        }
    }
    found.sort();
    found
}

/// Whether code names a module of its crate, as a path or inside a braced import.
fn names(code: &str, module: &str) -> bool {
    if code.contains(&format!("crate::{module}")) {
        return true;
    }
    code.split("use crate::{").skip(1).any(|rest| {
        let mut depth = 0;
        let mut start = true;
        let mut word = String::new();
        for c in rest.chars() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => return word.trim() == module,
                '}' => depth -= 1,
                ',' if depth == 0 => {
                    if word.trim() == module {
                        return true;
                    }
                    (word, start) = (String::new(), true);
                    continue;
                }
                ':' if depth == 0 => {
                    if start && word.trim() == module {
                        return true;
                    }
                    start = false;
                }
                _ => {}
            }
            if depth == 0 && start {
                word.push(c);
            }
        }
        false
    })
}

/// Compares a file with what it should hold; with `BLESS=1` writes it.
fn same_or_blessed(file: &Path, expected: &str) {
    if std::env::var_os("BLESS").is_some() {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, expected).unwrap();
    }
    let held = fs::read_to_string(file).unwrap_or_default();
    assert!(held == expected, "{} is stale: run `make generate` and commit what it changes", file.display());
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
