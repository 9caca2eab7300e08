//! Builds everything from a [`Config`], runs it, and ends it in good order. The only module that knows all the packages.

use std::{
    env, io,
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use axum_server::Handle;
use credsmith_api::{API_LEVEL, Api, Readiness, plain_router, router};
use credsmith_core::{
    auth::Verifier,
    domain::Epoch,
    hub::Hub,
    keyring::{KeyProvider, Keyring},
    material::{Material, Pool, PoolSettings},
    metrics::Metrics,
    store::Store,
    world::{SystemClock, SystemEntropy},
};
use credsmith_operator::{
    FirstLists, Operator,
    reviews::{AccessReviews, TokenReviews},
    root_key,
};
use credsmith_sql::OpenError;
use tokio::{
    signal::unix::{SignalKind, signal},
    task::JoinSet,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use crate::{
    config::{Config, KeySource, StoreUrl},
    error::Error,
    keys::{self, Configured, in_store},
    telemetry,
    tls::{self, Certificate, FrontCa},
};

/// Of this release.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Runs a command to its end. What it left behind is gone when this returns: the store is closed.
pub fn block_on<T>(command: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    // Several libraries ask for the provider of the process; it has to be there before the first of them does.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default(); // it is there already: fine
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Error::failure("the process", error, "give it threads to run on"))?;
    runtime.block_on(command)
}

/// `credsmith run`: until SIGTERM or SIGINT.
pub async fn run(config: Config) -> Result<(), Error> {
    telemetry::start(&config);
    tracing::info!(version = VERSION, ?config, "starting");
    let client = kubernetes().await?; // first: where there is no cluster, nothing is made
    let store = open_store(&config.store)?;
    let mut asked = Box::pin(asked_to_end());
    let mut plain = Plain::start(&config, store.clone(), Metrics::new())?;
    let keyring = tokio::select! {
        keyring = open_keyring(&config, store.as_ref(), &client) => keyring?,
        // While it waits for the API server, which may have the master keys.
        ended = &mut asked => return ended,
        Some(ended) = plain.tasks.join_next() => return unexpected(ended),
    };
    let epoch = store.raise_epoch().await.map_err(|error| in_store(&config.store, error))?;
    let clock = Arc::new(SystemClock);
    let keys = Pool::start(PoolSettings::with_ready(config.ready_keys.into()), clock.clone(), plain.metrics.clone());
    let hub = Arc::new(Hub {
        store: store.clone(),
        keyring: Arc::new(keyring),
        clock: clock.clone(),
        entropy: Arc::new(SystemEntropy),
        reviewer: Arc::new(AccessReviews::new(client.clone(), clock)),
        material: Material::new(Arc::new(keys)),
        metrics: plain.metrics.clone(),
    });
    hub.metrics.build.with_label_values(&[VERSION]).set(1);
    let tokens = TokenReviews::new(client.clone(), config.audience.clone(), hub.clock.clone());
    let mut process = Process::start(&config, hub, plain, vec![Arc::new(tokens)]).await?;
    let ended = process.operate(&config, client, epoch, asked).await;
    process.stop().await;
    drop(store);
    tracing::info!("stopped");
    ended
}

/// `credsmith keys list`: only looks, also beside the process that has the store.
pub async fn list_keys(config: Config) -> Result<keys::Listing, Error> {
    telemetry::start(&config);
    must_exist(&config.store)?;
    let rows = credsmith_sql::data_keys(config.store.as_str()).map_err(told)?;
    let client = kubernetes_for(&config.keys).await?;
    let mut configured = Vec::new();
    for source in &config.keys {
        let provider = master_key(&config, source, client.as_ref(), false, Patience::Tells).await;
        configured.push(Configured { source: source.clone(), provider });
    }
    Ok(keys::list(&rows, &configured).await)
}

/// `credsmith keys rewrap`.
pub async fn rewrap_keys(config: Config) -> Result<String, Error> {
    telemetry::start(&config);
    let store = open_store_for_keys(&config.store)?;
    let client = kubernetes_for(&config.keys).await?;
    let providers = master_keys(&config, client.as_ref(), false, Patience::Tells).await?;
    let (_, changes) = keys::open_keyring(store.as_ref(), &config.store, &providers, &SystemEntropy).await?;
    Ok(changes.to_string())
}

/// `credsmith crds`.
pub fn crds() -> String {
    let yaml = |crd| serde_yaml::to_string(&crd).expect("a definition is plain data");
    credsmith_operator::crds().into_iter().map(|crd| format!("---\n{}", yaml(crd))).collect()
}

/// What runs, and what it takes to end it.
struct Process {
    hub: Arc<Hub>,
    certificate: Arc<Certificate>,
    readiness: Arc<Ready>,
    front: Handle<SocketAddr>,
    plain: Handle<SocketAddr>,
    /// The front and the operator: what is drained.
    working: JoinSet<Result<(), Error>>,
    /// What goes on until everything else has ended.
    beside: JoinSet<Result<(), Error>>,
    /// Tells the operator to end.
    stop: CancellationToken,
}

impl Process {
    /// Opens the listeners.
    async fn start(
        config: &Config,
        hub: Arc<Hub>,
        plain: Plain,
        verifiers: Vec<Arc<dyn Verifier>>,
    ) -> Result<Self, Error> {
        let certificate = Arc::new(certificate(config, &hub).await?);
        let Plain { readiness, handle: plain, tasks: mut beside, .. } = plain;
        let (front, mut working) = (Handle::new(), JoinSet::new());

        let server = tls::bind("listen", config.listen).and_then(|listener| {
            tls::https(listener, certificate.tls(), &front).map_err(|error| broken("HTTPS front", &error))
        })?;
        let auth_server = config.auth_server.clone().or_else(|| config.public_url.clone());
        let auth_server = auth_server.unwrap_or_else(|| tls::service_url(&config.namespace));
        let api = Api { hub: hub.clone(), verifiers, version: API_LEVEL.into(), auth_server: Some(auth_server) };
        let serving = server.serve(router(api).into_make_service());
        working.spawn(async { serving.await.map_err(|error| broken("HTTPS front", &error)) });

        let renewing = certificate.clone();
        beside.spawn(async move {
            renewing.keep_renewed().await;
            Ok(())
        });
        let stop = CancellationToken::new();
        Ok(Self { hub, certificate, readiness, front, plain, working, beside, stop })
    }

    /// Reconciles until a signal comes, or until something ends that should not.
    async fn operate(
        &mut self,
        config: &Config,
        client: kube::Client,
        epoch: Epoch,
        asked: impl Future<Output = Result<(), Error>>,
    ) -> Result<(), Error> {
        let operator = Operator {
            client,
            hub: self.hub.clone(),
            epoch,
            namespace: config.namespace.clone(),
            key_secrets: config.keys.iter().filter_map(KeySource::secret).map(str::to_owned).collect(),
            authority: self.certificate.ca_pem().to_owned(),
            concurrency: config.workers,
            rotations_a_minute: config.rotations_per_minute.into(),
            instance: env::var("HOSTNAME").unwrap_or_else(|_| "credsmith".into()), // in a pod, its name
            first_lists: self.readiness.first_lists.clone(),
        };
        let operating = operator.run(self.stop.clone().cancelled_owned());
        self.working.spawn(async {
            let next = "start again, and report it with the lines of the log before";
            operating.await.map_err(|ended| Error::failure("the operator", ended, next))
        });
        tracing::info!(front = %config.listen, plain = %config.listen_plain, epoch = epoch.0, "running");
        tokio::select! {
            ended = asked => ended,
            Some(ended) = self.working.join_next() => unexpected(ended),
            Some(ended) = self.beside.join_next() => unexpected(ended),
        }
    }

    /// Not ready first, then no new work; what has begun has [`DRAIN`] to end.
    async fn stop(mut self) {
        tracing::info!("stopping");
        self.readiness.stopping.store(true, Ordering::Relaxed);
        self.stop.cancel();
        self.front.graceful_shutdown(Some(DRAIN));
        let drained = timeout(DRAIN, async { while self.working.join_next().await.is_some() {} }).await;
        if drained.is_err() {
            tracing::warn!(seconds = DRAIN.as_secs(), "given up: something did not end in time");
        }
        self.front.shutdown();
        self.plain.shutdown();
        self.working.shutdown().await;
        self.beside.shutdown().await;
    }
}

/// The plain listener. It is there before the master keys are: a process that waits for them is alive.
struct Plain {
    metrics: Metrics,
    readiness: Arc<Ready>,
    handle: Handle<SocketAddr>,
    tasks: JoinSet<Result<(), Error>>,
}

impl Plain {
    fn start(config: &Config, store: Arc<dyn Store>, metrics: Metrics) -> Result<Self, Error> {
        let readiness = Arc::new(Ready::new(store));
        let (handle, mut tasks) = (Handle::new(), JoinSet::new());
        let server = tls::bind("listenPlain", config.listen_plain)
            .and_then(|listener| tls::plain(listener, &handle).map_err(|error| broken("plain listener", &error)))?;
        let serving = server.serve(plain_router(metrics.clone(), readiness.clone()).into_make_service());
        tasks.spawn(async { serving.await.map_err(|error| broken("plain listener", &error)) });
        Ok(Self { metrics, readiness, handle, tasks })
    }
}

/// Until SIGTERM or SIGINT comes.
fn asked_to_end() -> impl Future<Output = Result<(), Error>> {
    let signals = [SignalKind::terminate(), SignalKind::interrupt()].map(signal);
    async {
        let broken = |error| broken("signals", &error);
        let [terminate, interrupt] = signals;
        let (mut terminate, mut interrupt) = (terminate.map_err(broken)?, interrupt.map_err(broken)?);
        tokio::select! {
            _ = terminate.recv() => Ok(()),
            _ = interrupt.recv() => Ok(()),
        }
    }
}

/// Whether the process can serve.
#[derive(Debug)]
struct Ready {
    store: Arc<dyn Store>,
    /// What the operator has not seen yet. An API server that goes away later changes nothing: the front goes on with the
    /// callers it knows.
    first_lists: Arc<FirstLists>,
    stopping: AtomicBool,
}

impl Ready {
    fn new(store: Arc<dyn Store>) -> Self {
        Self { store, first_lists: Arc::default(), stopping: AtomicBool::new(false) }
    }
}

#[async_trait]
impl Readiness for Ready {
    async fn check(&self) -> Result<(), String> {
        if self.stopping.load(Ordering::Relaxed) {
            return Err("it is stopping".into());
        }
        self.first_lists.check()?;
        self.store.ping().await.map_err(|error| {
            tracing::warn!(%error, "not ready");
            "the store is not available".into()
        })
    }
}

fn open_store(url: &StoreUrl) -> Result<Arc<dyn Store>, Error> {
    credsmith_sql::open(url.as_str()).map_err(told)
}

/// The same for `keys rewrap`, which makes no store and may find the process running.
fn open_store_for_keys(url: &StoreUrl) -> Result<Arc<dyn Store>, Error> {
    must_exist(url)?;
    credsmith_sql::open(url.as_str()).map_err(|error| match error {
        OpenError::InUse { pid, .. } => {
            let by = pid.map_or("another process".to_owned(), |pid| format!("the process with pid {pid}"));
            let next = "start that process again with these keys, which does the same; or stop it first";
            Error::failure(format!("store {url}"), format!("it is in use by {by}"), next)
        }
        error => told(error),
    })
}

fn must_exist(url: &StoreUrl) -> Result<(), Error> {
    if url.file().is_none_or(Path::exists) {
        return Ok(());
    }
    let next = "give the store of the release, by --store, CREDSMITH_STORE or --config";
    Err(Error::failure(format!("store {url}"), "there is none", next))
}

fn told(error: OpenError) -> Error {
    match error {
        OpenError::Url(_) | OpenError::Postgres => Error::about("setting store", error).as_usage(),
        error => Error::told(error),
    }
}

async fn kubernetes() -> Result<kube::Client, Error> {
    let next = "run it in a pod with a ServiceAccount, or name a kubeconfig file in KUBECONFIG";
    kube::Client::try_default().await.map_err(|error| Error::failure("the Kubernetes API", error, next))
}

async fn kubernetes_for(sources: &[KeySource]) -> Result<Option<kube::Client>, Error> {
    let needed = sources.iter().any(|source| matches!(source, KeySource::Secret(_)));
    if needed { kubernetes().await.map(Some) } else { Ok(None) }
}

async fn open_keyring(config: &Config, store: &dyn Store, client: &kube::Client) -> Result<Keyring, Error> {
    let in_store = |error| in_store(&config.store, error);
    let may_make = keys::may_make_master_key(store).await.map_err(in_store)?;
    let providers = master_keys(config, Some(client), may_make, Patience::Waits).await?;
    let (keyring, changes) = keys::open_keyring(store, &config.store, &providers, &SystemEntropy).await?;
    if !changes.is_empty() {
        changes.to_string().lines().for_each(|change| tracing::info!("{change}"));
    }
    for row in store.data_keys().await.map_err(in_store)? {
        let (purpose, wrapped_by) = (row.purpose.as_str(), row.wrapped.master.as_str());
        tracing::info!(id = %row.id, purpose, active = row.active, wrapped_by, "data key");
    }
    Ok(keyring)
}

/// What to do while the API server that has a master key is away.
#[derive(Clone, Copy, Debug)]
enum Patience {
    /// A process that ended would be started again and again.
    Waits,
    /// Somebody is at the shell.
    Tells,
}

async fn master_keys(
    config: &Config,
    client: Option<&kube::Client>,
    may_make: bool,
    patience: Patience,
) -> Result<Vec<Box<dyn KeyProvider>>, Error> {
    let mut providers = Vec::new();
    for source in &config.keys {
        providers.push(master_key(config, source, client, may_make, patience).await?);
    }
    Ok(providers)
}

async fn master_key(
    config: &Config,
    source: &KeySource,
    client: Option<&kube::Client>,
    may_make: bool,
    patience: Patience,
) -> Result<Box<dyn KeyProvider>, Error> {
    match source {
        KeySource::File(path) => keys::from_file(path),
        KeySource::Passphrase(path) => keys::from_passphrase(path),
        KeySource::Secret(name) => {
            let client = client.expect("there is a client where a key is a Secret");
            let obtain = || root_key::obtain(client, &config.namespace, name, may_make, &SystemEntropy);
            let key = match patience {
                Patience::Waits => root_key::awaited(obtain).await,
                Patience::Tells => obtain().await,
            };
            key.map(|key| Box::new(key) as _).map_err(|error| Error::about(format!("master key {source}"), error))
        }
    }
}

async fn certificate(config: &Config, hub: &Hub) -> Result<Certificate, Error> {
    let (clock, entropy) = (hub.clock.clone(), hub.entropy.clone());
    let ca = FrontCa::obtain(hub.store.as_ref(), &config.store, &hub.keyring, clock.as_ref(), entropy.as_ref()).await?;
    Ok(Certificate::new(ca, tls::names(&config.namespace, &config.names), clock, entropy))
}

fn broken(what: &str, error: &io::Error) -> Error {
    Error::failure(what, error, "start again")
}

fn unexpected(ended: Result<Result<(), Error>, tokio::task::JoinError>) -> Result<(), Error> {
    match ended {
        Ok(Ok(())) => Err(Error::failure("the process", "a part of it ended by itself", "start again, and report it")),
        Ok(Err(error)) => Err(error),
        Err(_) => {
            Err(Error::failure("the process", "a part of it panicked", "read the log, start again, and report it"))
        }
    }
}

/// For what has begun when the end is asked for.
const DRAIN: Duration = Duration::from_secs(20);

#[cfg(test)]
mod tests {
    use credsmith_core::store::InMemory;

    use super::*;

    #[test]
    fn a_command_about_keys_makes_no_store() {
        let dir = tempfile::tempdir().unwrap();
        let url = StoreUrl::new(format!("sqlite://{}/store.db", dir.path().display()));
        assert_eq!(
            open_store_for_keys(&url).unwrap_err().to_string(),
            format!(
                "store {url}: there is none; give the store of the release, by --store, CREDSMITH_STORE or --config"
            )
        );
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn a_command_about_keys_says_who_has_the_store() {
        let dir = tempfile::tempdir().unwrap();
        let url = StoreUrl::new(format!("sqlite://{}/store.db", dir.path().display()));
        let _running = open_store(&url).unwrap();
        assert_eq!(
            open_store_for_keys(&url).unwrap_err().to_string(),
            format!(
                "store {url}: it is in use by the process with pid {}; start that process again with these keys, which \
                 does the same; or stop it first",
                std::process::id()
            )
        );
    }

    #[test]
    fn a_url_of_no_store_is_bad_configuration() {
        let error = open_store(&StoreUrl::new("postgres://me:hunter2@db")).unwrap_err();
        assert_eq!(error.exit_code(), std::process::ExitCode::from(2));
        assert!(error.to_string().starts_with("setting store: ") && !error.to_string().contains("hunter2"), "{error}");
    }

    #[tokio::test]
    async fn a_process_that_stops_is_not_ready() {
        let ready = Ready::new(Arc::new(InMemory::new()));
        assert_eq!(ready.check().await, Err("credentials are not listed yet".into()));
        ready.stopping.store(true, Ordering::Relaxed);
        assert_eq!(ready.check().await, Err("it is stopping".into()));
    }

    #[test]
    fn every_definition_is_a_document_of_its_own() {
        let documents = crds();
        assert_eq!(documents.matches("kind: CustomResourceDefinition\n").count(), credsmith_operator::crds().len());
        assert!(documents.starts_with("---\n"));
    }
}
