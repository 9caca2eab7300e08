//! The operator as a process of this host, under the ServiceAccount and the RBAC of the chart: a permission that the chart
//! forgets is missing here too.

use std::{
    collections::BTreeMap,
    env,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client, Config};

use crate::{
    chart::RELEASE_NAMESPACE,
    cluster::Cluster,
    front::Front,
    kubeconfig, ports,
    process::{Lifetime, Program, Service, Signal},
    state,
    wait::eventually,
};

/// How to run the operator.
#[derive(Clone, Debug)]
pub struct OperatorOptions {
    /// The program; by default what `CREDSMITH_BIN` names, else the one cargo built beside the program that is running.
    pub program: Option<PathBuf>,
    /// The namespace of the release.
    pub namespace: String,
    /// The ServiceAccount in it.
    pub service_account: String,
    /// Where store, log and kubeconfig lie; by default a new directory that goes with the cluster's. A second operator on the
    /// directory of the first finds its store.
    pub dir: Option<PathBuf>,
    /// `CREDSMITH_KEYS`: where the master keys come from. Where it is empty, from `master.key` in the directory, made where
    /// there is none: the tests read at the end what the stores hold, and need the keys for that.
    pub keys: String,
    /// `CREDSMITH_LOG`: a level, or levels by module.
    pub log: String,
    /// More environment; where it names a variable that is set here, it wins.
    pub env: Vec<(String, String)>,
    /// More arguments, after `run`.
    pub args: Vec<String>,
    /// Whether it ends with this process.
    pub lifetime: Lifetime,
}

impl Default for OperatorOptions {
    fn default() -> Self {
        Self {
            program: None,
            namespace: RELEASE_NAMESPACE.into(),
            service_account: "credsmith".into(),
            dir: None,
            keys: String::new(),
            log: "info".into(),
            env: Vec::new(),
            args: Vec::new(),
            lifetime: Lifetime::Owner,
        }
    }
}

/// A running operator. Dropping it kills it, unless it is detached.
#[derive(Debug)]
pub struct OperatorProcess {
    service: Service,
    config: Config,
    dir: PathBuf,
}

impl OperatorProcess {
    /// Starts it; [`ready`](Self::ready) waits for it. The chart has to be installed, for its ServiceAccount.
    pub async fn start(cluster: &Cluster, options: OperatorOptions) -> Result<Self> {
        let dir = match options.dir {
            Some(dir) => state::StateDir::kept(&dir)?.path().to_owned(),
            None => cluster.fresh_dir("operator")?,
        };
        let program = options.program.map_or_else(built_binary, Ok)?;
        let keys = if options.keys.is_empty() { key_in(&dir)? } else { options.keys };
        let account = dir.join("kubeconfig");
        kubeconfig::write_for_service_account(
            &account,
            cluster.kubeconfig(),
            &cluster.client()?,
            &options.namespace,
            &options.service_account,
            if options.lifetime == Lifetime::Owner { DAY } else { 30 * DAY },
        )
        .await?;
        let [https, plain] = ports::free()?;
        let mut env: BTreeMap<_, _> = [
            ("KUBECONFIG", account.display().to_string()),
            (NAMESPACE, options.namespace),
            ("CREDSMITH_STORE", format!("sqlite://{}/store.db", dir.display())),
            ("CREDSMITH_KEYS", keys),
            (LISTEN, format!("127.0.0.1:{https}")),
            (LISTEN_PLAIN, format!("127.0.0.1:{plain}")),
            ("CREDSMITH_LOG", options.log),
            ("HOME", dir.display().to_string()),
            ("RUST_BACKTRACE", "1".into()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        env.extend(options.env);
        let argv = [program.display().to_string(), "run".into()].into_iter().chain(options.args).collect();
        let program =
            Program { name: NAME.into(), argv, env, log: dir.join("operator.log"), lifetime: options.lifetime };
        let operator = Self { service: Service::new(program, &dir), config: cluster.config().clone(), dir };
        operator.service.start()?;
        Ok(operator)
    }

    /// The operator that an earlier process started in `dir`, running or not; `None` when there was none.
    pub fn open(cluster: &Cluster, dir: &Path) -> Result<Option<Self>> {
        let service = Service::recorded(dir, NAME)?;
        Ok(service.map(|service| Self { service, config: cluster.config().clone(), dir: dir.to_owned() }))
    }

    /// Waits until it calls itself ready, 60 s at most.
    ///
    /// # Errors
    /// At once when it has ended; with the tail of its log.
    pub async fn ready(&self) -> Result<()> {
        crate::use_one_tls_provider();
        let http = reqwest::Client::builder().no_proxy().timeout(ONE_QUESTION).build()?;
        let url = format!("{}/readyz", self.plain_url());
        let answered = eventually("the operator to be ready", Duration::from_secs(60), || async {
            if !self.service.alive() {
                return Ok(Some(Err(anyhow!("the operator has ended"))));
            }
            let answer = http.get(&url).send().await?;
            let status = answer.status();
            if status.is_success() { Ok(Some(Ok(()))) } else { bail!("{status}: {}", answer.text().await?) }
        });
        let answered = answered.await.and_then(|answered| answered);
        answered.with_context(|| format!("its log: {}", self.service.log_tail()))
    }

    /// SIGKILL, and waits until it is gone.
    pub fn kill(&self) -> Result<()> {
        self.service.kill()
    }

    /// SIGTERM, and waits for its end, 30 s at most.
    pub async fn terminate(&self) -> Result<()> {
        self.service.signal(Signal::TERM)?;
        self.service.gone(Duration::from_secs(30)).await
    }

    /// Starts it after a kill, with the same settings, store and ports.
    pub fn start_again(&self) -> Result<()> {
        self.service.start()
    }

    /// Ends it in good order and starts it again; does not wait until it is ready.
    pub async fn restart(&self) -> Result<()> {
        self.terminate().await?;
        self.start_again()
    }

    /// Where its HTTPS front is.
    pub fn url(&self) -> String {
        format!("https://{}", self.setting(LISTEN))
    }

    /// Where its plain listener is: `/healthz`, `/readyz`, `/metrics`.
    pub fn plain_url(&self) -> String {
        format!("http://{}", self.setting(LISTEN_PLAIN))
    }

    /// The certificate authority of its front, PEM, from the ConfigMap where every client finds it.
    pub async fn ca(&self) -> Result<String> {
        let maps: Api<ConfigMap> = Api::namespaced(Client::try_from(self.config.clone())?, self.namespace());
        let what = format!("ca.crt in ConfigMap {}/credsmith-ca", self.namespace());
        eventually(&what, Duration::from_secs(30), || async {
            let map = maps.get_opt("credsmith-ca").await?;
            Ok(map.and_then(|map| map.data?.remove("ca.crt")))
        })
        .await
    }

    /// A client for its front that names nobody yet.
    pub async fn front(&self) -> Result<Front> {
        Front::new(&self.url(), &self.ca().await?)
    }

    /// The namespace of its release.
    pub fn namespace(&self) -> &str {
        self.setting(NAMESPACE)
    }

    /// Its process, for signals, its pid and its log.
    pub fn process(&self) -> &Service {
        &self.service
    }

    /// Where its files are: `store.db`, `operator.log`, `kubeconfig`.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    fn setting(&self, name: &str) -> &str {
        self.service.program().env.get(name).map_or("", String::as_str)
    }
}

/// The program `credsmith`: what `CREDSMITH_BIN` names, else the one beside the program that is running (tests run in a directory
/// below it), else the debug build.
///
/// # Errors
/// Where none of them exists; with the command that builds it.
pub fn built_binary() -> Result<PathBuf> {
    if let Some(named) = env::var_os("CREDSMITH_BIN").filter(|path| !path.is_empty()) {
        let named = std::path::absolute(named)?;
        if !named.is_file() {
            bail!("CREDSMITH_BIN names {}, which is no file", named.display());
        }
        return Ok(named);
    }
    built_beside("credsmith").context("the operator is not built: run `cargo build --bin credsmith`")
}

/// A program of that name beside the one that is running (tests run in a directory below it), else the debug build.
///
/// # Errors
/// Where there is none.
pub fn built_beside(name: &str) -> Result<PathBuf> {
    let running = env::current_exe()?;
    let debug = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/debug");
    let places = running.ancestors().skip(1).take(2).chain([debug.as_path()]);
    let mut candidates = places.map(|dir| dir.join(name));
    candidates.find(|path| path.is_file()).with_context(|| format!("the program {name} is not built"))
}

/// The setting that names the master key of a directory, which gets one where it has none.
fn key_in(dir: &Path) -> Result<String> {
    let file = dir.join("master.key");
    if !file.exists() {
        state::write_private(&file, STANDARD.encode(state::random(32)))?;
    }
    Ok(format!("file:{}", file.display()))
}

/// How long one question for readiness may take: whoever else owns the port may never answer.
const ONE_QUESTION: Duration = Duration::from_secs(2);
const NAME: &str = "operator";
const NAMESPACE: &str = "CREDSMITH_NAMESPACE";
const LISTEN: &str = "CREDSMITH_LISTEN";
const LISTEN_PLAIN: &str = "CREDSMITH_LISTEN_PLAIN";
const DAY: i64 = 86_400;
