//! The one place that every request of the operator passes: it counts those that ask for a change.

use credsmith_core::metrics::Metrics;
use http::{Method, Request, Uri};
use kube::{Client, client::Body};
use tower::service_fn;

/// The same client, whose writes are counted in `kubernetes_writes_total`. Whatever is sent through it is counted, so
/// that no caller can forget to.
pub fn counted(client: Client, metrics: &Metrics) -> Client {
    let (writes, namespace) = (metrics.writes.clone(), client.default_namespace().to_owned());
    let service = service_fn(move |request: Request<Body>| {
        if let Some((resource, verb)) = change(request.method(), request.uri()) {
            writes.with_label_values(&[resource.as_str(), verb]).inc();
        }
        let client = client.clone();
        async move { client.send(request).await }
    });
    Client::new(service, namespace)
}

/// Resource with its subresource, and verb, of a request that asks for a change. A dry run asks for none.
fn change(method: &Method, uri: &Uri) -> Option<(String, &'static str)> {
    let verb = match *method {
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE => "delete",
        _ => return None,
    };
    if uri.query().is_some_and(|query| query.contains("dryRun=")) {
        return None;
    }
    // /api/v1/… or /apis/group/version/…
    let mut parts = uri.path().split('/').filter(|part| !part.is_empty());
    let group = parts.next()?;
    parts.nth(if group == "api" { 0 } else { 1 })?;
    let rest: Vec<_> = parts.collect();
    let resource = match rest.as_slice() {
        ["namespaces", _, resource, _, subresource, ..] => format!("{resource}/{subresource}"),
        ["namespaces", _, resource, ..] => (*resource).to_owned(),
        [resource, _, subresource, ..] => format!("{resource}/{subresource}"),
        [resource, ..] => (*resource).to_owned(),
        [] => return None,
    };
    Some((resource, verb))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_asks_for_a_change_is_named_by_resource_and_verb() {
        let table = [
            (Method::POST, "/api/v1/namespaces/shop/secrets", Some("create secrets")),
            (Method::POST, "/api/v1/namespaces/shop/secrets?fieldManager=x", Some("create secrets")),
            (Method::POST, "/api/v1/namespaces/shop/secrets?&dryRun=All", None),
            (Method::PATCH, "/api/v1/namespaces/shop/secrets/db?fieldManager=x&force=true", Some("patch secrets")),
            (Method::DELETE, "/api/v1/namespaces/shop/secrets/db", Some("delete secrets")),
            (Method::PATCH, "/api/v1/namespaces/shop/configmaps/credsmith-ca", Some("patch configmaps")),
            (Method::PATCH, "/apis/credsmith.dev/v1alpha1/namespaces/shop/credentials/db", Some("patch credentials")),
            (
                Method::PATCH,
                "/apis/credsmith.dev/v1alpha1/namespaces/shop/credentials/db/status",
                Some("patch credentials/status"),
            ),
            (Method::POST, "/apis/events.k8s.io/v1/namespaces/shop/events", Some("create events")),
            (Method::GET, "/api/v1/namespaces/shop/secrets/db", None),
            (Method::GET, "/api/v1/secrets?watch=true", None),
        ];
        for (method, path, expected) in table {
            let found = change(&method, &path.parse().unwrap()).map(|(resource, verb)| format!("{verb} {resource}"));
            assert_eq!(found.as_deref(), expected, "{method} {path}");
        }
    }
}
