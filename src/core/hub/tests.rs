//! What the use cases promise, over the plainest store.

mod keys;
mod rotation;
mod signing;

use std::{collections::BTreeSet, sync::Mutex};

use async_trait::async_trait;
use futures::TryStreamExt;

use super::*;
use crate::{
    auth::{KubernetesUser, ReviewUnavailable},
    domain::{
        CredentialName, NamespaceUid, ObjectUid, Operation, Parameters, Reason, RequestId, SecretText,
        name::Pattern,
        ownership::{ApiWrites, Foreign},
        parameters::PasswordParameters,
        rotation::Rotation,
        schedule::{Answer, Kept},
    },
    keyring::MasterKey,
    store::InMemory,
    world::{FixedClock, SeededEntropy},
};

/// Allows what it was told to allow: `verb namespace`, with `*` for all namespaces.
#[derive(Debug, Default)]
struct Rules(Mutex<BTreeSet<String>>);

impl Rules {
    fn allow(&self, rule: &str) {
        self.0.lock().unwrap().insert(rule.to_owned());
    }
}

#[async_trait]
impl Reviewer for Rules {
    async fn allows(
        &self,
        _: &Identity,
        operation: Operation,
        namespace: Option<&str>,
    ) -> Result<bool, ReviewUnavailable> {
        let rules = self.0.lock().unwrap();
        let has = |namespace: &str| rules.contains(&format!("{} {namespace}", operation.verb()));
        Ok(has("*") || namespace.is_some_and(has))
    }
}

/// Objects that live and may start, unless told otherwise.
#[derive(Debug, Default)]
struct Around {
    gone: bool,
    /// When the turn is.
    turn: Option<Timestamp>,
}

impl Surroundings for Around {
    fn is_live(&self, _: &ObjectUid) -> bool {
        !self.gone
    }

    fn start(&self, _: &ObjectUid, _: Timestamp) -> Result<(), Timestamp> {
        self.turn.map_or(Ok(()), Err)
    }
}

struct World {
    hub: Hub,
    rules: Arc<Rules>,
    epoch: Epoch,
}

async fn world() -> World {
    let entropy = Arc::new(SeededEntropy::new(1));
    let master = MasterKey::new("file", zeroize::Zeroizing::new([1; 32]));
    let (keyring, _) = Keyring::open(&[Box::new(master)], Vec::new(), entropy.as_ref()).await.unwrap();
    let rules = Arc::new(Rules::default());
    let store = Arc::new(InMemory::new());
    let epoch = store.raise_epoch().await.unwrap();
    let hub = Hub {
        store,
        keyring: Arc::new(keyring),
        clock: Arc::new(FixedClock::new(noon())),
        entropy,
        reviewer: rules.clone(),
        material: Material::new(Arc::new(material::KeyStock::default())),
        metrics: Metrics::new(),
    };
    World { hub, rules, epoch }
}

fn noon() -> Timestamp {
    "2026-01-16T12:00:00Z".parse().unwrap()
}

fn alice() -> Caller {
    let actor = Actor::service_account("ci", "alice");
    let kubernetes = Some(KubernetesUser {
        username: "system:serviceaccount:ci:alice".into(),
        uid: None,
        namespace: Some(NamespaceUid::new("ci")),
        groups: Vec::new(),
        extra: Vec::new(),
    });
    Caller::client(Identity { actor, kubernetes }, noon())
}

fn name(text: &str) -> CredentialName {
    text.parse().unwrap()
}

fn text(text: &str) -> SecretText {
    SecretText::new(text.to_owned())
}

fn password(length: u16) -> Parameters {
    Parameters::password(PasswordParameters { length: Some(length), ..Default::default() })
}

fn plain(version: &Version) -> String {
    version.value.parts()[0].1.expose().to_owned()
}

impl World {
    fn operator(&self) -> Caller {
        Caller::operator("shop", self.epoch, noon())
    }

    async fn ensure(&self, wanted: Wanted) -> Result<Ensured, Error> {
        self.hub.ensure(&self.operator(), wanted, &Around::default()).await
    }

    async fn ready(&self, wanted: Wanted) -> (Version, bool, Kept) {
        match self.ensure(wanted).await.unwrap() {
            Ensured::Ready { version, made, kept, .. } => (*version, made, kept),
            other => panic!("{other:?}"),
        }
    }
}

fn wanted(origin: WantedOrigin) -> Wanted {
    let kind = match &origin {
        WantedOrigin::Generate(parameters) | WantedOrigin::Adopt(parameters, _) => parameters.kind(),
        WantedOrigin::Source(Some(given)) => given.kind(),
        WantedOrigin::Source(None) | WantedOrigin::Input => CredentialType::Value,
    };
    Wanted {
        name: name("/shop/db"),
        kind,
        origin,
        request: None,
        api_writes: ApiWrites::GenerateOnly,
        object: "shop/db".into(),
        object_uid: ObjectUid::new("object"),
        namespace_uid: NamespaceUid::new("namespace"),
        inherits: None,
        never_adopt: false,
        rotation: Rotation::default(),
    }
}

#[tokio::test]
async fn what_was_set_is_read_back_by_whoever_may() {
    let w = world().await;
    w.rules.allow("update ci");
    w.rules.allow("get ci");
    let set =
        w.hub.set(&alice(), &name("/CI/Token"), Given::Value(text("s3cret")), None, Mode::Overwrite).await.unwrap();
    assert_eq!((set.row.number, set.row.stamp.actor.as_str()), (1, "k8s-sa:ci/alice"));
    let read = w.hub.current(&alice(), &name("/ci/token")).await.unwrap();
    assert_eq!((plain(&read).as_str(), read.row.name.as_str()), ("s3cret", "/CI/Token"));
    assert_eq!(plain(&w.hub.version(&alice(), set.row.id).await.unwrap()), "s3cret");
}

#[tokio::test]
async fn a_refused_write_is_denied_and_a_refused_read_finds_nothing() {
    let w = world().await;
    let set = w.hub.set(&alice(), &name("/ci/token"), Given::Value(text("x")), None, Mode::Overwrite).await;
    assert!(matches!(set, Err(Error::Denied)), "{set:?}");
    w.rules.allow("update ci");
    let set = w.hub.set(&alice(), &name("/ci/token"), Given::Value(text("x")), None, Mode::Overwrite).await.unwrap();
    for refused in [
        w.hub.current(&alice(), &name("/ci/token")).await.map(|_| ()),
        w.hub.version(&alice(), set.row.id).await.map(|_| ()),
        w.hub.delete(&alice(), &name("/ci/token")).await,
        w.hub.current(&alice(), &name("/ci/nothing")).await.map(|_| ()),
    ] {
        assert!(matches!(refused, Err(Error::NotFound)), "{refused:?}");
    }
}

#[tokio::test]
async fn a_credential_keeps_its_type() {
    let w = world().await;
    w.rules.allow("update ci");
    w.hub.set(&alice(), &name("/ci/a"), Given::Value(text("x")), None, Mode::Overwrite).await.unwrap();
    for refused in [
        w.hub.set(&alice(), &name("/ci/a"), Given::Password(text("x")), None, Mode::Overwrite).await,
        w.hub.generate(&alice(), &name("/ci/a"), &password(30), None, Mode::Overwrite).await,
        w.hub.generate(&alice(), &name("/ci/a"), &password(30), None, Mode::NoOverwrite).await,
    ] {
        assert!(matches!(refused, Err(Error::OtherKind(CredentialType::Value))), "{refused:?}");
    }
}

#[tokio::test]
async fn empty_and_oversize_values_are_refused_and_nothing_is_stored() {
    let w = world().await;
    w.rules.allow("update ci");
    w.rules.allow("get ci");
    let set =
        async |given| w.hub.set(&alice(), &name("/ci/a"), given, None, Mode::Overwrite).await.map(|_| ()).unwrap_err();
    assert!(matches!(set(Given::Value(text(""))).await, Error::Invalid(_)));
    assert!(matches!(set(Given::Json(text(" null "))).await, Error::Invalid(_)));
    assert!(matches!(set(Given::Json(text("{"))).await, Error::Invalid(_)));
    assert!(matches!(set(Given::User { username: None, password: text("") }).await, Error::Invalid(_)));
    assert!(matches!(set(Given::Value(text(&"x".repeat(65_537)))).await, Error::TooLarge));
    assert!(matches!(w.hub.current(&alice(), &name("/ci/a")).await, Err(Error::NotFound)));
    w.hub.set(&alice(), &name("/ci/a"), Given::Value(text(&"x".repeat(65_536))), None, Mode::Overwrite).await.unwrap();
}

#[tokio::test]
async fn no_overwrite_answers_with_what_is_there() {
    let w = world().await;
    w.rules.allow("update ci");
    let generate = async |mode| w.hub.generate(&alice(), &name("/ci/a"), &password(30), None, mode).await.unwrap();
    let first = generate(Mode::NoOverwrite).await;
    assert_eq!(generate(Mode::NoOverwrite).await.row.id, first.row.id);
    let second = generate(Mode::Overwrite).await;
    assert_eq!((second.row.number, plain(&second) != plain(&first)), (2, true));
}

#[tokio::test]
async fn a_value_generated_over_another_was_requested_and_says_so() {
    let World { hub, rules, .. } = world().await;
    rules.allow("update *");
    let (alice, db, parameters) = (alice(), name("/ci/db"), password(20));
    let generate = || hub.generate(&alice, &db, &parameters, None, Mode::Overwrite);

    assert_eq!(generate().await.unwrap().row.reason, Reason::Generated);
    assert_eq!(generate().await.unwrap().row.reason, Reason::Requested);
}

#[tokio::test]
async fn a_find_shows_only_segments_that_the_caller_may_list() {
    let w = world().await;
    w.rules.allow("update *");
    for path in ["/a/x", "/b/x", "/c/x"] {
        w.hub.set(&alice(), &name(path), Given::Value(text("x")), None, Mode::Overwrite).await.unwrap();
    }
    let find = async |pattern| {
        let found = w.hub.find(&alice(), pattern).await.unwrap();
        let mut names: Vec<_> = found.map_ok(|found| found.name.to_string()).try_collect().await.unwrap();
        names.sort();
        names.join(" ")
    };
    assert_eq!(find(Pattern::below("")).await, "");
    w.rules.allow("list b");
    assert_eq!(find(Pattern::below("")).await, "/b/x");
    assert_eq!(find(Pattern::below("/a")).await, "");
    assert_eq!(find(Pattern::containing("X")).await, "/b/x");
    w.rules.allow("list *");
    assert_eq!(find(Pattern::below("")).await, "/a/x /b/x /c/x");
}

#[tokio::test]
async fn a_value_is_made_once_and_stays() {
    let w = world().await;
    let (first, made, _) = w.ready(wanted(WantedOrigin::Generate(password(20)))).await;
    assert!(made && plain(&first).len() == 20);
    let (second, made, kept) = w.ready(wanted(WantedOrigin::Generate(password(40)))).await;
    assert_eq!(
        (second.row.id, made, kept),
        (first.row.id, false, Kept { drifted: true, request: Answer::NotAsked, ..Kept::default() })
    );
    assert_eq!(plain(&second), plain(&first));
}

#[tokio::test]
async fn a_request_makes_one_version_for_ever() {
    let w = world().await;
    let request = |text: &str| Wanted {
        request: Some(RequestId::new(text.to_owned())),
        ..wanted(WantedOrigin::Generate(password(20)))
    };
    let (first, _, _) = w.ready(wanted(WantedOrigin::Generate(password(20)))).await;
    let (second, made, _) = w.ready(request("r1")).await;
    assert_eq!((second.row.number, second.row.reason, made), (2, Reason::Requested, true));
    let (again, made, kept) = w.ready(request("r1")).await;
    assert_eq!(
        (again.row.id, made, kept),
        (second.row.id, false, Kept { drifted: false, request: Answer::AlreadyUsed(second.row.id), ..Kept::default() })
    );
    let (third, _, _) = w.ready(request("r2")).await;
    assert_eq!(third.row.number, 3);
    let (old, made, kept) = w.ready(request("r1")).await;
    assert_eq!(
        (old.row.id, made, kept),
        (third.row.id, false, Kept { drifted: false, request: Answer::AlreadyUsed(second.row.id), ..Kept::default() })
    );
    assert_ne!(plain(&first), plain(&third));
}

#[tokio::test]
async fn a_source_is_imported_and_followed() {
    let w = world().await;
    let from = |content: &str| wanted(WantedOrigin::Source(Some(Given::Value(text(content)))));
    let (first, made, _) = w.ready(from("one")).await;
    assert_eq!((first.row.reason, made), (Reason::Imported, true));
    assert!(!w.ready(from("one")).await.1);
    let (second, _, _) = w.ready(from("two")).await;
    assert_eq!((second.row.reason, plain(&second).as_str()), (Reason::SourceChanged, "two"));
    let (kept, made, _) = w.ready(wanted(WantedOrigin::Source(None))).await;
    assert_eq!((kept.row.id, made), (second.row.id, false));
}

#[tokio::test]
async fn a_request_on_a_given_value_is_answered_the_same_at_every_look() {
    let w = world().await;
    let from = |content: Option<&str>| {
        let given = content.map(|content| Given::Value(text(content)));
        Wanted { request: Some(RequestId::new("r1")), ..wanted(WantedOrigin::Source(given)) }
    };
    let no_generator = Kept { drifted: false, request: Answer::NeedsGenerator, ..Kept::default() };
    for (content, expected) in [(Some("one"), true), (Some("one"), false), (None, false), (Some("two"), true)] {
        let (_, made, kept) = w.ready(from(content)).await;
        assert_eq!((made, kept), (expected, no_generator), "{content:?}");
    }
}

#[tokio::test]
async fn an_adopted_value_is_not_rotated_away_by_the_manifest_that_brought_it() {
    let w = world().await;
    let adopting =
        |given| Wanted { request: Some(RequestId::new("old")), ..wanted(WantedOrigin::Adopt(password(20), given)) };
    let (first, _, _) = w.ready(adopting(Some(Given::Password(text("legacy"))))).await;
    let (again, made, _) = w.ready(adopting(None)).await;
    assert_eq!((plain(&again).as_str(), made, again.row.id), ("legacy", false, first.row.id));
}

#[tokio::test]
async fn a_path_that_waits_for_one_type_takes_no_other() {
    let w = world().await;
    w.rules.allow("update shop");
    let waiting = Wanted { api_writes: ApiWrites::Allow, ..wanted(WantedOrigin::Input) };
    w.ensure(waiting).await.unwrap();
    let refused = w.hub.set(&alice(), &name("/shop/db"), Given::Password(text("x")), None, Mode::Overwrite).await;
    assert!(matches!(refused, Err(Error::OtherKind(CredentialType::Value))), "{refused:?}");
    w.hub.set(&alice(), &name("/shop/db"), Given::Value(text("x")), None, Mode::Overwrite).await.unwrap();
}

#[tokio::test]
async fn a_value_set_over_the_api_is_no_change_of_the_source() {
    let w = world().await;
    w.rules.allow("update shop");
    let from = |content: &str| Wanted {
        api_writes: ApiWrites::Allow,
        ..wanted(WantedOrigin::Source(Some(Given::Value(text(content)))))
    };
    w.ready(from("one")).await;
    w.hub.set(&alice(), &name("/shop/db"), Given::Value(text("mine")), None, Mode::Overwrite).await.unwrap();
    let (kept, made, _) = w.ready(from("one")).await;
    assert_eq!((plain(&kept).as_str(), made), ("mine", false));
    let (changed, made, _) = w.ready(from("two")).await;
    assert_eq!((plain(&changed).as_str(), made), ("two", true));
}

#[tokio::test]
async fn nothing_is_made_while_there_is_no_input() {
    let w = world().await;
    let ensured = w.ensure(wanted(WantedOrigin::Input)).await.unwrap();
    assert!(matches!(ensured, Ensured::WaitingForInput(_)), "{ensured:?}");
    let ensured = w.ensure(wanted(WantedOrigin::Source(None))).await.unwrap();
    assert!(matches!(ensured, Ensured::WaitingForInput(_)), "{ensured:?}");
}

#[tokio::test]
async fn another_namespace_does_not_inherit_until_it_is_approved() {
    let w = world().await;
    let (first, _, _) = w.ready(wanted(WantedOrigin::Generate(password(20)))).await;
    let reborn = |inherits: Option<&str>| Wanted {
        namespace_uid: NamespaceUid::new("reborn"),
        object_uid: ObjectUid::new("reborn"),
        inherits: inherits.map(Into::into),
        ..wanted(WantedOrigin::Generate(password(20)))
    };
    let gone = Around { gone: true, ..Around::default() };
    let refused = w.hub.ensure(&w.operator(), reborn(None), &gone).await.unwrap();
    assert!(matches!(&refused, Ensured::NeedsApproval(Foreign::Namespace(uid)) if uid.as_str() == "namespace"));
    let approved = w.hub.ensure(&w.operator(), reborn(Some("namespace")), &gone).await.unwrap();
    let Ensured::Ready { version, adopted: true, made: false, .. } = approved else { panic!("{approved:?}") };
    assert_eq!(version.row.id, first.row.id);
}

#[tokio::test]
async fn a_path_is_had_by_one_object_until_it_is_gone() {
    let w = world().await;
    w.ready(wanted(WantedOrigin::Generate(password(20)))).await;
    let second = || Wanted {
        object_uid: ObjectUid::new("second"),
        object: "shop/second".into(),
        ..wanted(WantedOrigin::Generate(password(20)))
    };
    let refused = w.ensure(second()).await.unwrap();
    assert!(matches!(&refused, Ensured::PathOwned(object) if object == "shop/db"), "{refused:?}");
    w.hub.release(&w.operator(), &ObjectUid::new("object")).await.unwrap();
    assert!(!w.ready(second()).await.1);
}

#[tokio::test]
async fn the_object_decides_what_the_api_may_write() {
    let w = world().await;
    w.rules.allow("update shop");
    w.rules.allow("delete shop");
    w.ready(wanted(WantedOrigin::Generate(password(20)))).await;
    let path = name("/shop/db");
    let set = w.hub.set(&alice(), &path, Given::Password(text("mine")), None, Mode::Overwrite).await.unwrap_err();
    assert_eq!(
        set.to_string(),
        "/shop/db belongs to the Credential shop/db, whose apiWrites is GenerateOnly: ask for a generated value, or \
         set spec.apiWrites to Allow"
    );
    let delete = w.hub.delete(&alice(), &path).await.unwrap_err();
    assert_eq!(
        delete.to_string(),
        "/shop/db belongs to the Credential shop/db: to delete the value, set spec.deletionPolicy of that object to Delete \
         and delete the object"
    );
    let made = w.hub.generate(&alice(), &path, &password(20), None, Mode::Overwrite).await.unwrap();
    assert_eq!(made.row.number, 2);

    let allowed = Wanted { api_writes: ApiWrites::Allow, ..wanted(WantedOrigin::Generate(password(20))) };
    w.ready(allowed).await;
    w.hub.set(&alice(), &path, Given::Password(text("mine")), None, Mode::Overwrite).await.unwrap();

    let denied = Wanted { api_writes: ApiWrites::Deny, ..wanted(WantedOrigin::Generate(password(20))) };
    w.ready(denied).await;
    let refused = w.hub.generate(&alice(), &path, &password(20), None, Mode::Overwrite).await;
    assert!(matches!(refused, Err(Error::Owned { .. })), "{refused:?}");
}

#[tokio::test]
async fn an_object_reaches_no_path_outside_its_namespace() {
    let w = world().await;
    let outside = Wanted { name: name("/billing/db"), ..wanted(WantedOrigin::Generate(password(20))) };
    assert!(matches!(w.ensure(outside).await, Err(Error::Denied)));
}

#[tokio::test]
async fn an_older_operator_is_fenced() {
    let w = world().await;
    let old = w.operator();
    w.hub.store.raise_epoch().await.unwrap();
    let refused = w.hub.ensure(&old, wanted(WantedOrigin::Generate(password(20))), &Around::default()).await;
    assert!(matches!(refused, Err(Error::Fenced(_))), "{refused:?}");
}

#[tokio::test]
async fn a_deleted_name_is_free_and_its_bytes_never_come_back_under_it() {
    let w = world().await;
    for rule in ["update ci", "get ci", "delete ci"] {
        w.rules.allow(rule);
    }
    let path = name("/ci/a");
    let old = w.hub.set(&alice(), &path, Given::Value(text("old")), None, Mode::Overwrite).await.unwrap();
    w.hub.delete(&alice(), &path).await.unwrap();
    assert!(matches!(w.hub.current(&alice(), &path).await, Err(Error::NotFound)));
    assert!(matches!(w.hub.version(&alice(), old.row.id).await, Err(Error::NotFound)));
    assert!(matches!(w.hub.delete(&alice(), &path).await, Err(Error::NotFound)));
    let new = w.hub.set(&alice(), &path, Given::Password(text("new")), None, Mode::Overwrite).await.unwrap();
    assert_eq!((new.row.number, new.row.credential != old.row.credential), (1, true));
}

#[tokio::test]
async fn thirty_two_writers_of_one_new_name_agree_on_one_version() {
    let w = Arc::new(world().await);
    w.rules.allow("update ci");
    let tasks = (0..32).map(|_| {
        let w = w.clone();
        tokio::spawn(async move {
            let (alice, name, parameters) = (alice(), name("/ci/a"), password(20));
            let made = w.hub.generate(&alice, &name, &parameters, None, Mode::NoOverwrite);
            made.await.unwrap().row.id
        })
    });
    let ids: BTreeSet<_> = futures::future::join_all(tasks).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(ids.len(), 1);
}
