//! Everything that a run leaves behind.

use std::path::PathBuf;

use credsmith_harness::cluster::Cluster;
use credsmith_operator::Credential;
use k8s_openapi::api::{
    core::v1::{ConfigMap, Event as CoreEvent, Namespace, Secret},
    events::v1::Event,
};
use kube::{Api, api::ListParams};
use serde::Serialize;

use super::{
    search::Sink,
    stores::{all, below},
};
use crate::operator::scene::{HEARD, Scene};

/// Every sink of the run.
pub async fn gather(scene: &Scene, dirs: &[PathBuf]) -> Vec<Sink> {
    let files: Vec<_> = dirs.iter().flat_map(|dir| below(dir)).filter(|path| path.is_file()).collect();
    let named = |is: &dyn Fn(&str) -> bool| -> Vec<PathBuf> {
        files.iter().filter(|path| path.file_name().is_some_and(|name| is(&name.to_string_lossy()))).cloned().collect()
    };
    let in_etcd = |name: &str| name == "db" || name.ends_with(".wal") || name.ends_with(".snap");
    let stores: Vec<_> = all(dirs).into_iter().map(|store| store.file).collect();
    let logs = stores.iter().map(|file| PathBuf::from(format!("{}-wal", file.display())));
    let mut sinks = vec![
        Sink::files("logs of the operators", named(&|name| name.starts_with("operator") && name.ends_with(".log"))),
        // What the components say rarely names anything: they share the control of the audit log.
        Sink::files(
            "logs of the control planes, audit included",
            named(&|name| name.starts_with("audit") || name.starts_with("kube-") && name.ends_with(".log")),
        ),
        Sink::files("etcd, where Secrets are sealed", named(&|name| in_etcd(name))),
        Sink::files("store files", stores.clone()),
        Sink::files("logs of the stores", logs.filter(|file| file.exists()).collect()),
        Sink::texts("bodies of refusals", HEARD.lock().unwrap().refusals.clone()),
    ];
    sinks.extend(objects(scene.cluster).await);
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut pages = Vec::new();
    for path in ["/metrics", "/healthz", "/readyz", "/health"] {
        let url = format!("{}{path}", scene.operator.plain_url());
        pages.push(http.get(url).send().await.unwrap().text().await.unwrap());
    }
    sinks.push(Sink::texts("pages of metrics and health", pages));
    sinks
}

/// What the API server shows to whoever may read everything but Secrets.
async fn objects(cluster: &Cluster) -> Vec<Sink> {
    let client = cluster.client().unwrap();
    let every = ListParams::default();
    let credentials = Api::<Credential>::all(client.clone()).list(&every).await.unwrap().items;
    let status = credentials.iter().map(|object| text(&object.status)).collect();
    let annotations = credentials.iter().map(|object| text(&object.metadata)).collect();
    let secrets = Api::<Secret>::all(client.clone()).list_metadata(&every).await.unwrap().items;
    let events = Api::<Event>::all(client.clone()).list(&every).await.unwrap().items;
    let core = Api::<CoreEvent>::all(client.clone()).list(&every).await.unwrap().items;
    let maps = Api::<ConfigMap>::all(client.clone()).list(&every).await.unwrap().items;
    let namespaces = Api::<Namespace>::all(client).list(&every).await.unwrap().items;
    vec![
        Sink::texts("status of the objects", status),
        Sink::texts("annotations of the objects", annotations),
        Sink::texts("specs of the objects", credentials.iter().map(|object| text(&object.spec)).collect()),
        Sink::texts("metadata of the Secrets", secrets.iter().map(|secret| text(&secret.metadata)).collect()),
        Sink::texts("events", events.iter().map(text).chain(core.iter().map(text)).collect()),
        Sink::texts("ConfigMaps", maps.iter().map(text).collect()),
        Sink::texts("namespaces", namespaces.iter().map(text).collect()),
    ]
}

fn text<T: Serialize>(object: &T) -> String {
    serde_json::to_string(object).expect("an object of the API is JSON")
}
