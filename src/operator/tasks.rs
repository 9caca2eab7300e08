//! What runs beside the looks. The end of a watch is the end of the process: one that went on would be deaf, and nobody
//! would see it.

use std::{fmt, panic::AssertUnwindSafe};

use futures::FutureExt;
use tokio::task::JoinSet;

/// Tasks by name.
#[derive(Debug, Default)]
pub struct Tasks(JoinSet<Result<(), Ended>>);

/// A part of the operator that should have gone on.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub struct Ended {
    what: &'static str,
    panicked: bool,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = if self.panicked { "panicked: the line before says where" } else { "ended by itself" };
        write!(f, "{} {how}", self.what)
    }
}

impl Tasks {
    /// Starts what goes on as long as the process does.
    pub fn keep(&mut self, what: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.0.spawn(async move {
            let panicked = AssertUnwindSafe(task).catch_unwind().await.is_err();
            Err(Ended { what, panicked })
        });
    }

    /// Starts what is done one day.
    pub fn errand(&mut self, what: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.0.spawn(async move {
            let done = AssertUnwindSafe(task).catch_unwind().await;
            done.map_err(|_| Ended { what, panicked: true })
        });
    }

    /// Waits until something ends that should not.
    pub async fn broken(&mut self) -> Ended {
        while let Some(ended) = self.0.join_next().await {
            match ended {
                Ok(Ok(())) => {}
                Ok(Err(ended)) => return ended,
                Err(_) => return Ended { what: "a part of the operator", panicked: true },
            }
        }
        std::future::pending().await
    }

    /// Ends all of them.
    pub async fn shutdown(mut self) {
        self.0.shutdown().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_watch_that_ends_is_told_by_its_name() {
        let mut tasks = Tasks::default();
        tasks.keep("the watch of namespaces", std::future::pending());
        tasks.errand("an errand", async {});
        tasks.keep("the watch of Secrets", async {});
        assert_eq!(tasks.broken().await.to_string(), "the watch of Secrets ended by itself");
    }

    #[tokio::test]
    async fn a_panic_in_a_watch_or_an_errand_is_told_by_its_name() {
        for (keep, told) in [
            (true, "the watch of Secrets panicked: the line before says where"),
            (false, "an errand panicked: the line before says where"),
        ] {
            let mut tasks = Tasks::default();
            let task = async { panic!("as it was meant") };
            if keep {
                tasks.keep("the watch of Secrets", task)
            } else {
                tasks.errand("an errand", task)
            }
            assert_eq!(tasks.broken().await.to_string(), told);
        }
    }

    #[tokio::test]
    async fn an_errand_that_is_done_ends_nothing() {
        let mut tasks = Tasks::default();
        tasks.errand("an errand", async {});
        assert!(tasks.broken().now_or_never().is_none());
        tokio::task::yield_now().await;
        assert!(tasks.broken().now_or_never().is_none());
    }
}
