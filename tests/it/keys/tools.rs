//! The judges.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use tempfile::TempDir;

/// A folder with files for the judges.
pub struct Bench(TempDir);

impl Bench {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file that only we may read, as ssh-keygen wants it.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Runs openssl in the folder, which must succeed.
    pub fn openssl<T: AsRef<OsStr>>(&self, args: &[T]) -> String {
        let output = openssl(self.0.path(), args);
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let args: Vec<_> = args.iter().map(|arg| arg.as_ref().to_string_lossy()).collect();
        assert!(output.status.success(), "openssl {}\n{out}{err}", args.join(" "));
        format!("{out}{err}")
    }

    /// Runs ssh-keygen in the folder, which must succeed.
    pub fn ssh_keygen(&self, args: &[&str]) -> String {
        let output = run("ssh-keygen", "openssh-client", self.0.path(), args);
        assert!(output.status.success(), "ssh-keygen {args:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }
}

/// Runs openssl, whatever comes of it.
pub fn openssl<T: AsRef<OsStr>>(folder: &Path, args: &[T]) -> Output {
    run("openssl", "openssl", folder, args)
}

fn run<T: AsRef<OsStr>>(program: &str, package: &str, folder: &Path, args: &[T]) -> Output {
    Command::new(program).args(args).current_dir(folder).output().unwrap_or_else(|error| {
        panic!("{program}: {error}; this test asks it for its judgement: install the package {package}, as README.md lists it")
    })
}
