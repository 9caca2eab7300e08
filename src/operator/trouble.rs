//! What goes wrong with a watch: each failure is counted, each cause told once, with what to do. And whether the watches
//! ever showed everything: before that the process works on nothing.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard},
};

use kube_runtime::watcher;
use prometheus::IntCounterVec;

/// One watch, for as long as it goes on.
#[derive(Debug)]
pub struct Trouble {
    what: Watched,
    failures: IntCounterVec,
    /// How often each cause came since the watch worked last.
    seen: Vec<(Cause, u32)>,
}

/// What is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Watched {
    Credentials,
    Secrets,
    Sources,
    Namespaces,
    Authorities,
}

/// Why a watch fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// RBAC says no.
    Refused,
    /// Nobody knows the kind.
    Missing,
    /// The token of the ServiceAccount is not accepted.
    Unauthorized,
    /// Nobody answers who could.
    Away,
    /// The connection broke, or the API server forgot where the watch was: it begins anew.
    Interrupted,
    Other,
}

impl Trouble {
    pub fn new(what: Watched, failures: IntCounterVec) -> Self {
        Self { what, failures, seen: Vec::new() }
    }

    /// Takes what a watch gave. Where that is an error: what is wrong and what to do.
    pub fn note<K>(&mut self, event: &watcher::Result<watcher::Event<K>>) -> Option<String> {
        let error = match event {
            // A list that fails begins well.
            Ok(watcher::Event::Init) => return None,
            Ok(_) => {
                if std::mem::take(&mut self.seen).into_iter().any(|(_, count)| count >= TOLD_AT) {
                    tracing::info!(watch = self.what.name(), "the watch works again");
                }
                return None;
            }
            Err(error) => error,
        };
        let cause = Cause::of(error);
        self.failures.with_label_values(&[self.what.name(), cause.word()]).inc();
        let text = self.what.text(cause, error);
        let is_news = self.count(cause) == TOLD_AT;
        match cause {
            Cause::Interrupted => {
                tracing::debug!(%error, watch = self.what.name(), "a watch is interrupted and goes on")
            }
            _ if !is_news => {
                tracing::debug!(%error, watch = self.what.name(), "a watch still fails and is tried again")
            }
            Cause::Away => tracing::warn!(watch = self.what.name(), "{text}"),
            _ => tracing::error!(watch = self.what.name(), "{text}"),
        }
        Some(text)
    }

    fn count(&mut self, cause: Cause) -> u32 {
        match self.seen.iter_mut().find(|(seen, _)| *seen == cause) {
            Some((_, count)) => {
                *count = count.saturating_add(1);
                *count
            }
            None => {
                self.seen.push((cause, 1));
                1
            }
        }
    }
}

impl Watched {
    /// As the API server names it; a label of the metric.
    pub fn name(self) -> &'static str {
        match self {
            Self::Credentials => "credentials",
            Self::Secrets => "secrets",
            Self::Sources => "sources",
            Self::Namespaces => "namespaces",
            Self::Authorities => "configmaps",
        }
    }

    fn text(self, cause: Cause, error: &watcher::Error) -> String {
        let name = self.name();
        let said = status(error).map_or_else(|| error.to_string(), |status| status.message.clone());
        match (cause, self) {
            (Cause::Refused, _) => format!(
                "the watch of {name} is refused: {said}; ClusterRole credsmith or its ClusterRoleBinding is missing or older \
                 than this release: helm upgrade --install credsmith charts/credsmith, in the namespace of the release"
            ),
            (Cause::Missing, Self::Credentials) => {
                "the watch of credentials finds no such kind: the CRD credentials.credsmith.dev is missing: kubectl apply \
                 --server-side -f crds/"
                    .to_owned()
            }
            (Cause::Unauthorized, _) => format!(
                "the watch of {name} is refused: the API server does not accept the operator's token; see that the \
                 ServiceAccount credsmith is there, then start the pod again"
            ),
            (Cause::Away, _) => {
                format!("the watch of {name} has no answer from the API server; it is tried again until there is one")
            }
            _ => format!("the watch of {name} fails: {said}; it is tried again"),
        }
    }
}

impl Cause {
    fn of(error: &watcher::Error) -> Self {
        match (error, status(error)) {
            (_, Some(status)) => match status.code {
                401 => Self::Unauthorized,
                403 => Self::Refused,
                404 => Self::Missing,
                410 => Self::Interrupted,
                429 | 500..=599 => Self::Away,
                _ => Self::Other,
            },
            (watcher::Error::InitialListFailed(error) | watcher::Error::WatchStartFailed(error), None) => {
                if is_away(error) { Self::Away } else { Self::Other }
            }
            (watcher::Error::WatchFailed(_), None) => Self::Interrupted,
            _ => Self::Other,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Missing => "missing",
            Self::Unauthorized => "unauthorized",
            Self::Away => "away",
            Self::Interrupted => "interrupted",
            Self::Other => "other",
        }
    }
}

/// Whether nobody answered who could.
pub fn is_away(error: &kube::Error) -> bool {
    match error {
        kube::Error::HyperError(_) | kube::Error::Service(_) => true,
        kube::Error::Api(status) => matches!(status.code, 429 | 500..=599),
        _ => false,
    }
}

fn status(error: &watcher::Error) -> Option<&kube::core::Status> {
    match error {
        watcher::Error::WatchError(status) => Some(status),
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status))
        | watcher::Error::WatchFailed(kube::Error::Api(status)) => Some(status),
        _ => None,
    }
}

/// Whether everything that a look needs was listed once, and if not, why. What happens later changes nothing: a process
/// that knows its objects goes on with what it knows.
#[derive(Debug)]
pub struct FirstLists(Mutex<BTreeMap<Watched, Option<String>>>);

impl Default for FirstLists {
    fn default() -> Self {
        let needed = [Watched::Credentials, Watched::Secrets, Watched::Namespaces, Watched::Authorities];
        Self(Mutex::new(needed.map(|what| (what, None)).into()))
    }
}

impl FirstLists {
    /// `Err`: what was not listed yet, and why, in words that may be shown to anybody.
    pub fn check(&self) -> Result<(), String> {
        let open = self.lock();
        let Some((what, _)) = open.first_key_value() else { return Ok(()) };
        // A reason that is known says more than the first name.
        let why = open.values().flatten().next().cloned();
        Err(why.unwrap_or_else(|| format!("{} are not listed yet", what.name())))
    }

    pub(crate) fn done(&self, what: Watched) {
        self.lock().remove(&what);
    }

    pub(crate) fn failed(&self, what: Watched, why: String) {
        if let Some(reason) = self.lock().get_mut(&what) {
            *reason = Some(why);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Watched, Option<String>>> {
        self.0.lock().expect("nobody panics with the map in hand")
    }
}

/// An API server that starts refuses everybody for a moment, before it has read its roles: that is no news yet.
const TOLD_AT: u32 = 3;

#[cfg(test)]
mod tests {
    use credsmith_core::metrics::Metrics;
    use kube::core::Status;

    use super::*;
    use crate::index::Guarded;

    type Event = watcher::Result<watcher::Event<Guarded>>;

    fn refused(code: u16) -> Event {
        let status = Status { code, message: "no".into(), ..Status::failure("no", "No") };
        Err(watcher::Error::InitialListFailed(kube::Error::Api(status.boxed())))
    }

    #[test]
    fn each_cause_is_counted_and_names_the_next_step() {
        let metrics = Metrics::new();
        let mut trouble = Trouble::new(Watched::Credentials, metrics.watch_failures.clone());
        let table = [
            (403, "refused", "helm upgrade --install credsmith charts/credsmith"),
            (404, "missing", "kubectl apply --server-side -f crds/"),
            (401, "unauthorized", "start the pod again"),
            (503, "away", "tried again"),
            (410, "interrupted", "tried again"),
        ];
        for (code, cause, next) in table {
            for _ in 0..2 {
                let told = trouble.note(&refused(code)).unwrap();
                assert!(told.contains(next), "{code}: {told}");
            }
            assert_eq!(metrics.watch_failures.with_label_values(&["credentials", cause]).get(), 2, "{cause}");
        }
    }

    #[test]
    fn causes_are_counted_until_the_watch_worked() {
        let mut trouble = Trouble::new(Watched::Secrets, Metrics::new().watch_failures.clone());
        for _ in 0..2 {
            trouble.note(&refused(403));
            // Each attempt begins well, and that is no news.
            assert!(trouble.note(&Event::Ok(watcher::Event::Init)).is_none());
        }
        trouble.note(&refused(404));
        assert_eq!(trouble.seen, [(Cause::Refused, 2), (Cause::Missing, 1)]);
        assert!(trouble.note(&Event::Ok(watcher::Event::InitDone)).is_none());
        assert!(trouble.seen.is_empty());
    }

    #[test]
    fn only_the_first_list_of_each_kind_counts() {
        let lists = FirstLists::default();
        assert_eq!(lists.check(), Err("credentials are not listed yet".into()));
        lists.done(Watched::Credentials);
        lists.failed(Watched::Namespaces, "refused".into());
        assert_eq!(lists.check(), Err("refused".into()));
        for what in [Watched::Secrets, Watched::Namespaces, Watched::Authorities] {
            lists.done(what);
        }
        lists.failed(Watched::Credentials, "the API server is away".into());
        assert_eq!(lists.check(), Ok(()));
    }
}
