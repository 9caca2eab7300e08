//! Passwords, users and given texts.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::source::{KeySource, PartsSource};

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

/// Where a given text comes from.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct GivenBlock {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_secret: Option<KeySource>,
}
