//! The provider `secret`: a master key that lies in a Kubernetes Secret.
//!
//! The process makes it once, by API, on the first start. No template ever renders it: a template that is rendered again
//! would make another key, and every value sealed before would be lost.

use std::collections::BTreeMap;

use credsmith_core::{
    domain::SecretBytes,
    keyring::{MasterKey, master_key},
    world::Entropy,
};
use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
};

use crate::{trouble::is_away, watching::backoff};

/// Why there is no master key. The texts say what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "Secret {namespace}/{name} with a master key is not there, and nothing is made in its place because the store \
         holds data already: restore it from your backup; a key that is to be new is made with `credsmith keys new` and \
         kubectl create secret generic {name} --from-file=key=FILE"
    )]
    Missing { namespace: String, name: String },
    #[error("Secret {namespace}/{name} has no key {KEY}: restore it from your backup")]
    Empty { namespace: String, name: String },
    #[error("Secret {namespace}/{name}: {source}")]
    Key { namespace: String, name: String, source: credsmith_core::keyring::Error },
    #[error(
        "Secret {namespace}/{name} with the master key cannot be read: {source}; see that the API server answers and that \
         the ServiceAccount may read it, then start again"
    )]
    Kube { namespace: String, name: String, source: Box<kube::Error> },
}

/// Reads the master key, and makes it where there is none and `may_make` allows it: only a store without a single data
/// key may get a new one.
pub async fn obtain(
    client: &Client,
    namespace: &str,
    name: &str,
    may_make: bool,
    entropy: &dyn Entropy,
) -> Result<MasterKey, Error> {
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let (ns, n) = (namespace.to_owned(), name.to_owned());
    let kube = |source: kube::Error| Error::Kube { namespace: ns.clone(), name: n.clone(), source: Box::new(source) };
    let found = api.get_opt(name).await.map_err(kube)?;
    let secret = match found {
        Some(secret) => secret,
        None if !may_make => return Err(Error::Missing { namespace: ns, name: n }),
        None => match api.create(&PostParams::default(), &fresh(name, entropy)).await {
            Ok(secret) => {
                tracing::warn!(secret = %format!("{ns}/{n}"), "made the master key: back it up now, away from the store");
                secret
            }
            // Another process was first: its key is the key.
            Err(kube::Error::Api(status)) if status.code == 409 => api.get(name).await.map_err(kube)?,
            Err(error) => return Err(kube(error)),
        },
    };
    let text = secret.data.and_then(|mut data| data.remove(KEY));
    let text = text.ok_or_else(|| Error::Empty { namespace: ns.clone(), name: n.clone() })?;
    MasterKey::read("secret", &format!("key {KEY}"), &SecretBytes::new(text.0)).map_err(|source| Error::Key {
        namespace: ns,
        name: n,
        source,
    })
}

/// The same, tried until the API server answers: it says yes or no, and that is the answer.
pub async fn awaited<F: Future<Output = Result<MasterKey, Error>>>(obtain: impl Fn() -> F) -> Result<MasterKey, Error> {
    let (mut told, mut refusals) = (false, 0);
    let mut waits = backoff();
    loop {
        match obtain().await {
            Err(Error::Kube { namespace, name, source }) if is_away(&source) => {
                refusals = 0;
                if !std::mem::replace(&mut told, true) {
                    tracing::warn!(
                        secret = %format!("{namespace}/{name}"), error = %source,
                        "the API server does not answer, and it has the master key: waiting for it; nothing is served meanwhile"
                    );
                }
            }
            // An API server that starts refuses everybody for a moment, before it has read its roles.
            Err(Error::Kube { source, .. }) if is_refusal(&source) && refusals < REFUSALS => refusals += 1,
            answer => {
                if told && answer.is_ok() {
                    tracing::info!("the API server answers: the start goes on");
                }
                return answer;
            }
        }
        tokio::time::sleep(waits.next().unwrap_or_default()).await;
    }
}

fn is_refusal(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if matches!(status.code, 401 | 403))
}

fn fresh(name: &str, entropy: &dyn Entropy) -> Secret {
    let key = master_key::fresh(entropy);
    let data = BTreeMap::from([(KEY.to_owned(), ByteString(key.expose().as_bytes().to_vec()))]);
    let labels = BTreeMap::from([("app.kubernetes.io/managed-by".to_owned(), "credsmith".to_owned())]);
    Secret {
        metadata: ObjectMeta { name: Some(name.to_owned()), labels: Some(labels), ..ObjectMeta::default() },
        type_: Some("Opaque".into()),
        data: Some(data),
        ..Secret::default()
    }
}

const KEY: &str = "key";
/// How many refusals in a row are tried again: about three seconds.
const REFUSALS: u32 = 5;

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use kube::core::Status;

    use super::*;

    fn answered(code: u16) -> Result<MasterKey, Error> {
        let status = Status { code, ..Status::failure("no", "No") };
        let source = Box::new(kube::Error::Api(status.boxed()));
        Err(Error::Kube { namespace: "home".into(), name: "key".into(), source })
    }

    #[tokio::test]
    async fn an_api_server_that_is_away_is_waited_for_and_its_answer_is_the_answer() {
        let tries = AtomicU32::new(0);
        let ended = awaited(|| {
            let answer = match tries.fetch_add(1, Ordering::Relaxed) {
                0 => answered(503),
                1 => answered(403),
                2 => answered(429),
                _ => Err(Error::Missing { namespace: "home".into(), name: "key".into() }),
            };
            async { answer }
        });
        assert!(matches!(ended.await, Err(Error::Missing { .. })));
        assert_eq!(tries.load(Ordering::Relaxed), 4);
    }
}
