//! GETs at a steady rate, each by itself: a slow one holds up none of those behind it, so that what is slow is seen as often as
//! it happens.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use credsmith_harness::front::Front;
use serde::Serialize;
use tokio::{sync::watch, task::JoinHandle, task::JoinSet, time::MissedTickBehavior};

/// GETs under way.
pub struct Gets {
    over: watch::Sender<bool>,
    all: JoinHandle<Result<Vec<Duration>>>,
}

/// How long they took.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Times {
    pub count: usize,
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub most_ms: f64,
}

impl Gets {
    /// Begins.
    pub fn start(front: &Front, path: &str) -> Self {
        let (front, path) = (front.clone(), format!("/api/v1/data?name={path}&current=true"));
        let (over, ended) = watch::channel(false);
        let all = tokio::spawn(async move {
            let mut ticks = tokio::time::interval(Duration::from_secs(1) / A_SECOND);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
            let mut sent = JoinSet::new();
            while !*ended.borrow() {
                ticks.tick().await;
                let (front, path) = (front.clone(), path.clone());
                sent.spawn(async move {
                    let asked = Instant::now();
                    let answer = front.get(&path).await?;
                    ensure!(answer.status == 200, "a GET was answered {}", answer.status);
                    Ok(asked.elapsed())
                });
            }
            sent.join_all().await.into_iter().collect()
        });
        Self { over, all }
    }

    /// Goes on for so long, ends, and says how long they all took.
    pub async fn for_a_while(self, duration: Duration) -> Result<Times> {
        tokio::time::sleep(duration).await;
        self.over.send_replace(true);
        Times::of(self.all.await??)
    }
}

impl Times {
    fn of(mut took: Vec<Duration>) -> Result<Self> {
        ensure!(!took.is_empty(), "there was no GET");
        took.sort();
        let at = |share: usize| took[(took.len() * share / 100).min(took.len() - 1)].as_secs_f64() * 1000.0;
        Ok(Self { count: took.len(), p50_ms: at(50), p99_ms: at(99), most_ms: at(100) })
    }
}

const A_SECOND: u32 = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_hundred_the_slowest_is_the_p99() -> Result<()> {
        let times = Times::of((1..=100).rev().map(Duration::from_millis).collect())?;
        assert_eq!(times, Times { count: 100, p50_ms: 51.0, p99_ms: 100.0, most_ms: 100.0 });
        assert!(Times::of(Vec::new()).is_err());
        Ok(())
    }
}
