//! 200 random orders of deletions, re-applies and restarts: the value never changes, and a namespace that is made again
//! does not inherit until somebody says so, be it a value that a `Credential` made or one that was set over the API before.
//!
//! Twenty namespaces go side by side through ten rounds; what a namespace does in a round is one order. A deletion of the
//! definition and a restart of the operator hit all of them at once, so they are steps of the round, between which each
//! namespace takes steps of its own. `WALK_SEED` repeats a walk.

mod keys;
mod place;

use std::time::Instant;

use credsmith_core::world::{Entropy, SeededEntropy};
use credsmith_harness::{
    cluster::Cluster,
    control_plane::Options,
    operator::{OperatorOptions, OperatorProcess},
    state,
};
use credsmith_operator::crds;
use futures::future::join_all;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, PostParams},
};

use super::scene::{start, until};
use place::Place;

#[tokio::test]
async fn no_order_of_deletions_changes_a_value() {
    let seed = std::env::var("WALK_SEED").ok().and_then(|text| text.parse().ok());
    let seed = seed.unwrap_or_else(|| u64::from_str_radix(&state::random_hex(4), 16).unwrap());
    tell!("walk: WALK_SEED={seed}");
    state::keep_until_the_end();
    let cluster = Cluster::start(Options::default()).await.unwrap();
    cluster.install_chart().await.unwrap();
    let operator = start(&cluster, OperatorOptions::default()).await.unwrap();

    let dice = Dice::new(seed);
    let mut places =
        join_all((0..PLACES).map(|nth| Place::new(&cluster, &operator, Dice::new(dice.draw()), nth))).await;
    let (mut total, mut orders) = (Counts::default(), 0);
    for round in 0..ROUNDS {
        let started = Instant::now();
        let steps = globals(round, &dice);
        join_all(places.iter_mut().map(Place::wander)).await;
        for step in &steps {
            match step {
                Global::Crd => install_again(&cluster).await,
                Global::Restart => restart(&operator, &dice).await,
            }
            join_all(places.iter_mut().map(Place::wander)).await;
        }
        join_all(places.iter_mut().map(Place::settle)).await;
        for place in &mut places {
            orders += 1;
            let of_place = place.take_counts();
            total.add(&of_place);
            total.crd += u32::from(steps.contains(&Global::Crd));
            total.restart += u32::from(steps.contains(&Global::Restart));
        }
        tell!("walk: round {} of {ROUNDS} {steps:?} in {:.1} s", round + 1, started.elapsed().as_secs_f32());
    }
    let Counts { credential, secret, crd, namespace, restart, born, changed, inherited } = total;
    tell!(
        "walk: orders {orders} (credential {credential}, secret {secret}, crd {crd}, namespace {namespace}, restart \
         {restart}, born over the API {born}) changed {changed} inherited {inherited}"
    );
    assert_eq!((orders, changed, inherited), (200, 0, 0));
    assert!(born >= 10, "only {born} paths that were born over the API were met by another namespace");
    for (kind, count) in
        [("credential", credential), ("secret", secret), ("crd", crd), ("namespace", namespace), ("restart", restart)]
    {
        assert!(count >= 60, "{kind} occurs in {count} orders only: another WALK_SEED, or more rounds");
    }
}

/// In how many orders each step occurred, and what went wrong.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    credential: u32,
    secret: u32,
    crd: u32,
    namespace: u32,
    restart: u32,
    /// Paths that no `Credential` had before the namespace was made again.
    born: u32,
    changed: u32,
    inherited: u32,
}

impl Counts {
    fn add(&mut self, other: &Self) {
        self.credential += other.credential.min(1);
        self.secret += other.secret.min(1);
        self.namespace += other.namespace.min(1);
        self.born += other.born;
        self.changed += other.changed;
        self.inherited += other.inherited;
    }
}

/// A step that hits all namespaces at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Global {
    Crd,
    Restart,
}

/// What happens to all in a round: in each third round surely the one, in each third the other, else as the dice say.
fn globals(round: u32, dice: &Dice) -> Vec<Global> {
    let mut steps = Vec::new();
    for (global, sure) in [(Global::Crd, 0), (Global::Restart, 1)] {
        if round % 3 == sure || dice.one_in(3) {
            steps.push(global);
        }
    }
    if dice.one_in(2) {
        steps.reverse();
    }
    steps
}

/// Deletes the definition, and with it every object, and installs it again.
async fn install_again(cluster: &Cluster) {
    let definitions: Api<CustomResourceDefinition> = Api::all(cluster.client().unwrap());
    for definition in crds() {
        let name = definition.name_any();
        definitions.delete(&name, &DeleteParams::default()).await.unwrap();
        let gone = || async { Ok(definitions.get_opt(&name).await?.is_none().then_some(())) };
        until("the end of the definition", gone).await;
        definitions.create(&PostParams::default(), &definition).await.unwrap();
        let established = || async {
            let status = definitions.get(&name).await?.status.unwrap_or_default();
            let is = |kind: &str| status.conditions.iter().flatten().any(|c| c.type_ == kind && c.status == "True");
            Ok(is("Established").then_some(()))
        };
        until("the definition to be established", established).await;
    }
}

/// In good order or not; waits until it is ready.
async fn restart(operator: &OperatorProcess, dice: &Dice) {
    if dice.one_in(2) {
        operator.kill().unwrap();
        operator.start_again().unwrap();
    } else {
        operator.restart().await.unwrap();
    }
    operator.ready().await.unwrap();
}

/// Numbers that repeat with their seed.
struct Dice(SeededEntropy);

impl Dice {
    fn new(seed: u64) -> Self {
        Self(SeededEntropy::new(seed))
    }

    fn draw(&self) -> u64 {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        u64::from_be_bytes(bytes)
    }

    fn below(&self, limit: usize) -> usize {
        usize::try_from(self.draw() % limit as u64).unwrap()
    }

    fn one_in(&self, times: usize) -> bool {
        self.below(times) == 0
    }
}

const PLACES: usize = 20;
const ROUNDS: u32 = 10;
