//! What keeps the operator from its objects: told once, with the next step, and `/readyz` says so.

use credsmith_harness::{chart::Release, control_plane::Component, process::Signal};

use super::{super::scene::until, Place, root};

pub async fn the_api_server_with_the_master_key_is_waited_for(place: &Place) {
    place.operator.terminate().await.unwrap();
    let plane = place.plane();
    plane.kill(Component::Apiserver, Signal::KILL).await.unwrap();
    place.forget_the_log();
    place.operator.start_again().unwrap();
    until("a word about the master key", async || {
        Ok((!place.lines("WARN", "it has the master key: waiting for it").is_empty()).then_some(()))
    })
    .await;
    assert_eq!(place.page("/healthz").await.unwrap(), (200, "ok".into()), "it lives");
    place.unready("not listed yet").await;
    // It ends when it is asked to.
    place.operator.terminate().await.unwrap();
    place.operator.start_again().unwrap();
    plane.start_again(Component::Apiserver).await.unwrap();
    place.operator.ready().await.unwrap();
    assert_eq!(place.lines("WARN", "it has the master key: waiting for it").len(), 2, "once for each start");
}

pub async fn a_missing_right_is_told_once_with_the_next_step(place: &Place) {
    let binding = ["delete", "clusterrolebinding", "credsmith"];
    place.cluster.kubectl(&binding, "").await.unwrap();
    place.operator.terminate().await.unwrap();
    place.forget_the_log();
    place.operator.start_again().unwrap();
    place.unready("helm upgrade --install credsmith charts/credsmith").await;
    told_once(
        place,
        "credentials",
        "refused",
        "the watch of credentials is refused: credentials.credsmith.dev is forbidden",
    )
    .await;
    assert_eq!(place.page("/healthz").await.unwrap().0, 200);
    // What needs no object goes on.
    assert_eq!(place.operator.front().await.unwrap().get("/health").await.unwrap().status, 200);

    Release::default().install(&place.cluster).await.unwrap();
    place.operator.ready().await.unwrap();
}

pub async fn a_missing_definition_is_told_once_with_the_next_step(place: &Place) {
    place.cluster.kubectl(&["delete", "crd", "credentials.credsmith.dev"], "").await.unwrap();
    // A watch that worked once gates nothing: the front goes on.
    until("the end of the watch", async || {
        let failures = place.series(&failures("credentials", "missing")).await;
        Ok(failures.filter(|count| *count >= 1.0))
    })
    .await;
    place.operator.ready().await.unwrap();

    place.operator.terminate().await.unwrap();
    place.forget_the_log();
    place.operator.start_again().unwrap();
    place.unready("kubectl apply --server-side -f crds/").await;
    told_once(place, "credentials", "missing", "the watch of credentials finds no such kind").await;

    // The next step that the message names.
    let crds = root().join("crds");
    place.cluster.kubectl(&["apply", "--server-side", "-f", &crds.display().to_string()], "").await.unwrap();
    place.operator.ready().await.unwrap();
}

/// However often it is tried.
async fn told_once(place: &Place, resource: &str, cause: &str, text: &str) {
    until("several tries", async || Ok(place.series(&failures(resource, cause)).await.filter(|count| *count >= 4.0)))
        .await;
    let lines = place.lines("ERROR", text);
    assert_eq!(lines.len(), 1, "{lines:#?}");
    let of_the_client = place.lines("WARN", "403");
    assert!(of_the_client.is_empty(), "{of_the_client:#?}");
}

fn failures(resource: &str, cause: &str) -> String {
    format!("credsmith_watch_failures_total{{cause=\"{cause}\",resource=\"{resource}\"}}")
}
