//! How the three components are started: their arguments and the files those name.

use std::path::{Path, PathBuf};

use anyhow::Result;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};

use crate::{
    audit::Audit,
    state::{random, write_private},
    tools::{Program, Tools},
};

/// The ports of a control plane, all on 127.0.0.1.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Ports {
    pub etcd: u16,
    pub etcd_peer: u16,
    pub apiserver: u16,
}

/// Writes the policy files of the API server.
pub(crate) fn write_files(dir: &Path, audit: Audit) -> Result<()> {
    write_private(&dir.join("etc/authn.yaml"), AUTHENTICATION)?;
    write_private(&dir.join("etc/encryption.yaml"), encryption())?;
    write_private(&dir.join("etc/audit.yaml"), audit.policy())
}

pub(crate) fn etcd(tools: &Tools, dir: &Path, ports: Ports) -> Vec<String> {
    let (pki, data) = (dir.join("pki"), dir.join("etcd"));
    let (pki, data) = (pki.display(), data.display());
    let client = format!("https://127.0.0.1:{}", ports.etcd);
    let peer = format!("http://127.0.0.1:{}", ports.etcd_peer);
    command(
        tools,
        Program::Etcd,
        &[
            "--name=e".into(),
            format!("--data-dir={data}"),
            "--unsafe-no-fsync".into(), // the data is thrown away; nothing here survives a power cut
            "--log-level=warn".into(),
            format!("--listen-client-urls={client}"),
            format!("--advertise-client-urls={client}"),
            format!("--listen-peer-urls={peer}"),
            format!("--initial-advertise-peer-urls={peer}"),
            format!("--initial-cluster=e={peer}"),
            format!("--cert-file={pki}/etcd.crt"),
            format!("--key-file={pki}/etcd.key"),
            format!("--trusted-ca-file={pki}/ca.crt"),
            "--client-cert-auth".into(),
        ],
    )
}

pub(crate) fn apiserver(tools: &Tools, dir: &Path, ports: Ports) -> Vec<String> {
    let (pki, etc) = (dir.join("pki"), dir.join("etc"));
    let (pki, etc) = (pki.display(), etc.display());
    command(
        tools,
        Program::Apiserver,
        &[
            format!("--etcd-servers=https://127.0.0.1:{}", ports.etcd),
            format!("--etcd-cafile={pki}/ca.crt"),
            format!("--etcd-certfile={pki}/etcd-client.crt"),
            format!("--etcd-keyfile={pki}/etcd-client.key"),
            "--bind-address=127.0.0.1".into(),
            format!("--secure-port={}", ports.apiserver),
            "--advertise-address=127.0.0.1".into(),
            "--endpoint-reconciler-type=none".into(), // loopback is no valid endpoint
            format!("--tls-cert-file={pki}/apiserver.crt"),
            format!("--tls-private-key-file={pki}/apiserver.key"),
            format!("--client-ca-file={pki}/ca.crt"),
            "--service-cluster-ip-range=10.96.0.0/16".into(),
            "--service-account-issuer=https://kubernetes.default.svc".into(),
            format!("--service-account-key-file={pki}/sa.pub"),
            format!("--service-account-signing-key-file={pki}/sa.key"),
            "--authorization-mode=Node,RBAC".into(),
            "--enable-admission-plugins=NodeRestriction".into(),
            format!("--authentication-config={etc}/authn.yaml"),
            format!("--encryption-provider-config={etc}/encryption.yaml"),
            format!("--audit-policy-file={etc}/audit.yaml"),
            format!("--audit-log-path={}", audit_log(dir).display()),
            "--audit-log-maxsize=100000".into(), // MiB: it must not be rotated away under a reader
            "--profiling=false".into(),
        ],
    )
}

pub(crate) fn controller_manager(tools: &Tools, dir: &Path) -> Vec<String> {
    let pki = dir.join("pki");
    let pki = pki.display();
    command(
        tools,
        Program::ControllerManager,
        &[
            format!("--kubeconfig={}", dir.join("kube-controller-manager.kubeconfig").display()),
            "--leader-elect=false".into(),
            "--bind-address=127.0.0.1".into(),
            "--secure-port=0".into(),
            "--use-service-account-credentials=true".into(),
            format!("--service-account-private-key-file={pki}/sa.key"),
            format!("--root-ca-file={pki}/ca.crt"),
            format!("--cluster-signing-cert-file={pki}/ca.crt"),
            format!("--cluster-signing-key-file={pki}/ca.key"),
            // With the default of 20 requests a second the first ServiceAccount comes seconds late.
            "--kube-api-qps=300".into(),
            "--kube-api-burst=600".into(),
            format!("--controllers={}", CONTROLLERS.join(",")),
            "--profiling=false".into(),
        ],
    )
}

pub(crate) fn audit_log(dir: &Path) -> PathBuf {
    dir.join("log/audit.jsonl")
}

fn command(tools: &Tools, program: Program, arguments: &[String]) -> Vec<String> {
    let mut argv = vec![tools.path(program).display().to_string()];
    argv.extend_from_slice(arguments);
    argv
}

fn encryption() -> String {
    let key = STANDARD.encode(random(32));
    format!(
        "apiVersion: apiserver.config.k8s.io/v1\n\
         kind: EncryptionConfiguration\n\
         resources:\n\
         \x20 - resources: [secrets]\n\
         \x20   providers:\n\
         \x20     - aescbc: {{keys: [{{name: k1, secret: {key}}}]}}\n\
         \x20     - identity: {{}}\n"
    )
}

/// Health checks only: nothing else is open to a caller without a name.
const AUTHENTICATION: &str = "\
apiVersion: apiserver.config.k8s.io/v1
kind: AuthenticationConfiguration
anonymous:
  enabled: true
  conditions: [{path: /livez}, {path: /readyz}, {path: /healthz}]
";

/// A short list, for then the first ServiceAccount appears at once. Add what a test looks at.
const CONTROLLERS: [&str; 7] = [
    "serviceaccount-controller",
    "root-ca-certificate-publisher-controller",
    "namespace-controller",
    "garbage-collector-controller",
    "clusterrole-aggregation-controller",
    "deployment-controller",
    "replicaset-controller",
];
