//! One namespace of the walk, what must stand in it, and the steps it takes.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use credsmith_harness::{cluster::Cluster, namespace::Namespace, operator::OperatorProcess, state::random_hex};
use credsmith_operator::Credential;
use k8s_openapi::api::core::v1::{Namespace as NamespaceObject, Secret};
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, Patch, PatchParams},
};
use serde_json::{Value, json};

use super::{
    super::scene::{Caller, Says, until, values},
    Counts, Dice, keys,
};

/// A namespace by name; the one that has the name is another one each time it is made again.
pub struct Place<'a> {
    cluster: &'a Cluster,
    client: Client,
    name: String,
    namespace: Option<Namespace>,
    dice: Dice,
    /// The namespace UID that the store knows as the owner, once everything was in sync.
    owner: String,
    /// What each Secret held when it was first made.
    expected: BTreeMap<&'static str, BTreeMap<String, String>>,
    /// A value that a ServiceAccount of the namespace set, and that no `Credential` has taken yet.
    unclaimed: bool,
    counts: Counts,
}

impl<'a> Place<'a> {
    pub async fn new(cluster: &'a Cluster, operator: &OperatorProcess, dice: Dice, nth: usize) -> Self {
        let name = format!("walk-{nth}-{}", random_hex(2));
        let namespace = Namespace::named(cluster, &name).await.unwrap();
        let client = cluster.client().unwrap();
        let (owner, expected) = (String::new(), BTreeMap::new());
        let mut place = Self {
            cluster,
            client,
            name,
            namespace: Some(namespace),
            dice,
            owner,
            expected,
            // In every second place the `Credential` comes only after the namespace was made again.
            unclaimed: nth % 2 == 1,
            counts: Counts::default(),
        };
        place.owner = place.uid().await;
        place.set_over_the_api(operator).await;
        for object in place.objects() {
            place.apply(object).await;
        }
        for object in place.objects() {
            let (values, _) = place.in_sync(object).await;
            place.expected.insert(object, values);
        }
        place.expected.insert(GIVEN, [("value".to_owned(), SET.to_owned())].into());
        place
    }

    /// What a ServiceAccount of the namespace sets before there is an object.
    async fn set_over_the_api(&self, operator: &OperatorProcess) {
        let account = format!("{}:default", self.name);
        let kubectl = async |arguments: &[&str], flag: String| {
            let all = [arguments, &["--namespace", &self.name, &flag]].concat();
            self.cluster.kubectl(&all, "").await
        };
        let binding = ["create", "rolebinding", "writer", "--clusterrole=credsmith-value-writer"];
        kubectl(&binding, format!("--serviceaccount={account}")).await.unwrap();
        // The API server learns of it by a watch of its own, and the front remembers a no.
        let may = ["auth", "can-i", "update", "credentials.credsmith.dev", "--subresource=value"];
        let who = format!("--as=system:serviceaccount:{account}");
        until("a right to write", || async { Ok(kubectl(&may, who.clone()).await.ok()) }).await;
        let caller = Caller::new(operator, &self.client, &self.name, "default").await;
        let path = format!("/{}/{GIVEN}", self.name);
        assert_eq!(caller.put(json!({"name": path, "type": "value", "value": SET})).await.status, 200);
    }

    /// The objects that there are, or may be.
    fn objects(&self) -> &'static [&'static str] {
        if self.unclaimed { &OBJECTS[..OBJECTS.len() - 1] } else { &OBJECTS }
    }

    /// Takes a few steps and waits for none of them to have its effect.
    pub async fn wander(&mut self) {
        for _ in 0..=self.dice.below(3) {
            let object = self.objects()[self.dice.below(self.objects().len())];
            match self.dice.below(9) {
                0..3 => self.delete_credential(object).await,
                3..6 => self.delete_secret(object).await,
                6..8 => self.apply(object).await,
                _ => self.make_again().await,
            }
        }
    }

    /// Applies everything again, and compares what comes with what was there.
    pub async fn settle(&mut self) {
        // Once more at the end, for the steps alone would draw it too seldom.
        if self.counts.namespace == 0 && (self.dice.one_in(4) || self.unclaimed) {
            self.make_again().await;
        }
        for object in OBJECTS {
            self.apply(object).await;
        }
        let uid = self.uid().await;
        if uid != self.owner {
            self.wait_for_approval(&uid).await;
        }
        for object in OBJECTS {
            let (now, versions) = self.in_sync(object).await;
            if now != self.expected[object] || versions != Some(1) {
                tell!("walk: {}/{object} changed, it has {versions:?} versions", self.name);
                self.counts.changed += 1;
            }
        }
        self.unclaimed = false;
    }

    pub fn take_counts(&mut self) -> Counts {
        std::mem::take(&mut self.counts)
    }

    /// Nothing is inherited before an administrator says so, in the words of the message.
    async fn wait_for_approval(&mut self, uid: &str) {
        let old = &self.owner;
        for object in OBJECTS {
            let found = self.until(object, |reason| ["AdoptionNeedsApproval", "InSync"].contains(&reason)).await;
            let whose = if self.unclaimed && object == GIVEN { "api" } else { old };
            let annotate = format!("kubectl annotate namespace {} credsmith.dev/inherits={whose}", self.name);
            let secret = self.secrets().get_metadata_opt(object).await.unwrap();
            if !found.message().ends_with(&annotate) || secret.is_some() {
                tell!("walk: {}/{object} was inherited: {}", self.name, found.message());
                self.counts.inherited += 1;
            }
        }
        self.inherits(old).await;
        if self.unclaimed {
            // One word at a time.
            for object in self.objects() {
                self.in_sync(object).await;
            }
            let given = self.until(GIVEN, |_| true).await;
            self.counts.inherited += u32::from(given.condition("Ready").reason != "AdoptionNeedsApproval");
            self.inherits("api").await;
            self.counts.born += 1;
        }
        self.owner = uid.to_owned();
    }

    async fn inherits(&self, whose: &str) {
        let patch = Patch::Merge(json!({"metadata": {"annotations": {"credsmith.dev/inherits": whose}}}));
        self.namespaces().patch(&self.name, &PatchParams::default(), &patch).await.unwrap();
    }

    async fn apply(&mut self, object: &str) {
        let (annotations, spec) = manifest(object);
        let object_ = json!({
            "apiVersion": "credsmith.dev/v1alpha1", "kind": "Credential",
            "metadata": {"name": object, "annotations": annotations}, "spec": spec,
        });
        // Right after the definition was installed the API server may not know it everywhere.
        let (api, how, patch) = (self.credentials(), PatchParams::apply("walk").force(), Patch::Apply(&object_));
        until("an apply", || async { Ok(Some(api.patch(object, &how, &patch).await?)) }).await;
    }

    async fn delete_credential(&mut self, object: &str) {
        let deleted = self.credentials().delete(object, &DeleteParams::default()).await;
        self.counts.credential += u32::from(happened(deleted));
    }

    async fn delete_secret(&mut self, object: &str) {
        let deleted = self.secrets().delete(object, &DeleteParams::default()).await;
        self.counts.secret += u32::from(happened(deleted));
    }

    /// Another namespace of the same name; once in an order, since each takes 5 s to go.
    async fn make_again(&mut self) {
        if self.counts.namespace == 0 {
            self.counts.namespace += 1;
            self.namespace.take().expect("there is one").delete(&self.client, true).await.unwrap();
            self.namespace = Some(Namespace::named(self.cluster, &self.name).await.unwrap());
        }
    }

    /// Waits until the reason of `Ready` is one of those, about an object as it is now.
    async fn until(&self, object: &str, is: impl Fn(&str) -> bool) -> Credential {
        let api = self.credentials();
        let found =
            || async { anyhow::Ok(api.get_opt(object).await?.filter(|found| is(&found.condition("Ready").reason))) };
        until(&format!("{}/{object}", self.name), found).await
    }

    /// What the Secret of the object as it is now holds, and how many versions there are.
    async fn in_sync(&self, object: &str) -> (BTreeMap<String, String>, Option<i64>) {
        let (credentials, secrets) = (self.credentials(), self.secrets());
        let both = || async {
            let found = credentials.get(object).await?;
            let ready = found.condition("Ready");
            let secret =
                secrets.get(object).await.with_context(|| format!("it says {} {}", ready.reason, ready.message))?;
            let is_of_it = secret.labels().get("credsmith.dev/owner-uid") == found.metadata.uid.as_ref();
            let versions = found.status.as_ref().and_then(|status| status.versions);
            ensure!(
                is_of_it && ready.reason == "InSync",
                "it says {} {}, its Secret is of it: {is_of_it}",
                ready.reason,
                ready.message
            );
            Ok(Some((values(secret), versions)))
        };
        until(&format!("{}/{object} in sync", self.name), both).await
    }

    async fn uid(&self) -> String {
        let api = self.namespaces();
        let uid = || async { Result::Ok(api.get_metadata(&self.name).await?.metadata.uid) };
        until("a UID", uid).await
    }

    fn credentials(&self) -> Api<Credential> {
        Api::namespaced(self.client.clone(), &self.name)
    }

    fn secrets(&self) -> Api<Secret> {
        Api::namespaced(self.client.clone(), &self.name)
    }

    fn namespaces(&self) -> Api<NamespaceObject> {
        Api::all(self.client.clone())
    }
}

/// Whether something was there to be deleted.
fn happened<T>(deleted: kube::Result<T>) -> bool {
    match deleted {
        Ok(_) => true,
        Err(kube::Error::Api(status)) if status.code == 404 => false,
        Err(error) => panic!("{error}"),
    }
}

/// Annotations and spec.
fn manifest(object: &str) -> (Value, Value) {
    match object {
        "dated" => (json!({"credsmith.dev/rotate-at": "2020-01-01T00:00:00Z"}), json!({"type": "user"})),
        "plain" => (json!({}), json!({"type": "password"})),
        GIVEN => (json!({}), json!({"type": "value"})),
        other => (json!({}), keys::spec(other)),
    }
}

/// One manifest carries an old request for a rotation, a leaf comes before the authority that signs it, and the last one
/// waits for a value.
const OBJECTS: [&str; 7] = ["plain", "dated", "leaf", "authority", "shell", "curve", GIVEN];
/// Its value was set over the API before there was an object.
const GIVEN: &str = "given";
const SET: &str = "set-before-there-was-an-object";
