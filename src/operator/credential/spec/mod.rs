//! `Credential`: what may be said in a manifest.
//!
//! The whole schema of `v1alpha1` is here from the first day, without a single default: absent means what the code
//! takes, and status shows it. A field whose behaviour does not exist yet is refused by name (`support.rs`), because
//! Helm, Argo CD and client libraries let the API server drop unknown fields silently.

#![expect(clippy::duplicated_attributes, reason = "several columns have the same type")]

mod keys;
mod life;
mod provider;
mod source;
mod target;
mod text;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::{keys::*, life::*, provider::*, source::*, target::*, text::*};
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
    /// makes a tombstone that keeps every version.
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
