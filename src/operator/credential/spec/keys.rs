//! Certificates and key pairs.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::source::PartsSource;

/// How a certificate is made.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.signedBy) || !has(self.selfSign) || !self.selfSign").message("signedBy and selfSign contradict each other"))]
#[x_kube(validation = Rule::new("!has(self.fromSecret) || !(has(self.commonName) || has(self.organization) || has(self.organizationUnit) || has(self.locality) || has(self.state) || has(self.country) || has(self.dnsNames) || has(self.ipAddresses) || has(self.keyUsage) || has(self.extendedKeyUsage) || has(self.isCA) || has(self.pathLength) || has(self.signedBy) || has(self.selfSign) || has(self.duration) || has(self.key))").message("fromSecret stands alone in its block"))]
#[x_kube(validation = Rule::new("(has(self.dnsNames) ? size(self.dnsNames) : 0) + (has(self.ipAddresses) ? size(self.ipAddresses) : 0) <= 1000").message("dnsNames and ipAddresses have at most 1000 entries together"))]
#[x_kube(validation = Rule::new("!has(self.duration) || (duration(self.duration) >= duration('1h') && duration(self.duration) <= duration('87600h'))").message("duration is 1h to 87600h"))]
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
    #[schemars(length(min = 1, max = 2))]
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
#[x_kube(validation = Rule::new("!has(self.fromSecret) || !(has(self.algorithm) || has(self.keyLength) || has(self.comment))").message("fromSecret stands alone in its block"))]
#[x_kube(validation = Rule::new("!has(self.keyLength) || !has(self.algorithm) || self.algorithm == 'rsa'").message("keyLength may only stand with algorithm rsa"))]
pub struct SshBlock {
    /// `rsa` where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<SshAlgorithm>,
    /// 2048, 3072 or 4096; 2048 where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = [2048, 3072, 4096]))]
    pub key_length: Option<i32>,
    /// One line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255), regex(pattern = r"^[^\r\n]*$"))]
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
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.fromSecret) || !has(self.keyLength)").message("fromSecret stands alone in its block"))]
pub struct RsaBlock {
    /// 2048, 3072 or 4096; 2048 where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = [2048, 3072, 4096]))]
    pub key_length: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_secret: Option<PartsSource>,
}
