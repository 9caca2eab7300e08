//! Credentials of providers.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{source::KeySource, text::PasswordRecipe};

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
