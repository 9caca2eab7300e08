//! The programs of the control plane, `kubectl` and `helm`: where they are, and building them once.

use std::{
    env, fs,
    fs::{File, OpenOptions},
    io::Write as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use crate::{process::log_tail, state};

/// A program the harness runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    Etcd,
    Etcdctl,
    Apiserver,
    ControllerManager,
    Kubectl,
    Helm,
}

impl Program {
    /// Everything a control plane of our own needs.
    pub const ALL: [Self; 6] =
        [Self::Etcd, Self::Etcdctl, Self::Apiserver, Self::ControllerManager, Self::Kubectl, Self::Helm];
    /// What a cluster named by `CONTEXT` needs.
    pub const CLIENTS: [Self; 2] = [Self::Kubectl, Self::Helm];

    fn file(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::Etcdctl => "etcdctl",
            Self::Apiserver => "kube-apiserver",
            Self::ControllerManager => "kube-controller-manager",
            Self::Kubectl => "kubectl",
            Self::Helm => "helm",
        }
    }

    fn module(self) -> &'static Module {
        match self {
            Self::Etcd | Self::Etcdctl => &MODULES[0],
            Self::Apiserver | Self::ControllerManager | Self::Kubectl => &MODULES[1],
            Self::Helm => &MODULES[2],
        }
    }
}

/// Where the programs are.
#[derive(Clone, Debug)]
pub struct Tools {
    /// `KUBEBUILDER_ASSETS`, when set; what is not expected there comes from the cache.
    assets: Option<PathBuf>,
    /// `bin` in the cache.
    built: PathBuf,
}

impl Tools {
    /// Finds the programs, and builds those that are missing or whose pins have moved since; tells its progress on standard
    /// error. Blocks: a first build takes about 15 minutes on two cores, later calls a few milliseconds.
    ///
    /// # Errors
    /// When `KUBEBUILDER_ASSETS` lacks what it is to have, when something has to be built and Go is missing or too old, or when the
    /// build fails; with what to do.
    pub fn with(needed: &[Program]) -> Result<Self> {
        let cache = state::cache()?;
        let assets = env::var_os("KUBEBUILDER_ASSETS").filter(|dir| !dir.is_empty()).map(std::path::absolute);
        let assets = assets.transpose()?;
        if let Some(dir) = &assets {
            check_assets(dir, needed)?;
        }
        let tools = Self { assets, built: cache.join("bin") };
        for module in &MODULES {
            let mut from_here =
                needed.iter().filter(|program| program.module() == module && !tools.is_asset(**program));
            if from_here.any(|program| !tools.built.join(program.file()).exists() || !module.is_current(&tools.built)) {
                module.build(&cache)?;
            }
        }
        Ok(tools)
    }

    /// [`with`](Self::with), for callers that must not block.
    pub async fn find(needed: &'static [Program]) -> Result<Self> {
        tokio::task::spawn_blocking(|| Self::with(needed)).await?
    }

    /// The file of a program.
    pub fn path(&self, program: Program) -> PathBuf {
        let dir = if self.is_asset(program) { self.assets.as_ref() } else { None };
        dir.unwrap_or(&self.built).join(program.file())
    }

    /// The directories to put in front of `PATH`, so that a shell finds these programs first.
    pub fn directories(&self) -> impl Iterator<Item = &Path> {
        self.assets.iter().chain([&self.built]).map(PathBuf::as_path)
    }

    fn is_asset(&self, program: Program) -> bool {
        self.assets.as_ref().is_some_and(|dir| dir.join(program.file()).exists())
    }
}

/// Whoever names a directory does not want other programs from elsewhere, unseen. What `setup-envtest` never has is not
/// asked of it.
fn check_assets(dir: &Path, needed: &[Program]) -> Result<()> {
    let missing = ASSETS.iter().filter(|program| needed.contains(program) && !dir.join(program.file()).is_file());
    let missing: Vec<_> = missing.map(|program| program.file()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    bail!(
        "KUBEBUILDER_ASSETS names {}, which {} {}: let it name a directory with {} (setup-envtest use --print path), or unset it to \
         build them",
        dir.display(),
        if dir.is_dir() { "lacks" } else { "is no directory; there are to be" },
        missing.join(", "),
        ASSETS.map(Program::file).join(", ")
    );
}

/// One of the Go modules in `e2e/tools`.
#[derive(Debug, PartialEq, Eq)]
struct Module {
    name: &'static str,
    /// How long a first build takes.
    usual: &'static str,
}

const MODULES: [Module; 3] = [
    Module { name: "etcd", usual: "2 min" },
    Module { name: "kubernetes", usual: "10 min" },
    Module { name: "helm", usual: "3 min" },
];

impl Module {
    /// True when the programs in `bin` were built from the pins and flags that stand beside us now.
    fn is_current(&self, bin: &Path) -> bool {
        self.pins().is_ok_and(|pins| fs::read_to_string(self.stamp(bin)).is_ok_and(|stamp| stamp == pins))
    }

    /// Builds into the cache. A build that another process has begun is waited for, and its result used.
    fn build(&self, cache: &Path) -> Result<()> {
        state::make(&cache.join("log"))?;
        state::make(&cache.join("bin"))?;
        let pins = self.pins()?;
        let log = cache.join(format!("log/build-{}.log", self.name));
        let lock = cache.join("build.lock");
        let busy = File::create(&lock)?.try_lock().is_err();
        let started = Instant::now();
        let mut building = self.start(cache, &lock, &log)?;
        building.waits = busy;
        let ended = loop {
            if let Some(ended) = building.wait(SOON)? {
                break ended;
            }
            building.tell(self);
        };
        if !ended {
            bail!("building {} failed; {}", self.name, log_tail(&log));
        }
        if building.told.is_some() {
            say(&format!("building {}: done after {} s", self.name, started.elapsed().as_secs()));
        }
        fs::write(self.stamp(&cache.join("bin")), pins)?;
        Ok(())
    }

    fn start(&self, cache: &Path, lock: &Path, log: &Path) -> Result<Building> {
        let go = go()?;
        let output = OpenOptions::new().write(true).create(true).truncate(true).open(log)?;
        // flock(1) keeps the lock in the build itself, down to the last compiler, so it holds even when we are killed.
        let child = Command::new("flock")
            .arg(lock)
            .args(["bash", TOOLS_BUILD, self.name])
            .env("CACHE", cache)
            .env("PATH", format!("{}:{}", go.display(), env::var("PATH").unwrap_or_default()))
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .context("cannot start the build: flock comes with util-linux, bash with bash; install both")?;
        Ok(Building { child, started: Instant::now(), told: None, waits: false })
    }

    /// A hash of everything of ours that the result depends on. The toolchain counts too, but only while building.
    fn pins(&self) -> Result<String> {
        let mut content = fs::read(TOOLS_BUILD).with_context(|| format!("cannot read {TOOLS_BUILD}"))?;
        for file in ["go.mod", "go.sum", "main.go"] {
            // Not each module has a main.go of its own.
            content.extend(fs::read(format!("{TOOLS}/{}/{file}", self.name)).unwrap_or_default());
        }
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &content);
        Ok(hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect())
    }

    fn stamp(&self, bin: &Path) -> PathBuf {
        bin.join(format!(".{}.pins", self.name))
    }
}

struct Building {
    child: Child,
    started: Instant,
    told: Option<Instant>,
    /// For another process that builds.
    waits: bool,
}

impl Building {
    /// True for a success, `None` when it has not ended after `most`.
    fn wait(&mut self, most: Duration) -> Result<Option<bool>> {
        let start = Instant::now();
        while start.elapsed() < most {
            if let Some(status) = self.child.try_wait()? {
                return Ok(Some(status.success()));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(None)
    }

    /// What is in the cache is there within a second, so nothing was told until then.
    fn tell(&mut self, Module { name, usual }: &Module) {
        let doing = if self.waits { "waiting for another process, then building" } else { "building" };
        if self.told.is_none() {
            say(&format!("{doing} {name} (once, about {usual} on 2 cores) ..."));
        } else if self.told.is_some_and(|told| told.elapsed() >= EVERY) {
            say(&format!("{doing} {name}: {} s", self.started.elapsed().as_secs()));
        } else {
            return;
        }
        self.told = Some(Instant::now());
    }
}

/// The directory of a Go that is new enough: the first in `PATH`, else where go.dev's own instructions put it.
fn go() -> Result<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut found = "none was found".to_owned();
    for dir in env::split_paths(&path).chain([PathBuf::from("/usr/local/go/bin")]) {
        match go_version(&dir) {
            Some(version) if version >= OLDEST_GO => return Ok(dir),
            Some((major, minor)) => found = format!("found {major}.{minor} in {}", dir.display()),
            None => {}
        }
    }
    let (major, minor) = OLDEST_GO;
    bail!(
        "Go {major}.{minor} or newer is needed, once, to build the programs of the control plane; {found}. Install it from \
         https://go.dev/dl and put it in PATH, or set KUBEBUILDER_ASSETS to a directory with etcd, etcdctl, kube-apiserver, \
         kube-controller-manager, kubectl and helm."
    )
}

fn go_version(dir: &Path) -> Option<(u32, u32)> {
    let told = Command::new(dir.join("go")).arg("version").env("GOTOOLCHAIN", "local").output().ok()?;
    let told = String::from_utf8(told.stdout).ok()?; // go version go1.26.8 linux/amd64
    let (major, rest) = told.split_whitespace().nth(2)?.strip_prefix("go")?.split_once('.')?;
    let minor = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// One line on standard error, also from within a test: the test framework keeps back what `eprintln!` prints, and a
/// silent wait of ten minutes looks like a hang.
pub(crate) fn say(line: &str) {
    writeln!(std::io::stderr(), "{line}").ok();
}

/// What `setup-envtest` puts into a directory.
const ASSETS: [Program; 3] = [Program::Etcd, Program::Apiserver, Program::Kubectl];
const TOOLS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tools");
const TOOLS_BUILD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tools/build.sh");
const OLDEST_GO: (u32, u32) = (1, 26);
const SOON: Duration = Duration::from_secs(1);
const EVERY: Duration = Duration::from_secs(15);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_lacks_what_it_is_to_have_is_no_place_for_programs() -> Result<()> {
        let dir = tempfile::tempdir()?;
        let nowhere = check_assets(Path::new("/nope"), &Program::ALL).unwrap_err().to_string();
        assert_eq!(
            nowhere,
            "KUBEBUILDER_ASSETS names /nope, which is no directory; there are to be etcd, kube-apiserver, kubectl: let it name a \
             directory with etcd, kube-apiserver, kubectl (setup-envtest use --print path), or unset it to build them"
        );
        for name in ["etcd", "kubectl"] {
            fs::write(dir.path().join(name), "")?;
        }
        let lacking = check_assets(dir.path(), &Program::ALL).unwrap_err().to_string();
        assert!(lacking.contains("which lacks kube-apiserver: let it name"), "{lacking}");
        // For the cluster of somebody else nothing else is needed.
        check_assets(dir.path(), &Program::CLIENTS)?;
        fs::write(dir.path().join("kube-apiserver"), "")?;
        check_assets(dir.path(), &Program::ALL)
    }
}
