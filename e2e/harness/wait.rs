//! Waiting for something to become true. Tests have no other sleep than the one in here.

use std::{
    fmt::Debug,
    future::Future,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail};
use kube::{Api, Resource};
use kube_runtime::wait::{Condition, await_condition};
use serde::{Serialize, de::DeserializeOwned};

/// Asks `condition` until it answers `Some`, and returns that.
///
/// `Ok(None)` and `Err` both mean "not yet"; the last error is told when the deadline is over. What can never become
/// true any more is answered as a value: let `T` be a `Result` and end the wait with `Ok(Some(Err(..)))`.
///
/// # Errors
/// After `deadline`, naming `what`. An attempt that hangs counts as one that failed.
pub async fn eventually<T, F, A>(what: &str, deadline: Duration, mut condition: F) -> Result<T>
where
    F: FnMut() -> A,
    A: Future<Output = Result<Option<T>>>,
{
    let start = Instant::now();
    let mut pause = SHORTEST_PAUSE;
    loop {
        let left = deadline.saturating_sub(start.elapsed()).max(SHORTEST_PAUSE);
        let last = match tokio::time::timeout(left, condition()).await {
            Ok(Ok(Some(value))) => return Ok(value),
            Ok(Ok(None)) => None,
            Ok(Err(error)) => Some(error),
            Err(_) => Some(anyhow!("the last attempt got no answer")),
        };
        if start.elapsed() >= deadline {
            let gave_up = format!("gave up after {:.1} s waiting for {what}", start.elapsed().as_secs_f32());
            return Err(last.map_or_else(|| anyhow!(gave_up.clone()), |error| error.context(gave_up.clone())));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 5 / 4).min(LONGEST_PAUSE);
    }
}

/// Watches one object until `condition` holds for it, and returns it; `None` when the condition was about its absence.
///
/// # Errors
/// After `deadline`, naming `what` and the status the object has then; its spec and data are left out, they may be secret.
pub async fn wait_for_condition<K>(
    api: &Api<K>,
    name: &str,
    what: &str,
    deadline: Duration,
    condition: impl Condition<K>,
) -> Result<Option<K>>
where
    K: Resource + Clone + Debug + Serialize + DeserializeOwned + Send + 'static,
{
    if let Ok(found) = tokio::time::timeout(deadline, await_condition(api.clone(), name, condition)).await {
        return found.with_context(|| format!("watching {name} until {what}"));
    }
    let now = match tokio::time::timeout(Duration::from_secs(5), api.get_opt(name)).await {
        Ok(Ok(Some(object))) => {
            serde_json::to_value(&object)?.get("status").map_or("no status".into(), ToString::to_string)
        }
        Ok(Ok(None)) => "it does not exist".into(),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "the API server does not answer".into(),
    };
    bail!("gave up after {:.1} s waiting until {name} {what}; now: {now}", deadline.as_secs_f32());
}

const SHORTEST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_last_error_and_the_name_are_told() {
        let error = eventually::<(), _, _>("rain", Duration::from_millis(60), || async { Err(anyhow!("blue sky")) })
            .await
            .expect_err("nothing ever became true");
        let told = format!("{error:#}");
        assert!(told.starts_with("gave up after 0.") && told.ends_with("s waiting for rain: blue sky"), "{told}");
    }

    #[tokio::test]
    async fn an_attempt_that_hangs_does_not_hang_the_wait() {
        let error = eventually::<(), _, _>("an answer", Duration::from_millis(60), std::future::pending)
            .await
            .expect_err("nothing ever answered");
        assert!(format!("{error:#}").ends_with("waiting for an answer: the last attempt got no answer"));
    }
}
