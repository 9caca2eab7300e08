//! `Credential`: what may be said in a manifest.
//!
//! The whole schema of `v1alpha1` is here from the first day, without a single default: absent means what the code
//! takes, and status shows it. A field whose behaviour does not exist yet is refused by name (`support.rs`), because
//! Helm, Argo CD and client libraries let the API server drop unknown fields silently.

#![expect(clippy::duplicated_attributes, reason = "several columns have the same type")]

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::status::CredentialStatus;

/// One credential: how it is made, when it changes, and where its value is projected.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[kube(
    group = "credsmith.dev",
    version = "v1alpha1",
    kind = "Credential",
    plural = "credentials",
    shortname = "cred",
    category = "creds-all",
    namespaced,
    status = "CredentialStatus",
    derive = "PartialEq",
    doc = "One credential: how it is made, when it changes, and where its value is projected.",
    selectable = ".spec.type",
    selectable = ".spec.path",
    selectable = ".spec.target.name",
    printcolumn(name = "Type", type_ = "string", json_path = ".spec.type"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Version", type_ = "integer", json_path = ".status.currentVersion.number"),
    printcolumn(name = "Rotated", type_ = "date", json_path = ".status.rotation.lastTime"),
    printcolumn(name = "Next Rotation", type_ = "string", json_path = ".status.rotation.nextTime"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Expires", type_ = "string", json_path = ".status.certificate.notAfter", priority = 1),
    printcolumn(name = "Secret", type_ = "string", json_path = ".status.targets.name", priority = 1),
    printcolumn(name = "Path", type_ = "string", json_path = ".status.path", priority = 1),
    printcolumn(name = "Signed-By", type_ = "string", json_path = ".status.certificate.signedBy", priority = 1)
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.type == 'password' || !has(self.password)").message("password may only stand with type password"))]
#[x_kube(validation = Rule::new("self.type == 'user' || !has(self.user)").message("user may only stand with type user"))]
#[x_kube(validation = Rule::new("self.type == 'certificate' || !has(self.certificate)").message("certificate may only stand with type certificate"))]
#[x_kube(validation = Rule::new("self.type == 'ssh' || !has(self.ssh)").message("ssh may only stand with type ssh"))]
#[x_kube(validation = Rule::new("self.type == 'rsa' || !has(self.rsa)").message("rsa may only stand with type rsa"))]
#[x_kube(validation = Rule::new("self.type == 'value' || !has(self.value)").message("value may only stand with type value"))]
#[x_kube(validation = Rule::new("self.type == 'json' || !has(self.json)").message("json may only stand with type json"))]
#[x_kube(validation = Rule::new("self.type == 'provider' || !has(self.provider)").message("provider may only stand with type provider"))]
#[x_kube(validation = Rule::new("self.type == oldSelf.type").message("type is immutable: delete the object and create another"))]
#[x_kube(validation = Rule::new("has(self.path) == has(oldSelf.path) && (!has(self.path) || self.path == oldSelf.path)").message("path is immutable: delete the object and create another"))]
#[x_kube(validation = Rule::new("!has(self.rotation) || !has(self.rotation.renewBefore) || self.type == 'certificate'").message("rotation.renewBefore may only stand with type certificate"))]
#[x_kube(validation = Rule::new("!has(self.target) || !has(self.target.expand) || !self.target.expand || self.type == 'json'").message("target.expand may only stand with type json"))]
pub struct CredentialSpec {
    /// What it is, for life.
    #[serde(rename = "type")]
    pub type_: TypeWord,
    /// Where it is kept; `/<namespace>/<name>` where absent. Must lie below `/<namespace>/`. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 1024))]
    pub path: Option<String>,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub description: Option<String>,
    /// How a password is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<PasswordBlock>,
    /// How a user is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserBlock>,
    /// How a certificate is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<CertificateBlock>,
    /// How an SSH key is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssh: Option<SshBlock>,
    /// How an RSA key is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rsa: Option<RsaBlock>,
    /// Where a value comes from; set over the API where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<GivenBlock>,
    /// Where a JSON document comes from; set over the API where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub json: Option<GivenBlock>,
    /// Which provider's credential it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<ProviderBlock>,
    /// When a new value is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation: Option<Rotation>,
    /// How many versions are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<History>,
    /// What happens to a value that is already there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adoption: Option<Adoption>,
    /// What becomes of the stored value when the object goes: `Retain` (taken where absent) leaves it as it is, `Delete`
    /// makes a tombstone that can be undone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<StorePolicy>,
    /// Who may write the path over the API. Absent: `Allow` for value and json, `Deny` beside a `fromSecret`, else
    /// `GenerateOnly`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_writes: Option<ApiWritesWord>,
    /// The Secret it is projected into; one named after the object where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Target>,
    /// Which workloads restart after a change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<Rollout>,
}

/// The words for types.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Default)]
#[serde(rename_all = "lowercase")]
pub enum TypeWord {
    #[default]
    Password,
    User,
    Certificate,
    Ssh,
    Rsa,
    Value,
    Json,
    Provider,
}

/// How a password is made.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.fromSecret) || !(has(self.length) || has(self.excludeUpper) || has(self.excludeLower) || has(self.excludeNumber) || has(self.includeSpecial) || has(self.minUpper) || has(self.minLower) || has(self.minDigit) || has(self.minSymbol) || has(self.symbols) || has(self.excludeAmbiguous))").message("fromSecret stands alone in its block"))]
pub struct PasswordBlock {
    /// Characters; 30 where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 4, max = 200))]
    pub length: Option<i32>,
    /// Leaves out A to Z.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exclude_upper: Option<bool>,
    /// Leaves out a to z.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exclude_lower: Option<bool>,
    /// Leaves out 0 to 9.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exclude_number: Option<bool>,
    /// Adds signs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub include_special: Option<bool>,
    /// At least so many of A to Z; 1 where absent and in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 50))]
    pub min_upper: Option<i32>,
    /// At least so many of a to z; 1 where absent and in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 50))]
    pub min_lower: Option<i32>,
    /// At least so many of 0 to 9; 1 where absent and in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 50))]
    pub min_digit: Option<i32>,
    /// At least so many signs; brings signs in; 1 where absent and in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 50))]
    pub min_symbol: Option<i32>,
    /// The signs to draw from, distinct and printable; brings signs in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32))]
    pub symbols: Option<String>,
    /// Leaves out what people mistake for one another: 0 O o 1 l I and the bar.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exclude_ambiguous: Option<bool>,
    /// Takes the value from this Secret instead of generating it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_secret: Option<KeySource>,
}

/// How a user is made.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.fromSecret) || !(has(self.username) || has(self.password) || has(self.hashes))").message("fromSecret stands alone in its block"))]
pub struct UserBlock {
    /// 20 random letters where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub username: Option<String>,
    /// How the password is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<PasswordRecipe>,
    /// Hashes of the password, made once per version; `sha512crypt` where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2))]
    pub hashes: Option<Vec<HashWord>>,
    /// Takes user name and password from this Secret instead of generating them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_secret: Option<PartsSource>,
}

/// How the password of a user is made: the fields of `password` without a source.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct PasswordRecipe {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 4, max = 200))]
    pub length: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exclude_upper: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exclude_lower: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exclude_number: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub include_special: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 50))]
    pub min_upper: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 50))]
    pub min_lower: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 50))]
    pub min_digit: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 50))]
    pub min_symbol: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32))]
    pub symbols: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exclude_ambiguous: Option<bool>,
}

/// A hash of a password.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum HashWord {
    Sha512crypt,
    Bcrypt,
}

/// How a certificate is made.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.signedBy) || !has(self.selfSign) || !self.selfSign").message("signedBy and selfSign contradict each other"))]
#[x_kube(validation = Rule::new("!has(self.pathLength) || (has(self.isCA) && self.isCA)").message("pathLength may only stand with isCA"))]
pub struct CertificateBlock {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub common_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub organization: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub organization_unit: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub locality: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub state: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 2))]
    pub country: Option<String>,
    /// Host names it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1000), inner(length(min = 1, max = 253)))]
    pub dns_names: Option<Vec<String>>,
    /// Addresses it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1000), inner(length(min = 2, max = 45)))]
    pub ip_addresses: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 9))]
    pub key_usage: Option<Vec<KeyUsageWord>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 5))]
    pub extended_key_usage: Option<Vec<ExtendedKeyUsageWord>>,
    /// Whether it signs others.
    #[serde(default, rename = "isCA", skip_serializing_if = "Option::is_none")]
    pub is_ca: Option<bool>,
    /// How many authorities may stand between it and a leaf.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 8))]
    pub path_length: Option<i32>,
    /// Who signs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_by: Option<SignerRef>,
    /// Signs itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub self_sign: Option<bool>,
    /// 1h to 87600h; 8760h where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[1-9][0-9]{0,6}(h|m|s)$"))]
    pub duration: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<CertificateKey>,
    /// Takes certificate, key and CA from this Secret instead of generating them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_secret: Option<PartsSource>,
}

/// The key of a certificate.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct CertificateKey {
    /// `rsa-2048` where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<CertificateAlgorithm>,
}

#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateAlgorithm {
    #[serde(rename = "rsa-2048")]
    Rsa2048,
    #[serde(rename = "rsa-3072")]
    Rsa3072,
    #[serde(rename = "rsa-4096")]
    Rsa4096,
    #[serde(rename = "ecdsa-p256")]
    EcdsaP256,
    #[serde(rename = "ecdsa-p384")]
    EcdsaP384,
}

/// Who signs: another `Credential` of the namespace, or a path.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.name) != has(self.path)").message("give either name or path"))]
pub struct SignerRef {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 1024))]
    pub path: Option<String>,
}

#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum KeyUsageWord {
    DigitalSignature,
    NonRepudiation,
    KeyEncipherment,
    DataEncipherment,
    KeyAgreement,
    KeyCertSign,
    CrlSign,
    EncipherOnly,
    DecipherOnly,
}

#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum ExtendedKeyUsageWord {
    ClientAuth,
    ServerAuth,
    CodeSigning,
    EmailProtection,
    Timestamping,
}

/// How an SSH key is made.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.keyLength) || !has(self.algorithm) || self.algorithm == 'rsa'").message("keyLength may only stand with algorithm rsa"))]
pub struct SshBlock {
    /// `rsa` where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<SshAlgorithm>,
    /// 2048, 3072 or 4096; 2048 where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 2048, max = 4096))]
    pub key_length: Option<i32>,
    /// One line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255))]
    pub comment: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_secret: Option<PartsSource>,
}

#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum SshAlgorithm {
    Rsa,
    Ed25519,
}

/// How an RSA key is made.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct RsaBlock {
    /// 2048, 3072 or 4096; 2048 where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 2048, max = 4096))]
    pub key_length: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_secret: Option<PartsSource>,
}

/// Where a given text comes from.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct GivenBlock {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_secret: Option<KeySource>,
}

/// One key of a Secret of the same namespace that allows it (`credsmith.dev/allow-adoption: "true"`).
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq, Default)]
pub struct KeySource {
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
}

/// Several keys of such a Secret: part → key.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq, Default)]
pub struct PartsSource {
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    #[schemars(extend("minProperties" = 1, "maxProperties" = 8))]
    pub keys: BTreeMap<String, String>,
}

/// One key or several, by what the type needs.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default)]
#[x_kube(validation = Rule::new("has(self.key) != has(self.keys)").message("give either key or keys"))]
pub struct AnySource {
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("minProperties" = 1, "maxProperties" = 8))]
    pub keys: Option<BTreeMap<String, String>>,
}

/// A credential of a provider.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.kind) != has(self.from)").message("give either kind or from"))]
#[x_kube(validation = Rule::new("!has(self.fields) || !has(self.from)").message("fields may not stand beside from"))]
pub struct ProviderBlock {
    /// `tower/<provider>`, `tines/<mode>`, or github, gitlab, bitbucket, google, aws, ssh.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub kind: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub fields: Option<Vec<ProviderField>>,
    /// A record that a client of another family made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<ProviderFrom>,
    /// `live` where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<SlotWord>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_restricted: Option<bool>,
}

#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum SlotWord {
    Live,
    Test,
}

/// One field of a provider's credential.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[x_kube(validation = Rule::new("has(self.value) != has(self.from)").message("give either value or from"))]
pub struct ProviderField {
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// Not for secrets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub value: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<FieldSource>,
}

/// Where a field comes from: one of the three.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[x_kube(validation = Rule::new("[has(self.credential), has(self.secret), has(self.password)].exists_one(x, x)").message("give one of credential, secret or password"))]
pub struct FieldSource {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<CredentialPart>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<KeySource>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<PasswordRecipe>,
}

/// A part of another `Credential` of the namespace.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Default)]
pub struct CredentialPart {
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub part: Option<String>,
}

/// A record of another family.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[x_kube(validation = Rule::new("has(self.tower) != has(self.tines)").message("give either tower or tines"))]
pub struct ProviderFrom {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tower: Option<TowerRecord>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tines: Option<TinesRecord>,
}

#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[x_kube(validation = Rule::new("has(self.workspace) != has(self.user)").message("give either workspace or user"))]
pub struct TowerRecord {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<i64>,
    #[schemars(length(min = 1, max = 255))]
    pub name: String,
}

#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Default)]
pub struct TinesRecord {
    #[schemars(length(min = 1, max = 255))]
    pub team: String,
    #[schemars(length(min = 1, max = 255))]
    pub slug: String,
}

/// When a new value is made.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.every), has(self.schedule), has(self.renewBefore)].filter(x, x).size() <= 1").message("give one of every, schedule or renewBefore"))]
pub struct Rotation {
    /// A duration such as 720h, one minute or more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[1-9][0-9]{0,6}(h|m|s)$"))]
    pub every: Option<String>,
    /// Five fields of cron.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 9, max = 100))]
    pub schedule: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub time_zone: Option<String>,
    /// A duration or a share of the lifetime such as 33%.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^([1-9][0-9]{0,6}(h|m|s)|[1-9][0-9]?%)$"))]
    pub renew_before: Option<String>,
    /// `Auto` where absent; `Manual`: nothing by time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<RotationMode>,
    /// 0% to 50% of the interval, drawn from the path; 5% where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^([0-9]|[1-4][0-9]|50)%$"))]
    pub jitter: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub windows: Option<Vec<Window>>,
    /// How long the version before is handed out beside the current one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[1-9][0-9]{0,6}(h|m|s)$"))]
    pub keep_previous: Option<String>,
    /// `Keep` where absent (`Regenerate` for certificates).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_parameters_change: Option<OnParametersChange>,
}

#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum RotationMode {
    Auto,
    Manual,
}

#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnParametersChange {
    Keep,
    Regenerate,
}

/// A time of the week in which rotations may start.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct Window {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 7))]
    pub days: Option<Vec<Day>>,
    #[schemars(regex(pattern = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"))]
    pub start: String,
    #[schemars(regex(pattern = r"^[1-9][0-9]{0,6}(h|m|s)$"))]
    pub duration: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub time_zone: Option<String>,
}

#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

/// How many versions are kept.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct History {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10000))]
    pub versions: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[1-9][0-9]{0,6}(h|m|s)$"))]
    pub max_age: Option<String>,
}

/// What happens to a value that is already there.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct Adoption {
    /// `IfPresent` where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<AdoptionMode>,
    /// Read once, while the path has no version: the bytes become version 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_secret: Option<AnySource>,
}

#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdoptionMode {
    Never,
    IfPresent,
}

#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum StorePolicy {
    Retain,
    Delete,
}

#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiWritesWord {
    Allow,
    GenerateOnly,
    Deny,
}

/// The Secret it is projected into.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.disabled) || !self.disabled || !(has(self.name) || has(self.type) || has(self.metadata) || has(self.keys) || has(self.expand) || has(self.creationPolicy) || has(self.deletionPolicy) || has(self.onConflict) || has(self.includePrevious))").message("disabled stands alone in target"))]
#[x_kube(validation = Rule::new("!has(self.keys) || !has(self.expand) || !self.expand").message("keys may not stand beside expand"))]
pub struct Target {
    /// Store only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
    /// The object's name where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
    )]
    pub name: Option<String>,
    /// The type of the Secret; the one that fits the credential where absent.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub type_: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<TargetMetadata>,
    /// Secret key → part; all parts under their own names where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("minProperties" = 1, "maxProperties" = 32))]
    pub keys: Option<BTreeMap<String, String>>,
    /// One key for each top-level string of a JSON document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expand: Option<bool>,
    /// `Owner` where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub creation_policy: Option<CreationPolicy>,
    /// What becomes of the Secret when the object goes; `Delete` where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<TargetPolicy>,
    /// What to do with a Secret of that name that is not ours; `Fail` where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_conflict: Option<OnConflict>,
    /// Adds previous-* keys while `keepPrevious` lasts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub include_previous: Option<bool>,
}

/// Labels and annotations for the Secret; none of ours.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[x_kube(validation = Rule::new("!has(self.labels) || !self.labels.exists(k, k.startsWith('credsmith.dev/'))").message("labels below credsmith.dev are set by the operator"))]
#[x_kube(validation = Rule::new("!has(self.annotations) || !self.annotations.exists(k, k.startsWith('credsmith.dev/'))").message("annotations below credsmith.dev are set by the operator"))]
pub struct TargetMetadata {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("maxProperties" = 32))]
    pub labels: Option<BTreeMap<String, String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("maxProperties" = 32))]
    pub annotations: Option<BTreeMap<String, String>>,
}

#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum CreationPolicy {
    Owner,
    Merge,
    Orphan,
}

#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetPolicy {
    Delete,
    Retain,
}

#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnConflict {
    Fail,
    Adopt,
    Overwrite,
}

/// Which workloads restart after a change.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct Rollout {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub restart: Option<Vec<Workload>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[1-9][0-9]{0,6}(h|m|s)$"))]
    pub debounce: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[1-9][0-9]{0,6}(h|m|s)$"))]
    pub min_interval: Option<String>,
}

#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Default)]
pub struct Workload {
    #[schemars(length(min = 1, max = 63))]
    pub kind: String,
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}
