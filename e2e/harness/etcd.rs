//! Looking into the etcd of a control plane, beside its API server.

use anyhow::{Context, Result, bail};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;
use tokio::process::Command;

use crate::{
    control_plane::{Component, ControlPlane},
    exec,
    tools::Program,
};

impl ControlPlane {
    /// The bytes etcd keeps under a key such as `/registry/secrets/NAMESPACE/NAME`; `None` when there is no such key.
    pub async fn etcd_get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        let answer = self.etcdctl(&["get", key, "--write-out=json"]).await?;
        let found: Value = serde_json::from_slice(&answer)?;
        let value = found.pointer("/kvs/0/value").and_then(Value::as_str);
        Ok(value.map(|value| STANDARD.decode(value)).transpose()?)
    }

    /// Takes a key away behind the back of the API server, so that no watch tells of it; false when there is no such key.
    pub async fn etcd_delete(&self, key: &str) -> Result<bool> {
        let answer = self.etcdctl(&["del", key]).await?;
        Ok(answer.trim_ascii() == b"1")
    }

    /// Forgets all history in etcd and returns the revision up to which it is gone: a watch that has to go on from an older one,
    /// after the API server was started again, gets 410.
    pub async fn compact_etcd(&self) -> Result<i64> {
        let revision = self.revision().await?;
        self.etcdctl(&["compact", "--physical", &revision.to_string()]).await?;
        Ok(revision)
    }

    /// The newest revision: a read that only a serving etcd answers.
    pub(crate) async fn revision(&self) -> Result<i64> {
        let answer = self.etcdctl(&["get", "/", "--write-out=json"]).await?;
        let answer: Value = serde_json::from_slice(&answer)?;
        answer.pointer("/header/revision").and_then(Value::as_i64).context("etcd answers with its revision")
    }

    async fn etcdctl(&self, arguments: &[&str]) -> Result<Vec<u8>> {
        if !self.is_running(Component::Etcd) {
            bail!("etcd is not running"); // etcdctl would try for five seconds
        }
        let pki = self.dir().join("pki");
        let mut command = Command::new(self.tools().path(Program::Etcdctl));
        command
            .env_clear()
            .arg(format!("--endpoints=https://127.0.0.1:{}", self.ports().etcd))
            .arg(format!("--cacert={}/ca.crt", pki.display()))
            .arg(format!("--cert={}/etcd-client.crt", pki.display()))
            .arg(format!("--key={}/etcd-client.key", pki.display()))
            .args(arguments);
        exec::output(&mut command, &[]).await
    }
}
