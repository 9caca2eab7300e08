//! What the tests of the product rely on. Two tests, for each control plane costs 4 s: one shares, one kills.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf, time::Duration};

use anyhow::{Result, ensure};
use futures::TryStreamExt as _;
use k8s_openapi::api::{
    authentication::v1::{TokenReview, TokenReviewSpec},
    core::v1::{ConfigMap, Namespace, Secret},
};
use kube::{
    Api, Client, ResourceExt as _,
    api::{ApiResource, DynamicObject, GroupVersionKind, PostParams, WatchEvent, WatchParams},
};
use serde_json::json;

use crate::{
    audit::{self, Audit},
    chart::{RELEASE_NAMESPACE, Release},
    cluster::Cluster,
    control_plane::{Component, Options},
    front::AUDIENCE,
    kubeconfig,
    operator::{OperatorOptions, OperatorProcess},
    process::Signal,
    shared::shared,
    tools::Program,
    wait::{eventually, wait_for_condition},
};

#[tokio::test]
async fn the_shared_cluster_serves_tests() -> Result<()> {
    let cluster = shared().await;
    // First thing, see Release::install.
    let applied = small_chart(cluster)?.install(cluster).await?;
    assert_eq!(applied.iter().map(|manifest| manifest.kind()).filter(|kind| kind.contains("Custom")).count(), 1);

    let namespace = cluster.namespace("proof").await?;
    let client = cluster.client()?;
    secrets_are_sealed_at_rest_and_their_writers_known(cluster, &client, namespace.name()).await?;
    nobody_comes_in_without_a_name(cluster).await?;
    a_token_for_the_front_is_no_token_for_the_api_server(&client, namespace.name()).await?;
    a_process_runs_under_the_chart_s_account(cluster).await?;
    a_quiet_custom_resource_can_be_watched(&client, namespace.name()).await?;

    let namespaces: Api<Namespace> = Api::all(client);
    let name = namespace.name().to_owned();
    drop(namespace);
    wait_for_condition(&namespaces, &name, "is being deleted", Duration::from_secs(5), |found: Option<&Namespace>| {
        found.is_none_or(|namespace| namespace.metadata.deletion_timestamp.is_some())
    })
    .await?;
    Ok(())
}

#[tokio::test]
async fn a_control_plane_survives_its_components() -> Result<()> {
    let cluster = Cluster::start(Options { audit: Audit::Everything, ..Options::default() }).await?;
    let plane = cluster.own().expect("it was just started");
    let client = cluster.client()?;
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), "default");
    maps.create(&PostParams::default(), &serde_json::from_value(json!({"metadata": {"name": "one"}}))?).await?;
    let before = maps.get("one").await?.metadata.resource_version.unwrap_or_default();
    maps.create(&PostParams::default(), &serde_json::from_value(json!({"metadata": {"name": "two"}}))?).await?;

    plane.kill(Component::Apiserver, Signal::KILL).await?;
    assert!(!plane.is_running(Component::Apiserver) && maps.get("one").await.is_err());
    assert!(plane.compact_etcd().await? > before.parse()?);
    plane.start_again(Component::Apiserver).await?;
    maps.get("one").await?;
    assert!(watch_ends_with_410(&maps, &before).await?, "history that was compacted away can still be watched");

    plane.kill(Component::Etcd, Signal::KILL).await?;
    plane.start_again(Component::Etcd).await?;
    plane.ready().await?;
    eventually("reads after etcd was back", Duration::from_secs(10), || async { Ok(maps.get_opt("one").await?) })
        .await?;
    ensure!(plane.is_running(Component::ControllerManager), "the controller manager did not live through it");

    requests_of_the_operator_are_counted(&cluster, &client).await?;

    let dir = plane.dir().to_owned();
    drop(cluster);
    assert!(!dir.exists(), "{} is still there", dir.display());
    Ok(())
}

async fn secrets_are_sealed_at_rest_and_their_writers_known(
    cluster: &Cluster,
    client: &Client,
    namespace: &str,
) -> Result<()> {
    let Some(plane) = cluster.powers("Secrets are sealed at rest") else { return Ok(()) };
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {password: correct-horse}\n";
    cluster.kubectl(&["apply", "--server-side", "--namespace", namespace, "--filename=-"], secret).await?;
    Api::<Secret>::namespaced(client.clone(), namespace).get("s").await?;

    let stored = plane.etcd_get(&format!("/registry/secrets/{namespace}/s")).await?.expect("a Secret in etcd");
    assert!(stored.starts_with(b"k8s:enc:aescbc:v1:k1:"), "{:?}", String::from_utf8_lossy(&stored));
    assert!(!stored.windows(13).any(|bytes| bytes == b"correct-horse"));
    assert_eq!(plane.etcd_get("/registry/secrets/no/such").await?, None);

    let writers = || async {
        let events = plane.audit_events()?;
        let of_it = events.into_iter().filter(|event| {
            event
                .object_ref
                .as_ref()
                .is_some_and(|object| object.resource == "secrets" && object.namespace == namespace)
        });
        let writers: Vec<_> =
            of_it.filter(|event| event.verb == "patch").map(|event| (event.user.username, event.user_agent)).collect();
        Ok((!writers.is_empty()).then_some(writers))
    };
    let writers = eventually("the writer of the Secret in the audit log", Duration::from_secs(5), writers).await?;
    assert!(
        matches!(&writers[..], [(user, agent)] if user == "e2e-admin" && agent.starts_with("kubectl/")),
        "{writers:?}"
    );
    assert!(!fs::read_to_string(plane.audit_log())?.contains("correct-horse"));
    Ok(())
}

async fn nobody_comes_in_without_a_name(cluster: &Cluster) -> Result<()> {
    let Some(plane) = cluster.powers("closed to strangers") else { return Ok(()) };
    let ca = reqwest::Certificate::from_pem(&fs::read(plane.dir().join("pki/ca.crt"))?)?;
    let stranger = reqwest::Client::builder().tls_certs_only([ca]).no_proxy().build()?;
    let status = async |path: &str| -> Result<u16> {
        Ok(stranger.get(format!("{}{path}", cluster.config().cluster_url)).send().await?.status().as_u16())
    };
    assert_eq!(status("readyz").await?, 200);
    assert_eq!(status("version").await?, 401);
    assert_eq!(status("api/v1/namespaces").await?, 401);
    Ok(())
}

async fn a_token_for_the_front_is_no_token_for_the_api_server(client: &Client, namespace: &str) -> Result<()> {
    let token = kubeconfig::token(client, namespace, "default", Some(AUDIENCE), 600).await?;
    let review = async |audiences: Option<Vec<String>>| {
        let spec = TokenReviewSpec { token: Some(token.clone()), audiences };
        let reviews: Api<TokenReview> = Api::all(client.clone());
        let answer = reviews.create(&PostParams::default(), &TokenReview { spec, ..Default::default() }).await?;
        anyhow::Ok(answer.status.and_then(|status| status.user).and_then(|user| user.username))
    };
    assert_eq!(review(Some(vec![AUDIENCE.into()])).await?, Some(format!("system:serviceaccount:{namespace}:default")));
    assert_eq!(review(None).await?, None);
    Ok(())
}

/// What an etcd that is too old breaks: both kinds of watch need progress notifications from it.
async fn a_quiet_custom_resource_can_be_watched(client: &Client, namespace: &str) -> Result<()> {
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("proof.credsmith.dev", "v1", "Widget"));
    let widgets: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &kind);
    widgets.create(&PostParams::default(), &DynamicObject::new("good", &kind)).await?;
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    for noise in ["a", "b", "c"] {
        // So that the custom resource lies behind the newest revision.
        maps.create(&PostParams::default(), &serde_json::from_value(json!({"metadata": {"name": noise}}))?).await?;
    }
    for how in [WatchParams::default(), WatchParams::default().initial_events()] {
        let streaming = how.send_initial_events;
        let mut events = Box::pin(widgets.watch(&how.timeout(5), "").await?);
        let first = events.try_next().await?;
        assert!(matches!(&first, Some(WatchEvent::Added(widget)) if widget.name_any() == "good"), "{first:?}");
        if streaming {
            let end = events.try_next().await?;
            assert!(matches!(&end, Some(WatchEvent::Bookmark(_))), "{end:?}");
        }
    }
    Ok(())
}

/// The process is no operator: `kubectl proxy`, which answers `/readyz` as the ServiceAccount whose kubeconfig it is given.
async fn a_process_runs_under_the_chart_s_account(cluster: &Cluster) -> Result<()> {
    let program = cluster.fresh_dir("program")?.join("stand-in");
    let kubectl = cluster.tools().path(Program::Kubectl);
    let listen = r#"--port="${CREDSMITH_LISTEN_PLAIN##*:}""#;
    fs::write(&program, format!("#!/bin/sh\nexec '{}' proxy {listen}\n", kubectl.display()))?;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;

    let options = || OperatorOptions { program: Some(program.clone()), ..OperatorOptions::default() };
    let operator = OperatorProcess::start(cluster, options()).await?;
    operator.ready().await?;
    let http = reqwest::Client::builder().no_proxy().build()?;
    let asked = |path: &str| http.get(format!("{}{path}", operator.plain_url())).send();
    assert_eq!(asked("/api/v1/namespaces/credsmith-system/configmaps/settings").await?.status(), 200);
    assert_eq!(
        asked("/api/v1/namespaces/credsmith-system/secrets").await?.status(),
        403,
        "the chart does not allow it"
    );

    let first = operator.process().pid();
    operator.kill()?;
    assert_eq!(operator.process().pid(), None);
    operator.start_again()?;
    operator.ready().await?;
    assert!(operator.process().pid().is_some_and(|pid| Some(pid) != first));
    operator.terminate().await?;

    fs::write(&program, "#!/bin/sh\necho no master key; exit 1\n")?;
    let told = format!("{:#}", OperatorProcess::start(cluster, options()).await?.ready().await.expect_err("it ends"));
    assert!(told.contains("the operator has ended") && told.contains("no master key"), "{told}");
    Ok(())
}

async fn requests_of_the_operator_are_counted(cluster: &Cluster, client: &Client) -> Result<()> {
    let plane = cluster.own().expect("a control plane of our own");
    small_chart(cluster)?.install(cluster).await?;
    let mut offset = 0;
    audit::read(&plane.audit_log(), &mut offset)?;
    let file = cluster.fresh_dir("account")?.join("kubeconfig");
    kubeconfig::write_for_service_account(&file, cluster.kubeconfig(), client, RELEASE_NAMESPACE, "credsmith", 600)
        .await?;
    let operator = Client::try_from(kubeconfig::config(&file).await?)?;
    Api::<ConfigMap>::namespaced(operator, RELEASE_NAMESPACE).get("settings").await?;

    let mut seen = Vec::new();
    eventually("the operator's request in the audit log", Duration::from_secs(5), || {
        seen.extend(audit::read(&plane.audit_log(), &mut offset).into_iter().flatten());
        let user = format!("system:serviceaccount:{RELEASE_NAMESPACE}:credsmith");
        let found = seen.iter().any(|event| {
            event.user.username == user && event.object_ref.as_ref().is_some_and(|object| object.name == "settings")
        });
        async move { Ok(found.then_some(())) }
    })
    .await
}

async fn watch_ends_with_410(maps: &Api<ConfigMap>, from: &str) -> Result<bool> {
    let watch = maps.watch(&WatchParams::default().timeout(5), from).await;
    match watch {
        Err(kube::Error::Api(status)) => Ok(status.code == 410),
        watch => {
            let first = Box::pin(watch?).try_next().await?;
            Ok(matches!(first, Some(WatchEvent::Error(status)) if status.code == 410))
        }
    }
}

/// A chart with one object of each kind that needs care: a CRD, something with a namespace and something without.
fn small_chart(cluster: &Cluster) -> Result<Release> {
    let chart: PathBuf = cluster.fresh_dir("chart")?;
    fs::create_dir(chart.join("templates"))?;
    fs::write(chart.join("Chart.yaml"), "apiVersion: v2\nname: credsmith\nversion: 0.1.0\n")?;
    fs::write(chart.join("values.yaml"), "greeting: hello\n")?;
    fs::write(chart.join("templates/crd.yaml"), CRD)?;
    fs::write(chart.join("templates/objects.yaml"), OBJECTS)?;
    Ok(Release { chart, values: json!({"greeting": "good, morning"}), ..Release::default() })
}

const CRD: &str = "\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.proof.credsmith.dev}
spec:
  group: proof.credsmith.dev
  scope: Namespaced
  names: {kind: Widget, plural: widgets, singular: widget}
  versions:
    - name: v1
      served: true
      storage: true
      schema: {openAPIV3Schema: {type: object}}
";

const OBJECTS: &str = "\
apiVersion: v1
kind: ServiceAccount
metadata: {name: credsmith}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: {{ .Release.Namespace }}}
data: {greeting: {{ .Values.greeting | quote }}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: elsewhere, namespace: default}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: credsmith}
rules: [{apiGroups: [\"\"], resources: [configmaps], verbs: [get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: credsmith}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: credsmith}
subjects: [{kind: ServiceAccount, name: credsmith, namespace: {{ .Release.Namespace }}}]
";
