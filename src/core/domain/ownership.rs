//! Which `Credential` may have a path, and whether it may inherit what is stored there.
//!
//! A path defaults to the name of a namespace, and names of namespaces are used again: whoever gets the name must not
//! get the values (custom resources, section 7).

use super::ids::{NamespaceUid, ObjectUid};

/// Who has a path, as the store keeps it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owner {
    /// The namespace whose `Credential` made or adopted the versions; `None` for a path born over the API.
    pub namespace: Option<NamespaceUid>,
    /// The live `Credential`, if there is one.
    pub object: Option<OwnerObject>,
}

/// A `Credential` that has a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnerObject {
    pub uid: ObjectUid,
    /// `namespace/name`, for messages.
    pub name: String,
    pub api_writes: ApiWrites,
}

/// Who may write a path that a `Credential` owns, over the API (`spec.apiWrites`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiWrites {
    Allow,
    /// New values may be asked for, none may be given.
    GenerateOnly,
    Deny,
}

impl ApiWrites {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "Allow",
            Self::GenerateOnly => "GenerateOnly",
            Self::Deny => "Deny",
        }
    }

    /// `None` for a word that is none of the three.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Allow, Self::GenerateOnly, Self::Deny].into_iter().find(|mode| mode.as_str() == word)
    }
}

/// What is stored for a path, as far as ownership goes.
#[derive(Clone, Copy, Debug)]
pub struct Stored<'a> {
    pub owner: &'a Owner,
    /// The namespace that whoever wrote last was a ServiceAccount of. The outer `None` where there is no version, hence
    /// nothing to inherit.
    pub last_writer: Option<Option<&'a NamespaceUid>>,
}

/// Who wants the path.
#[derive(Clone, Copy, Debug)]
pub struct Claimant<'a> {
    pub namespace_uid: &'a NamespaceUid,
    pub object: &'a ObjectUid,
    /// `credsmith.dev/inherits` on the Namespace: an old namespace UID, or `api`.
    pub inherits: Option<&'a str>,
    /// `spec.adoption.mode: Never`
    pub never_adopt: bool,
}

/// Whether the path may be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    Granted,
    /// Another live object has it: `namespace/name`.
    OwnedBy(String),
    /// The versions there belong to somebody else until an administrator says otherwise.
    NeedsApproval(Foreign),
}

/// To whom the versions at a path belong, if not to the claimant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Foreign {
    /// Another namespace, perhaps one of the same name.
    Namespace(NamespaceUid),
    /// A caller of the API who is no ServiceAccount of the namespace.
    Api,
    /// Anybody: the object says that it never adopts.
    Never,
}

/// Decides; `is_live` tells whether a `Credential` of that UID still exists.
pub fn claim(stored: Stored<'_>, claimant: Claimant<'_>, is_live: impl Fn(&ObjectUid) -> bool) -> Claim {
    if let Some(other) = &stored.owner.object
        && other.uid != *claimant.object
        && is_live(&other.uid)
    {
        return Claim::OwnedBy(other.name.clone());
    }
    // What it has already it keeps: it was granted before, perhaps under what a late watch said of the namespace.
    if stored.owner.object.as_ref().is_some_and(|owner| owner.uid == *claimant.object) {
        return Claim::Granted;
    }
    let Some(last_writer) = stored.last_writer else { return Claim::Granted };
    match &stored.owner.namespace {
        Some(uid) if uid == claimant.namespace_uid => Claim::Granted,
        _ if claimant.never_adopt => Claim::NeedsApproval(Foreign::Never),
        Some(uid) if claimant.inherits == Some(uid.as_str()) => Claim::Granted,
        Some(uid) => Claim::NeedsApproval(Foreign::Namespace(uid.clone())),
        None if claimant.inherits == Some(INHERITS_API) => Claim::Granted,
        None if last_writer == Some(claimant.namespace_uid) => Claim::Granted,
        None => Claim::NeedsApproval(Foreign::Api),
    }
}

/// The word that lets a namespace have what was born over the API.
pub const INHERITS_API: &str = "api";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_inherited_by_their_own_namespace_or_with_approval() {
        let (old, new, me) = (NamespaceUid::new("old"), NamespaceUid::new("new"), ObjectUid::new("me"));
        let born = |namespace: Option<&NamespaceUid>| Owner { namespace: namespace.cloned(), object: None };
        let (by_old, by_new, by_api) = (born(Some(&old)), born(Some(&new)), born(None));
        let approved = Claim::Granted;
        let table = [
            (&by_new, Some(None), None, false, Claim::Granted),
            (&by_new, Some(None), None, true, Claim::Granted),
            (&by_old, Some(None), None, false, Claim::NeedsApproval(Foreign::Namespace(old.clone()))),
            (&by_old, Some(None), Some("old"), false, approved.clone()),
            (&by_old, Some(None), Some("older"), false, Claim::NeedsApproval(Foreign::Namespace(old.clone()))),
            (&by_old, Some(None), Some("api"), false, Claim::NeedsApproval(Foreign::Namespace(old.clone()))),
            (&by_old, Some(None), Some("old"), true, Claim::NeedsApproval(Foreign::Never)),
            (&by_old, None, None, false, Claim::Granted),
            (&by_api, Some(Some(&new)), None, false, Claim::Granted),
            (&by_api, Some(Some(&new)), None, true, Claim::NeedsApproval(Foreign::Never)),
            (&by_api, Some(Some(&old)), None, false, Claim::NeedsApproval(Foreign::Api)),
            (&by_api, Some(None), None, false, Claim::NeedsApproval(Foreign::Api)),
            (&by_api, Some(None), Some("api"), false, approved),
            (&by_api, None, None, true, Claim::Granted),
        ];
        for (owner, last_writer, inherits, never_adopt, expected) in table {
            let claimant = Claimant { namespace_uid: &new, object: &me, inherits, never_adopt };
            let stored = Stored { owner, last_writer };
            assert_eq!(claim(stored, claimant, |_| true), expected, "{owner:?} {last_writer:?} {inherits:?}");
        }
    }

    #[test]
    fn a_path_is_had_by_one_live_object() {
        let uid = NamespaceUid::new("ns");
        let other =
            OwnerObject { uid: ObjectUid::new("other"), name: "shop/first".into(), api_writes: ApiWrites::Allow };
        let owner = Owner { namespace: Some(uid.clone()), object: Some(other) };
        let stored = Stored { owner: &owner, last_writer: Some(None) };
        let claimant = |object| Claimant { namespace_uid: &uid, object, inherits: None, never_adopt: false };
        let (me, other) = (ObjectUid::new("me"), ObjectUid::new("other"));
        assert_eq!(claim(stored, claimant(&me), |_| true), Claim::OwnedBy("shop/first".into()));
        assert_eq!(claim(stored, claimant(&me), |_| false), Claim::Granted);
        assert_eq!(claim(stored, claimant(&other), |_| true), Claim::Granted);
    }
}
