use super::*;
use crate::world::FixedClock;

fn pool(ready: usize) -> (Pool, Arc<FixedClock>) {
    let clock = Arc::new(FixedClock::new("2026-01-16T12:00:00Z".parse().unwrap()));
    let settings = PoolSettings { ready, makers: 1 };
    (Pool::start(settings, clock.clone(), Metrics::new()), clock)
}

async fn filled(pool: &Pool, size: RsaSize, count: usize) {
    for _ in 0..1200 {
        if pool.ready(size) == count {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{} of {count} after a minute", pool.ready(size));
}

#[tokio::test]
async fn a_key_that_lies_ready_is_handed_out_once() {
    let (pool, _) = pool(2);
    let first = pool.take(RsaSize::Rsa2048).await.unwrap();
    filled(&pool, RsaSize::Rsa2048, 2).await;
    assert_eq!((pool.ready(RsaSize::Rsa3072), pool.ready(RsaSize::Rsa4096)), (0, 0)); // nobody asked for one
    let mut seen = vec![first.numbers()];
    for _ in 0..2 {
        let key = pool.take(RsaSize::Rsa2048).await.unwrap();
        assert!(!seen.contains(&key.numbers()));
        seen.push(key.numbers());
    }
    let page = pool.metrics.page();
    assert!(page.contains(r#"credsmith_rsa_keys_total{outcome="hit",size="2048"} 2"#), "{page}");
    assert!(page.contains(r#"credsmith_rsa_keys_total{outcome="miss",size="2048"} 1"#), "{page}");
}

#[tokio::test]
async fn what_nobody_asks_for_is_wiped() {
    let (pool, clock) = pool(1);
    pool.take(RsaSize::Rsa2048).await.unwrap();
    filled(&pool, RsaSize::Rsa2048, 1).await;
    clock.advance(Duration::from_secs(2 * 60 * 60));
    pool.shared.wanted.notify_one();
    filled(&pool, RsaSize::Rsa2048, 0).await;
}

#[tokio::test]
async fn a_pool_that_is_off_keeps_nothing() {
    let (pool, _) = pool(0);
    assert_eq!(pool.take(RsaSize::Rsa2048).await.unwrap().size(), RsaSize::Rsa2048);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(pool.ready(RsaSize::Rsa2048), 0);
}

#[tokio::test]
async fn a_full_queue_refuses_and_recovers_when_those_who_wait_go_away() {
    let (pool, _) = pool(0);
    let mut waiting: Vec<_> = (0..16).map(|_| pool.take(RsaSize::Rsa4096)).collect();
    for wait in &mut waiting {
        assert!(futures::poll!(wait).is_pending());
    }
    assert_eq!(pool.take(RsaSize::Rsa2048).await.unwrap_err(), Busy);
    assert!(pool.metrics.page().contains(r#"credsmith_rsa_keys_total{outcome="refused",size="2048"} 1"#));
    drop(waiting); // at most one of them is being made
    for _ in 0..1200 {
        if pool.take(RsaSize::Rsa2048).await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("it goes on refusing");
}

#[tokio::test]
async fn nobody_waits_for_a_pool_that_is_gone() {
    let (pool, _) = pool(0);
    let shared = pool.shared.clone();
    drop(pool);
    assert!(shared.lock().is_over);
}

#[test]
fn the_stock_follows_the_setting() {
    let settings = PoolSettings { ready: 32, makers: 1 };
    assert_eq!(RsaSize::ALL.map(|size| settings.target(size)), [32, 8, 4]);
    assert_eq!(RsaSize::ALL.map(|size| PoolSettings { ready: 0, makers: 1 }.target(size)), [0, 0, 0]);
}
