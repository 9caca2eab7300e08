//! Kubeconfigs that need no other file, and the clients made from them.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1::ServiceAccount,
};
use kube::{
    Api, Client, Config,
    api::PostParams,
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::{Value, json};

use crate::state::write_private;

/// Writes a kubeconfig for the client certificate `user` of the directory `pki`, which also holds `ca.crt`.
pub fn write_for_certificate(file: &Path, server: &str, pki: &Path, user: &str) -> Result<()> {
    let inlined = |name: &str| -> Result<String> {
        let path = pki.join(name);
        Ok(STANDARD.encode(fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?))
    };
    let cluster = json!({"server": server, "certificate-authority-data": inlined("ca.crt")?});
    let certificate = inlined(&format!("{user}.crt"))?;
    let identity = json!({"client-certificate-data": certificate, "client-key-data": inlined(&format!("{user}.key"))?});
    write_private(file, document(&cluster, user, &identity)?)
}

/// Writes a kubeconfig for a ServiceAccount, by way of the TokenRequest API: the same cluster as in the kubeconfig `like`,
/// and a token with the API server's own audience that is good for `seconds`.
pub async fn write_for_service_account(
    file: &Path,
    like: &Path,
    client: &Client,
    namespace: &str,
    name: &str,
    seconds: i64,
) -> Result<()> {
    let token = token(client, namespace, name, None, seconds).await?;
    let text = fs::read_to_string(like).with_context(|| format!("cannot read {}", like.display()))?;
    let known: Value = serde_yaml::from_str(&text).with_context(|| format!("{} is damaged", like.display()))?;
    let cluster = known.pointer("/clusters/0/cluster").context("a kubeconfig with a cluster")?;
    write_private(file, document(cluster, name, &json!({"token": token}))?)
}

/// A token of a ServiceAccount, by the TokenRequest API, good for `seconds` (600 at least; the cluster may shorten it).
/// Without an audience it is for the API server itself.
pub async fn token(
    client: &Client,
    namespace: &str,
    name: &str,
    audience: Option<&str>,
    seconds: i64,
) -> Result<String> {
    let audiences = audience.into_iter().map(String::from).collect();
    let spec = TokenRequestSpec { audiences, expiration_seconds: Some(seconds), ..Default::default() };
    let request = TokenRequest { spec, ..Default::default() };
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), namespace);
    let answer = accounts
        .create_token_request(name, &PostParams::default(), &request)
        .await
        .with_context(|| format!("no token for ServiceAccount {namespace}/{name}; is it there?"))?;
    Ok(answer.status.context("a TokenRequest is answered with a token")?.token)
}

/// The settings of a client for the current context of a kubeconfig.
pub async fn config(file: &Path) -> Result<Config> {
    crate::use_one_tls_provider();
    let known = Kubeconfig::read_from(file).with_context(|| format!("cannot read {}", file.display()))?;
    Config::from_custom_kubeconfig(known, &KubeConfigOptions::default())
        .await
        .with_context(|| format!("{} names no cluster to talk to", file.display()))
}

fn document(cluster: &Value, user: &str, identity: &Value) -> Result<String> {
    Ok(serde_yaml::to_string(&json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "e2e",
        "clusters": [{"name": "e2e", "cluster": cluster}],
        "users": [{"name": user, "user": identity}],
        "contexts": [{"name": "e2e", "context": {"cluster": "e2e", "user": user}}],
    }))?)
}
