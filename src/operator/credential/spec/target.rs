//! The Secret that a credential is projected into.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
