use super::*;
use credsmith_core::domain::name::Pattern;
use futures::StreamExt;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let f: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    (f[11].parse::<f64>().unwrap() + f[12].parse::<f64>().unwrap()) / 100.0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore]
async fn speed() {
    let directory = tempfile::tempdir_in("/work/main/target/tmp").unwrap();
    let store = Arc::new(Sqlite::open(&directory.path().join("store.db")).unwrap());
    for (round, writers) in [1usize, 8, 32, 128, 1, 32].into_iter().enumerate() {
        let (begin, c0) = (Instant::now(), cpu());
        let before = store.writer.health().commits.load(std::sync::atomic::Ordering::Relaxed);
        let tasks: Vec<_> = (0..writers)
            .map(|w| {
                let store = Arc::clone(&store);
                tokio::spawn(async move {
                    let mut n = 0u64;
                    while begin.elapsed() < Duration::from_secs(3) {
                        store.put_version(large(&format!("/bench{round}/{writers}/{w}/{n}"), 300)).await.unwrap();
                        n += 1;
                    }
                    n
                })
            })
            .collect();
        let mut n = 0;
        for t in tasks {
            n += t.await.unwrap();
        }
        let s = begin.elapsed().as_secs_f64();
        let commits = store.writer.health().commits.load(std::sync::atomic::Ordering::Relaxed) - before;
        println!(
            "new names, {writers} writers: {:.0}/s, {:.0} commits/s, cpu {:.1} us each",
            n as f64 / s,
            commits as f64 / s,
            (cpu() - c0) * 1e6 / n as f64
        );
    }
    // overwrite
    for writers in [1usize, 32] {
        let (begin, c0) = (Instant::now(), cpu());
        let tasks: Vec<_> = (0..writers)
            .map(|w| {
                let store = Arc::clone(&store);
                tokio::spawn(async move {
                    let mut n = 0u64;
                    while begin.elapsed() < Duration::from_secs(2) {
                        put_again(&*store, large(&format!("/over/{w}"), 300)).await.unwrap();
                        n += 1;
                    }
                    n
                })
            })
            .collect();
        let mut n = 0;
        for t in tasks {
            n += t.await.unwrap();
        }
        println!(
            "overwrites (two steps each), {writers} writers: {:.0}/s, cpu {:.1}",
            n as f64 / begin.elapsed().as_secs_f64(),
            (cpu() - c0) * 1e6 / n as f64
        );
    }
    for tasks in [1usize, 16] {
        let (begin, c0) = (Instant::now(), cpu());
        let all: Vec<_> = (0..tasks)
            .map(|t| {
                let store = Arc::clone(&store);
                tokio::spawn(async move {
                    let mut n = 0u64;
                    while begin.elapsed() < Duration::from_secs(2) {
                        let path = format!("/bench2/32/{}/{}", (n * 7 + t as u64) % 32, (n * 31) % 500);
                        assert_eq!(store.versions(&name(&path), Some(1)).await.unwrap().len(), 1);
                        n += 1;
                        if n % 64 == 0 {
                            tokio::task::yield_now().await;
                        }
                    }
                    n
                })
            })
            .collect();
        let mut n = 0;
        for t in all {
            n += t.await.unwrap();
        }
        println!(
            "newest by name, {tasks} tasks: {:.0}/s, cpu {:.2} us",
            n as f64 / begin.elapsed().as_secs_f64(),
            (cpu() - c0) * 1e6 / n as f64
        );
    }
    {
        let begin = Instant::now();
        for n in 0..20000u64 {
            let path = format!("/bench2/32/{}/{}", (n * 7) % 32, (n * 31) % 500);
            store.credential(&name(&path)).await.unwrap().unwrap();
        }
        println!("credential {:.2} us", begin.elapsed().as_micros() as f64 / 20000.0);
    }
    for pattern in [Pattern::below("/bench1/8/3"), Pattern::containing("32/3/17"), Pattern::below("/")] {
        for _ in 0..2 {
            let begin = Instant::now();
            let n = store.find(pattern.clone()).count().await;
            println!("{pattern:?}: {n} in {:.2} ms", begin.elapsed().as_secs_f64() * 1e3);
        }
    }
    let path = directory.path().join("store.db");
    println!(
        "size {} MiB wal {} MiB",
        std::fs::metadata(&path).unwrap().len() >> 20,
        std::fs::metadata(path.with_extension("db-wal")).unwrap().len() >> 20
    );
    // a million names
    let store = Arc::into_inner(store).unwrap();
    store.writer.write("x", 1, |step| { step.db.execute_batch(
        "INSERT INTO credential (id, name, folded, kind, newest, newest_number, newest_ms, newest_actor, versions, created_ms) \
         SELECT randomblob(16), '/million/' || (v % 1000) || '/name-of-a-credential-' || v, '/million/' || (v % 1000) || '/name-of-a-credential-' || v, 'value', randomblob(16), 1, v, 'operator', 1, 0 \
         FROM (WITH RECURSIVE n (v) AS (SELECT 1 UNION ALL SELECT v + 1 FROM n LIMIT 1000000) SELECT v FROM n)")?; Ok(()) }).await.unwrap();
    for pattern in [
        Pattern::below("/million/77"),
        Pattern::containing("credential-77777"),
        Pattern::containing("nowhere-to-be-found"),
        Pattern::below("/million"),
    ] {
        for _ in 0..2 {
            let begin = Instant::now();
            let n = store.find(pattern.clone()).count().await;
            println!("{pattern:?}: {n} in {:.2} ms", begin.elapsed().as_secs_f64() * 1e3);
        }
    }
    let rss = std::fs::read_to_string("/proc/self/status").unwrap();
    println!("{:?}", rss.lines().filter(|l| l.starts_with("VmHWM") || l.starts_with("VmRSS")).collect::<Vec<_>>());
}

#[tokio::test]
#[ignore]
async fn speed_read() {
    let directory = tempfile::tempdir_in("/work/main/target/tmp").unwrap();
    let store = Sqlite::open(&directory.path().join("store.db")).unwrap();
    let many: usize = std::env::var("MANY").map_or(80000, |n| n.parse().unwrap());
    futures::stream::iter(0..many)
        .map(|n| store.put_version(large(&format!("/b/{}/{n}", n % 32), 300)))
        .buffer_unordered(256)
        .for_each(async |r| {
            r.unwrap();
        })
        .await;
    println!("begin");
    for _ in 0..3 {
        let (begin, c0) = (Instant::now(), cpu());
        for n in 0..100_000usize {
            let n = n * 7919 % many;
            let path = format!("/b/{}/{n}", n % 32);
            store.credential(&name(&path)).await.unwrap().unwrap();
        }
        println!("credential {:.2} us, cpu {:.2}", begin.elapsed().as_micros() as f64 / 1e5, (cpu() - c0) * 10.0);
        let (begin, c0) = (Instant::now(), cpu());
        for n in 0..100_000usize {
            let n = n * 7919 % many;
            let path = format!("/b/{}/{n}", n % 32);
            assert_eq!(store.versions(&name(&path), Some(1)).await.unwrap().len(), 1);
        }
        println!("versions {:.2} us, cpu {:.2}", begin.elapsed().as_micros() as f64 / 1e5, (cpu() - c0) * 10.0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore]
async fn speed_write() {
    let directory = tempfile::tempdir_in("/work/main/target/tmp").unwrap();
    let store = Arc::new(Sqlite::open(&directory.path().join("store.db")).unwrap());
    let count = |k: &str| -> u64 { std::env::var(k).ok().and_then(|v| v.parse().ok()).unwrap_or(0) };
    let writers = count("WRITERS").max(1);
    for round in 0..3 {
        let (begin, c0) = (Instant::now(), cpu());
        let before = store.writer.health().commits.load(std::sync::atomic::Ordering::Relaxed);
        let tasks: Vec<_> = (0..writers)
            .map(|w| {
                let store = Arc::clone(&store);
                tokio::spawn(async move {
                    let mut n = 0u64;
                    while begin.elapsed() < Duration::from_secs(3) {
                        store.put_version(large(&format!("/bench{round}/{writers}/{w}/{n}"), 300)).await.unwrap();
                        n += 1;
                    }
                    n
                })
            })
            .collect();
        let mut n = 0;
        for t in tasks {
            n += t.await.unwrap();
        }
        let s = begin.elapsed().as_secs_f64();
        let commits = store.writer.health().commits.load(std::sync::atomic::Ordering::Relaxed) - before;
        let io = std::fs::read_to_string("/proc/self/io").unwrap();
        let threads: Vec<String> = std::fs::read_dir("/proc/self/task")
            .unwrap()
            .map(|t| {
                let stat = std::fs::read_to_string(t.unwrap().path().join("stat")).unwrap();
                let name = stat.split(['(', ')']).nth(1).unwrap().to_owned();
                let f: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
                format!("{name} u{} s{}", f[11], f[12])
            })
            .collect();
        println!(
            "new names, {writers} writers: {:.0}/s, {:.0} commits/s, cpu {:.1} us each; {:?} {}",
            n as f64 / s,
            commits as f64 / s,
            (cpu() - c0) * 1e6 / n as f64,
            threads,
            io.lines().filter(|l| l.starts_with("wchar") || l.starts_with("syscw")).collect::<Vec<_>>().join(" ")
        );
    }
}
