//! No value leaves by the back door.
//!
//! Every value that this test run made is searched in everything that the run left behind: what the operators logged at
//! TRACE, what the API server audited, what etcd keeps beside the Secrets (which are sealed there), events, `Credential`s
//! with their status, the metadata of Secrets, ConfigMaps, the pages of metrics, the bodies of refusals, the files of the
//! stores and their logs. The values are read from each store of the run with its own key: the plain form of every version
//! and of its parameters, and every text inside, from 12 characters up. The master keys, the key of the front's
//! certificate authority and the callers' tokens are searched as well. Of keys and certificates the private halves are
//! searched, whole and by lines; public keys and certificates are anybody's.
//!
//! Covered are the control planes and operators that tests of this process started, those that are gone included, since
//! their directories stay until the end (`state::keep_until_the_end`). Its name makes this test the last to start, and it
//! waits for the others that run beside.
//!
//! That the search can fail is shown with a text that is planted in each place (`control`).

mod busy;
mod evidence;
mod private;
mod search;
mod stores;

use std::{
    fs,
    time::{Duration, Instant},
};

use credsmith_harness::{state, wait::eventually};

use crate::operator::scene::Scene;

#[tokio::test]
async fn no_value_is_found_where_none_belongs() {
    let scene = Scene::new().await;
    let app = scene.caller().await;
    busy::run(&scene, &app).await;
    others_are_done().await;
    busy::interrupted(&scene).await;

    let started = Instant::now();
    let dirs = state::of_this_process();
    let values = stores::values(&dirs).await;
    let sinks = evidence::gather(&scene, &dirs).await;
    let (hits, control) = search::search(&values.texts, scene.name(), &sinks);
    let megabytes = sinks.iter().map(|sink| sink.size()).sum::<u64>() >> 20;
    tell!("leaks: {values} in {} sinks, hits {}", sinks.len(), hits.len());
    tell!("control: {} of {} sinks", control.len(), sinks.len());
    tell!("leaks: {megabytes} MiB searched in {:.1} s", started.elapsed().as_secs_f32());
    // Names of places and kinds of writing only: the values stay where they are.
    assert!(hits.is_empty(), "{hits:#?}");
    let missed: Vec<_> = sinks.iter().map(|sink| sink.name).filter(|name| !control.contains(name)).collect();
    assert!(missed.is_empty(), "the planted text is not found in {missed:?}: the search would miss a value there too");
    assert!(values.texts.len() >= 500, "only {} values: the run made too few", values.texts.len());
}

/// Waits for the tests that run beside this one: each has a thread with its name.
async fn others_are_done() {
    let alone = || async {
        let threads = fs::read_dir("/proc/self/task")?.flatten();
        let names = threads.filter_map(|thread| fs::read_to_string(thread.path().join("comm")).ok());
        // A name is cut after 15 characters; every test has a module.
        let tests: Vec<_> = names.filter(|name| name.contains("::")).collect();
        if tests.len() > 1 { anyhow::bail!("there are {tests:?}") } else { Ok(Some(())) }
    };
    eventually("the other tests to end", Duration::from_secs(900), alone).await.unwrap();
}
