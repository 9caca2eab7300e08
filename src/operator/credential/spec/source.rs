//! Where given values come from.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
