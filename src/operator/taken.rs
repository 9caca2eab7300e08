//! Which names of Secrets are taken, by whomever: asked before the first version is made, for a value that could not be
//! projected must not be made.
//!
//! One object costs one read. Where many come at once, as at a first start, a watch of their namespace answers for all of
//! them, until no more come: two requests for each object, a create and a status, are the floor, and it is to stay there. What
//! such a watch shows is a moment old; what was made in that moment is still found when the Secret is created.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};

use crate::{index::Key, secret::seen::Seen, sources::Sources};

/// Who asked of late, by namespace.
#[derive(Debug, Default)]
pub struct Taken(Mutex<HashMap<String, Asked>>);

#[derive(Clone, Copy, Debug)]
struct Asked {
    /// When the first of them asked, and the last.
    first: Timestamp,
    last: Timestamp,
    count: u32,
}

impl Taken {
    /// The Secret of that name, whosever it is; `None` where the name is free.
    pub async fn find(
        &self,
        client: &Client,
        sources: &Sources,
        (namespace, name): (&str, &str),
        now: Timestamp,
    ) -> Result<Option<Seen>, kube::Error> {
        if self.are_many(namespace, now) && sources.peek(namespace, name, &guest(namespace)).await.is_none() {
            return Ok(None);
        }
        let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
        Ok(api.get_metadata_opt(name).await?.map(|found| Seen::of(&found.metadata)))
    }

    /// Ends the watches of namespaces where nobody has asked for a while. Runs as long as the process does.
    pub async fn tidy(&self, sources: &Sources, now: impl Fn() -> Timestamp) {
        loop {
            tokio::time::sleep(Duration::from_secs(5)).await;
            for namespace in self.take_quiet(now()) {
                sources.forget(&guest(&namespace));
            }
        }
    }

    /// Counts one that asks, and tells whether so many do that a watch is cheaper.
    fn are_many(&self, namespace: &str, now: Timestamp) -> bool {
        let mut all = self.lock();
        let asked = all.entry(namespace.to_owned()).or_insert(Asked { first: now, last: now, count: 0 });
        // One watch that there is already is better than reads, however few follow.
        if asked.count <= FEW && !is_recent(asked.first, now) {
            *asked = Asked { first: now, last: now, count: 0 };
        }
        asked.last = now;
        asked.count += 1;
        asked.count > FEW
    }

    fn take_quiet(&self, now: Timestamp) -> Vec<String> {
        let mut all = self.lock();
        all.extract_if(|_, asked| !is_recent(asked.last, now)).map(|(namespace, _)| namespace).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Asked>> {
        self.0.lock().expect("nobody panics with the map in hand")
    }
}

/// In whose name a namespace is watched: that of no object.
fn guest(namespace: &str) -> Key {
    Key::new("").within(namespace)
}

fn is_recent(at: Timestamp, now: Timestamp) -> bool {
    // A clock that was set back makes it old, which costs a watch that begins anew.
    let age = now.duration_since(at);
    !age.is_negative() && age < RECENT
}

/// Objects of a namespace that ask one by one, before it is watched for those that follow.
const FEW: u32 = 2;
const RECENT: SignedDuration = SignedDuration::from_secs(10);

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use credsmith_core::metrics::Metrics;
    use http::{Request, Response};
    use kube::client::Body;
    use serde_json::json;
    use tower::service_fn;

    use super::*;
    use crate::queue::Queue;

    /// An API server with the Secret `shop/taken`.
    struct Server {
        client: Client,
        gets: Arc<AtomicUsize>,
        lists: Arc<AtomicUsize>,
    }

    fn server() -> Server {
        let (gets, lists) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (got, listed) = (gets.clone(), lists.clone());
        let service = service_fn(move |request: Request<Body>| {
            let (path, query) = (request.uri().path().to_owned(), request.uri().query().unwrap_or_default().to_owned());
            let taken = json!({"metadata": {"name": "taken", "namespace": "shop", "uid": "theirs"}});
            let is_watch = query.contains("watch=true");
            let (code, answer) = if path.ends_with("/secrets") {
                listed.fetch_add(usize::from(!is_watch), Ordering::Relaxed);
                (200, json!({"metadata": {"resourceVersion": "100"}, "items": [taken]}))
            } else {
                got.fetch_add(1, Ordering::Relaxed);
                let none = json!({
                    "kind": "Status", "status": "Failure", "code": 404, "reason": "NotFound", "message": "", "metadata": {},
                });
                if path.ends_with("/taken") { (200, taken) } else { (404, none) }
            };
            let body = Body::from(serde_json::to_vec(&answer).unwrap());
            async move {
                if is_watch {
                    std::future::pending::<()>().await;
                }
                Ok::<_, kube::Error>(Response::builder().status(code).body(body).unwrap())
            }
        });
        Server { client: Client::new(service, "shop"), gets, lists }
    }

    #[tokio::test]
    async fn one_costs_a_read_and_many_at_once_a_watch_until_no_more_come() {
        let (server, taken) = (server(), Taken::default());
        let (queue, _wakes) = Queue::new();
        let sources = Sources::new(server.client.clone(), queue, Metrics::new().watch_failures.clone());
        let find = async |name: &str, second: i64| {
            let now = Timestamp::from_second(second).unwrap();
            taken.find(&server.client, &sources, ("shop", name), now).await.unwrap().map(|seen| seen.uid)
        };
        let asked = || (server.gets.load(Ordering::Relaxed), server.lists.load(Ordering::Relaxed));
        for nth in 0..50 {
            assert_eq!(find(&format!("free-{nth}"), 1000).await, None);
        }
        assert_eq!(asked(), (2, 1));
        // Whose it is takes a read.
        assert_eq!(find("taken", 1009).await.as_deref(), Some("theirs"));
        assert_eq!(asked(), (3, 1));

        let quiet = |second: i64| taken.take_quiet(Timestamp::from_second(second).unwrap());
        assert!(quiet(1018).is_empty() && sources.is_watched("shop"));
        for namespace in quiet(1019) {
            sources.forget(&guest(&namespace));
        }
        assert!(!sources.is_watched("shop"), "a watch goes on for nobody");
        // One now and then is asked about alone.
        for second in [1100, 1120, 1140, 1160] {
            assert_eq!(find("free", second).await, None);
        }
        assert_eq!(asked(), (7, 1));
    }
}
