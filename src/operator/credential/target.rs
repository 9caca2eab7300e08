//! What a Secret should look like: pure, from object and version.

use std::collections::{BTreeMap, BTreeSet};

use credsmith_core::{
    domain::{CredentialType, SecretText, VersionId, json},
    keyring::Keyring,
};
use k8s_openapi::{
    ByteString,
    api::core::v1::Secret,
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};

use super::{
    spec::OnConflict,
    syntax::{check_annotations, check_labels, check_name, is_key},
};

/// The Secret that an object wants.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetPlan {
    pub name: String,
    pub secret_type: String,
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    pub keys: Keys,
    /// Whether it stays when the object goes.
    pub retain: bool,
    pub on_conflict: OnConflict,
}

/// Which keys the Secret has.
#[derive(Clone, Debug, PartialEq)]
pub enum Keys {
    /// All parts, under their own names.
    All,
    /// Secret key → part.
    Mapped(BTreeMap<String, String>),
    /// One for each top-level string of a JSON document.
    Expand,
}

/// A Secret as it should be, and how to tell that it is.
#[derive(Debug)]
pub struct Desired {
    pub secret: Secret,
    pub fingerprint: String,
    pub keys: BTreeSet<String>,
    pub version: VersionId,
}

/// Who the Secret belongs to.
#[derive(Clone, Debug)]
pub struct Belongs<'a> {
    pub namespace: &'a str,
    pub uid: &'a str,
    pub path: &'a str,
    pub owner: Option<OwnerReference>,
}

/// Builds the Secret of a version's parts. An error names the key that cannot be one, or is not there.
pub fn desired_secret(
    plan: &TargetPlan,
    belongs: &Belongs<'_>,
    version: VersionId,
    parts: Vec<(&'static str, SecretText)>,
    keyring: &Keyring,
) -> Result<Desired, String> {
    let data = plan.data(parts)?;
    if let Some(missing) = needs(&plan.secret_type, &data.keys().cloned().collect()) {
        return Err(format!(
            "Secret {} of type {} needs the key {missing}, which this version does not have: set it, or choose \
             spec.target.type Opaque",
            plan.name, plan.secret_type
        ));
    }
    let labels = ours([("app.kubernetes.io/managed-by", "credsmith"), (MANAGED, "true"), (OWNER_UID, belongs.uid)]);
    let labels: BTreeMap<_, _> = plan.labels.clone().into_iter().chain(labels).collect();
    let version_text = version.to_string();
    let annotations = ours([(CREDENTIAL, belongs.path), (VERSION, &version_text)]);
    let mut annotations: BTreeMap<_, _> = plan.annotations.clone().into_iter().chain(annotations).collect();
    let fingerprint = keyring.fingerprint(&content(plan, belongs, &labels, &annotations, &data));
    annotations.insert(FINGERPRINT.to_owned(), fingerprint.clone());
    let keys = data.keys().cloned().collect();
    let data = data.into_iter().map(|(key, text)| (key, ByteString(text.expose().as_bytes().to_vec()))).collect();
    let secret = Secret {
        metadata: ObjectMeta {
            name: Some(plan.name.clone()),
            namespace: Some(belongs.namespace.to_owned()),
            labels: Some(labels),
            annotations: Some(annotations),
            owner_references: belongs.owner.clone().map(|owner| vec![owner]),
            ..ObjectMeta::default()
        },
        type_: Some(plan.secret_type.clone()),
        data: Some(data),
        ..Secret::default()
    };
    Ok(Desired { secret, fingerprint, keys, version })
}

impl TargetPlan {
    /// Refuses whatever the API server would refuse in the Secret, and parts that the type does not have: nothing is made for a
    /// Secret that cannot be.
    pub fn check(&self, kind: CredentialType) -> Result<(), String> {
        check_name("spec.target.name", &self.name)?;
        check_labels("spec.target.metadata.labels", &self.labels)?;
        check_annotations("spec.target.metadata.annotations", &self.annotations)?;
        if DOCKER_TYPES.contains(&self.secret_type.as_str())
            && matches!(kind, CredentialType::Password | CredentialType::User)
        {
            return Err(format!(
                "spec.target.type {} holds a JSON document, and type {kind} is none: use Opaque, or an object of type json",
                self.secret_type
            ));
        }
        let Keys::Mapped(keys) = &self.keys else { return Ok(()) };
        for (key, part) in keys {
            if !is_key(key) {
                return Err(format!(
                    "spec.target.keys: {key} cannot be a key of a Secret, use letters, digits, - _ and ."
                ));
            }
            if !parts(kind).contains(&part.as_str()) {
                let known = parts(kind).join(", ");
                return Err(format!("spec.target.keys: {part} is no part of type {kind}, use {known}"));
            }
        }
        Ok(())
    }

    /// The keys that are known before there is a value.
    pub fn key_names(&self, kind: CredentialType) -> BTreeSet<String> {
        match &self.keys {
            Keys::All => parts(kind).iter().map(|part| (*part).to_owned()).collect(),
            Keys::Mapped(keys) => keys.keys().cloned().collect(),
            Keys::Expand => BTreeSet::new(),
        }
    }

    fn data(&self, mut parts: Vec<(&'static str, SecretText)>) -> Result<BTreeMap<String, SecretText>, String> {
        match &self.keys {
            Keys::All => Ok(parts.into_iter().map(|(part, text)| (part.to_owned(), text)).collect()),
            Keys::Mapped(keys) => {
                let mut data = BTreeMap::new();
                for (key, name) in keys {
                    let part = parts.iter().find(|(part, _)| part == name).map(|(_, text)| text.duplicate());
                    let part = part.ok_or_else(|| {
                        format!("spec.target.keys: {key} is to hold {name}, which this version does not have: set it, or drop the key")
                    })?;
                    data.insert(key.clone(), part);
                }
                Ok(data)
            }
            Keys::Expand => {
                let (_, document) = parts.pop().ok_or("there is no document to expand")?;
                let members = json::string_members(&document)
                    .ok_or("target.expand needs a JSON object: set one, or drop target.expand")?;
                // The name itself stays unsaid: it is part of the secret document.
                if let Some(at) = members.iter().position(|(name, _)| !is_key(name)) {
                    return Err(format!(
                        "target.expand: the name of text {} of the document cannot be a key of a Secret: rename that member, or \
                         map the whole document with target.keys",
                        at + 1
                    ));
                }
                Ok(members.into_iter().collect())
            }
        }
    }
}

/// The type of the Secret: the one that was asked for, else the usual one where the keys allow it.
pub fn type_of(kind: CredentialType, keys: &Keys, wanted: Option<&str>) -> String {
    if let Some(wanted) = wanted {
        return wanted.to_owned();
    }
    let usual = match kind {
        CredentialType::User => "kubernetes.io/basic-auth",
        CredentialType::Certificate => "kubernetes.io/tls",
        CredentialType::Ssh => "kubernetes.io/ssh-auth",
        _ => OPAQUE,
    };
    let fits = match keys {
        Keys::All => true,
        Keys::Mapped(keys) => needs(usual, &keys.keys().cloned().collect()).is_none(),
        Keys::Expand => false,
    };
    if fits { usual } else { OPAQUE }.to_owned()
}

/// The key that a Secret type asks for and that is not there. What the API server would refuse, said before.
pub fn needs(secret_type: &str, keys: &BTreeSet<String>) -> Option<&'static str> {
    let lacks = |key: &&&'static str| !keys.contains(**key);
    match secret_type {
        "kubernetes.io/basic-auth" => {
            let one_of = ["username", "password"];
            one_of.iter().all(|key| lacks(&key)).then_some("password")
        }
        "kubernetes.io/tls" => ["tls.crt", "tls.key"].iter().find(lacks).copied(),
        "kubernetes.io/ssh-auth" => ["ssh-privatekey"].iter().find(lacks).copied(),
        "kubernetes.io/dockerconfigjson" => [".dockerconfigjson"].iter().find(lacks).copied(),
        "kubernetes.io/dockercfg" => [".dockercfg"].iter().find(lacks).copied(),
        _ => None,
    }
}

/// Secrets of these types give whoever reads or writes them rights of their own.
pub fn forbidden(secret_type: &str) -> bool {
    DENIED_TYPES.contains(&secret_type)
}

/// The parts by type, as they stand in a Secret (custom resources, section 4.1).
pub fn parts(kind: CredentialType) -> &'static [&'static str] {
    match kind {
        CredentialType::Password => &["password"],
        CredentialType::User => &["username", "password", "password-hash"],
        CredentialType::Certificate => &["tls.crt", "tls.key", "ca.crt"],
        CredentialType::Ssh => &["ssh-privatekey", "ssh-publickey", "ssh-fingerprint"],
        CredentialType::Rsa => &["private.pem", "public.pem"],
        CredentialType::Value | CredentialType::Json => &["value"],
        CredentialType::Provider => &[],
    }
}

fn ours<const N: usize>(pairs: [(&str, &str); N]) -> impl Iterator<Item = (String, String)> {
    pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).into_iter()
}

/// Everything that is written, each part with its length in front, for the fingerprint.
fn content(
    plan: &TargetPlan,
    belongs: &Belongs<'_>,
    labels: &BTreeMap<String, String>,
    annotations: &BTreeMap<String, String>,
    data: &BTreeMap<String, SecretText>,
) -> zeroize::Zeroizing<Vec<u8>> {
    let mut out = zeroize::Zeroizing::new(Vec::new());
    let mut part = |bytes: &[u8]| {
        out.extend((bytes.len() as u64).to_be_bytes());
        out.extend(bytes);
    };
    part(plan.secret_type.as_bytes());
    part(belongs.owner.as_ref().map_or("", |owner| &owner.uid).as_bytes());
    for map in [labels, annotations] {
        part(&map.len().to_be_bytes());
        for (key, value) in map {
            part(key.as_bytes());
            part(value.as_bytes());
        }
    }
    for (key, text) in data {
        part(key.as_bytes());
        part(text.expose().as_bytes());
    }
    out
}

/// Label: the Secret is ours; what the watch selects.
pub const MANAGED: &str = "credsmith.dev/managed";
/// Label: the UID of the object it belongs to.
pub const OWNER_UID: &str = "credsmith.dev/owner-uid";
/// Annotation: the path of the credential.
pub const CREDENTIAL: &str = "credsmith.dev/credential";
/// Annotation: the id of the version.
pub const VERSION: &str = "credsmith.dev/version";
/// Annotation: a keyed hash of everything that was written.
pub const FINGERPRINT: &str = "credsmith.dev/fingerprint";

/// The API server reads what stands in these.
const DOCKER_TYPES: [&str; 2] = ["kubernetes.io/dockerconfigjson", "kubernetes.io/dockercfg"];
const OPAQUE: &str = "Opaque";
const DENIED_TYPES: [&str; 3] =
    ["kubernetes.io/service-account-token", "bootstrap.kubernetes.io/token", "helm.sh/release.v1"];
