//! A control plane of our own: etcd, kube-apiserver and kube-controller-manager on loopback.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, anyhow};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::{Api, Client, Config};

use crate::{
    audit::{self, Audit, AuditEvent},
    flags::{self, Ports},
    kubeconfig, pki, ports,
    process::{self, Lifetime, Program, Service, Signal},
    state::{StateDir, write_private},
    tools::{Program as Tool, Tools},
    wait::eventually,
};

/// What a control plane is to be like.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// What its audit log records.
    pub audit: Audit,
    /// Where it keeps its state. With a directory it survives this process, until [`ControlPlane::down`]. Without one the state
    /// is in a temporary directory and the components end with this process, however that one ends.
    pub dir: Option<PathBuf>,
}

/// One of the three processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Component {
    Etcd,
    Apiserver,
    ControllerManager,
}

/// A running control plane: RBAC on, Secrets encrypted at rest, audit log on, closed to callers without a name except for health.
///
/// Dropping it kills its processes, unless it was started to survive.
#[derive(Debug)]
pub struct ControlPlane {
    etcd: Service,
    apiserver: Service,
    controller_manager: Service,
    ports: Ports,
    admin: Config,
    tools: Tools,
    dir: StateDir, // the last: it goes when the processes are gone
}

impl ControlPlane {
    /// Starts one and waits until it has its first ServiceAccount: 4 to 6 s, and 15 minutes once on a machine where the programs
    /// have to be built.
    ///
    /// # Errors
    /// When a component ends or is not ready in time; with the tail of its log.
    pub async fn start(options: Options) -> Result<Self> {
        let tools = Tools::find(&Tool::ALL).await?;
        let mut started = Self::attempt(&options, &tools).await;
        for _ in 1..5 {
            match started {
                Err(error) if error.is::<PortTaken>() => started = Self::attempt(&options, &tools).await,
                _ => break,
            }
        }
        started
    }

    /// The control plane that an earlier process started in `dir`, running or not; `None` when there is none.
    pub async fn open(dir: &Path) -> Result<Option<Self>> {
        let Ok(ports) = fs::read(dir.join(PORTS)) else { return Ok(None) };
        let dir = StateDir::kept(dir)?;
        let records = dir.sub("run")?;
        let recorded = |name| Service::recorded(&records, name)?.with_context(|| format!("{name} was never started"));
        Ok(Some(Self {
            etcd: recorded(ETCD)?,
            apiserver: recorded(APISERVER)?,
            controller_manager: recorded(CONTROLLER_MANAGER)?,
            ports: serde_json::from_slice(&ports)?,
            admin: kubeconfig::config(&dir.path().join(ADMIN)).await?,
            tools: Tools::find(&Tool::ALL).await?,
            dir,
        }))
    }

    /// The kubeconfig of a member of `system:masters`: everything is allowed to it.
    pub fn admin_kubeconfig(&self) -> PathBuf {
        self.dir.path().join(ADMIN)
    }

    /// A client for the same user, for the async runtime it is called in: hand none from one test to another.
    pub fn client(&self) -> Result<Client> {
        Ok(Client::try_from(self.admin.clone())?)
    }

    /// Sends a signal to a component; after SIGKILL and SIGTERM waits until it has ended.
    pub async fn kill(&self, component: Component, signal: Signal) -> Result<()> {
        let service = self.service(component);
        service.signal(signal)?;
        if matches!(signal, Signal::KILL | Signal::TERM) { service.gone(Duration::from_secs(30)).await } else { Ok(()) }
    }

    /// Ends a component in good order and waits for that: the API server takes seconds.
    pub async fn stop(&self, component: Component) -> Result<()> {
        self.kill(component, Signal::TERM).await
    }

    /// Starts a component with the same arguments as before and waits until it serves. Of etcd and the API server start etcd
    /// first: the other is not ready without it.
    pub async fn start_again(&self, component: Component) -> Result<()> {
        self.service(component).start()?;
        match component {
            Component::Etcd => {
                eventually("etcd to serve", Duration::from_secs(30), async || self.revision().await.map(Some)).await?;
            }
            Component::Apiserver => self.ready().await?,
            Component::ControllerManager => {}
        }
        Ok(())
    }

    /// True while a component runs.
    pub fn is_running(&self, component: Component) -> bool {
        self.service(component).alive()
    }

    /// The process id of a component while it runs, for what the kernel knows of it.
    pub fn pid(&self, component: Component) -> Option<u32> {
        self.service(component).pid()
    }

    /// Waits until the API server calls itself ready.
    ///
    /// # Errors
    /// At once when it or etcd has ended, and after 90 s; with the tail of the log.
    pub async fn ready(&self) -> Result<()> {
        crate::use_one_tls_provider();
        let ca = reqwest::Certificate::from_pem(&fs::read(self.dir.path().join("pki/ca.crt"))?)?;
        let http = reqwest::Client::builder().tls_certs_only([ca]).no_proxy().timeout(ONE_QUESTION).build()?;
        let url = format!("https://127.0.0.1:{}/readyz", self.ports.apiserver);
        let answered = eventually("the API server to be ready", Duration::from_secs(90), || async {
            if let Some(dead) = [&self.etcd, &self.apiserver].into_iter().find(|service| !service.alive()) {
                return Ok(Some(Err(anyhow!("{} has ended; its log: {}", dead.name(), dead.log_tail()))));
            }
            let answer = http.get(&url).send().await?;
            Ok(answer.status().is_success().then_some(Ok(())))
        });
        answered.await.with_context(|| format!("its log: {}", self.apiserver.log_tail()))?
    }

    /// The file of the audit log.
    pub fn audit_log(&self) -> PathBuf {
        flags::audit_log(self.dir.path())
    }

    /// Everything in the audit log; [`audit::read`] reads only what is new. The API server writes an event a moment after it
    /// answered, so wait with [`eventually`] for one you expect.
    pub fn audit_events(&self) -> Result<Vec<AuditEvent>> {
        audit::read(&self.audit_log(), &mut 0)
    }

    /// Where its files are: `log`, `pki`, `etc`, `etcd`.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The programs it was started from.
    pub fn tools(&self) -> &Tools {
        &self.tools
    }

    pub(crate) fn ports(&self) -> Ports {
        self.ports
    }

    /// Kills its processes, also those that were to survive.
    pub fn down(&self) -> Result<()> {
        let services = [&self.controller_manager, &self.apiserver, &self.etcd];
        // SIGKILL, for an orderly end takes seconds and the data is thrown away; all at once, then wait.
        services.iter().try_for_each(|service| service.signal(Signal::KILL))?;
        services.iter().try_for_each(|service| service.kill())
    }

    async fn attempt(options: &Options, tools: &Tools) -> Result<Self> {
        let (dir, lifetime) = match &options.dir {
            Some(dir) => (StateDir::kept(dir)?, Lifetime::Detached),
            None => (StateDir::temporary("control-plane")?, Lifetime::Owner),
        };
        // What a failed or interrupted attempt left would make this one look failed, or mix two etcd clusters.
        process::end_all(&dir.path().join("run"))?;
        for old in ["etcd", "log", "run"] {
            fs::remove_dir_all(dir.path().join(old)).ok();
        }
        fs::remove_file(dir.path().join(PORTS)).ok();
        let mut plane = Self::prepare(options.audit, lifetime, dir, tools.clone()).await?;
        plane.etcd.start()?;
        plane.apiserver.start()?;
        let started = async {
            plane.ready().await?;
            // Not before: without an API server to talk to it would only take processor time from it.
            plane.controller_manager.start()?;
            plane.first_service_account().await
        };
        let Err(error) = started.await else {
            // The last file, so that where it is everything is.
            write_private(&plane.dir.path().join(PORTS), serde_json::to_vec(&plane.ports)?)?;
            return Ok(plane);
        };
        plane.down()?; // also where it was to survive
        plane.dir.leave(); // the error names its logs
        let logs = [&plane.etcd, &plane.apiserver].map(|service| fs::read(service.log()).unwrap_or_default()).concat();
        Err(if ports::clash(&String::from_utf8_lossy(&logs)) { error.context(PortTaken) } else { error })
    }

    async fn prepare(audit: Audit, lifetime: Lifetime, dir: StateDir, tools: Tools) -> Result<Self> {
        let path = dir.path();
        let [etcd, etcd_peer, apiserver] = ports::free()?;
        let ports = Ports { etcd, etcd_peer, apiserver };
        pki::write(&dir.sub("pki")?)?;
        dir.sub("etc")?;
        flags::write_files(path, audit)?;
        let server = format!("https://127.0.0.1:{}", ports.apiserver);
        for (file, user) in [(ADMIN, "admin"), ("kube-controller-manager.kubeconfig", "kube-controller-manager")] {
            kubeconfig::write_for_certificate(&path.join(file), &server, &path.join("pki"), user)?;
        }
        let (logs, records) = (dir.sub("log")?, dir.sub("run")?);
        let service = |name: &str, argv| {
            let log = logs.join(format!("{name}.log"));
            Service::new(Program { name: name.into(), argv, env: Default::default(), log, lifetime }, &records)
        };
        Ok(Self {
            etcd: service(ETCD, flags::etcd(&tools, path, ports)),
            apiserver: service(APISERVER, flags::apiserver(&tools, path, ports)),
            controller_manager: service(CONTROLLER_MANAGER, flags::controller_manager(&tools, path)),
            ports,
            admin: kubeconfig::config(&path.join(ADMIN)).await?,
            tools,
            dir,
        })
    }

    async fn first_service_account(&self) -> Result<()> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client()?, "default");
        let found = eventually("the ServiceAccount default/default", Duration::from_secs(60), || async {
            if !self.controller_manager.alive() {
                return Ok(Some(Err(anyhow!("{CONTROLLER_MANAGER} has ended"))));
            }
            Ok(accounts.get_opt("default").await?.map(|_| Ok(())))
        });
        found.await.and_then(|found| found).with_context(|| format!("its log: {}", self.controller_manager.log_tail()))
    }

    fn service(&self, component: Component) -> &Service {
        match component {
            Component::Etcd => &self.etcd,
            Component::Apiserver => &self.apiserver,
            Component::ControllerManager => &self.controller_manager,
        }
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        if self.dir.is_temporary() {
            self.down().ok();
        }
    }
}

/// Somebody took one of the ports after it was found free: worth another attempt.
#[derive(Debug)]
struct PortTaken;

impl fmt::Display for PortTaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("another process took one of its ports")
    }
}

/// How long one question for readiness may take: whoever else owns the port may never answer.
const ONE_QUESTION: Duration = Duration::from_secs(2);
const ETCD: &str = "etcd";
const APISERVER: &str = "kube-apiserver";
const CONTROLLER_MANAGER: &str = "kube-controller-manager";
const ADMIN: &str = "admin.kubeconfig";
const PORTS: &str = "ports.json";
