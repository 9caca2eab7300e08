//! A steady load of reads.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Result, ensure};
use credsmith_harness::front::Front;
use tokio::{
    task::{JoinHandle, JoinSet},
    time::{MissedTickBehavior, interval},
};

/// Somebody who reads one value all the time.
#[derive(Clone)]
pub struct Reader {
    pub front: Front,
    pub path: String,
}

/// Requests at a steady pace, and what became of them.
pub struct Load {
    pub readers: Vec<Reader>,
    stop: Arc<AtomicBool>,
    task: JoinHandle<Result<Served>>,
}

#[derive(Debug, Default)]
pub struct Served {
    pub good: usize,
    pub all: usize,
    /// Status or error, and how often: never a body, which holds a value.
    pub bad: BTreeMap<String, usize>,
}

impl Load {
    /// Each reader asks once, so that it is known; then they take turns.
    pub async fn start(readers: Vec<Reader>) -> Result<Self> {
        let mut right = Vec::new();
        for reader in &readers {
            let answer = reader.front.get(&reader.path).await?;
            ensure!(answer.status == 200, "a reader is answered {}", answer.status);
            right.push(answer);
        }
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, all) = (stop.clone(), readers.clone());
        let task = tokio::spawn(async move {
            let mut pace = interval(PACE);
            pace.set_missed_tick_behavior(MissedTickBehavior::Burst); // a late one is made up for
            let mut asked = JoinSet::new();
            for nth in 0.. {
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                pace.tick().await;
                let (reader, right) = (all[nth % all.len()].clone(), right[nth % all.len()].clone());
                asked.spawn(async move {
                    match reader.front.get(&reader.path).await {
                        Ok(answer) if answer == right => Ok(()),
                        Ok(answer) => Err(format!("status {}", answer.status)),
                        Err(error) => Err(format!("{error:#}")),
                    }
                });
            }
            let mut served = Served::default();
            while let Some(answer) = asked.join_next().await {
                served.all += 1;
                match answer? {
                    Ok(()) => served.good += 1,
                    Err(why) => *served.bad.entry(why).or_default() += 1,
                }
            }
            Ok(served)
        });
        Ok(Self { readers, stop, task })
    }

    /// Ends it and waits for every answer.
    pub async fn stop(self) -> Result<Served> {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await?
    }
}

/// 50 a second.
const PACE: Duration = Duration::from_millis(20);
