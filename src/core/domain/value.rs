//! What a version holds.

use serde::Deserialize;
use zeroize::Zeroizing;

use super::{
    json,
    key_pair::{self, KeyPair},
    kind::CredentialType,
    secret::{SecretBytes, SecretText},
};
use crate::world::Entropy;

/// A value by type. Nothing in it can be printed.
#[derive(Debug)]
pub enum Value {
    Value(SecretText),
    /// Compact, with the digits and the key order it was sent with.
    Json(SecretText),
    Password(SecretText),
    User(User),
    Rsa(KeyPair),
    Ssh(KeyPair),
    Certificate(Certificate),
}

/// A certificate and what belongs to it, all of it PEM as it was given or made (spec section 3.8).
#[derive(Debug)]
pub struct Certificate {
    /// Of the signer, or what was given for it.
    pub ca: Option<SecretText>,
    pub certificate: SecretText,
    pub private_key: Option<SecretText>,
}

/// A user name and its password (spec section 3.3).
#[derive(Debug)]
pub struct User {
    pub username: Option<String>,
    pub password: SecretText,
    /// `$6$…`, made once with the version, so that it is the same on every read.
    pub password_hash: SecretText,
}

impl User {
    pub fn new(username: Option<String>, password: SecretText, entropy: &dyn Entropy) -> Self {
        let mut salt = [0; 6];
        entropy.fill(&mut salt);
        let password_hash = sha512_crypt(&password, &salt);
        Self { username, password, password_hash }
    }
}

impl Value {
    /// A value of type `value`; `None` where the text is empty.
    pub fn text(text: SecretText) -> Option<Self> {
        (!text.is_empty()).then_some(Self::Value(text))
    }

    /// A value of type `password`; `None` where the text is empty.
    pub fn password(text: SecretText) -> Option<Self> {
        (!text.is_empty()).then_some(Self::Password(text))
    }

    /// A value of type `json`, from any JSON document.
    pub fn json(text: &SecretText) -> Result<Self, json::Error> {
        json::compact_secret(text).map(Self::Json)
    }

    pub fn kind(&self) -> CredentialType {
        match self {
            Self::Value(_) => CredentialType::Value,
            Self::Json(_) => CredentialType::Json,
            Self::Password(_) => CredentialType::Password,
            Self::User(_) => CredentialType::User,
            Self::Rsa(_) => CredentialType::Rsa,
            Self::Ssh(_) => CredentialType::Ssh,
            Self::Certificate(_) => CredentialType::Certificate,
        }
    }

    /// The parts by the names that stand in a Secret (custom resources, section 4.1). Those of a certificate are without
    /// what only its signers know: `Hub::bundle` has them whole.
    pub fn parts(&self) -> Vec<(&'static str, SecretText)> {
        match self {
            Self::Value(text) | Self::Json(text) => vec![("value", text.duplicate())],
            Self::Password(text) => vec![("password", text.duplicate())],
            Self::User(user) => {
                let name = user.username.clone().map(|name| ("username", SecretText::new(name)));
                let rest = [("password", user.password.duplicate()), ("password-hash", user.password_hash.duplicate())];
                name.into_iter().chain(rest).collect()
            }
            Self::Rsa(pair) => present([("private.pem", &pair.private_key), ("public.pem", &pair.public_key)]),
            Self::Ssh(pair) => {
                let mut parts = present([("ssh-privatekey", &pair.private_key), ("ssh-publickey", &pair.public_key)]);
                parts.extend(pair.ssh_fingerprint().map(|text| ("ssh-fingerprint", SecretText::new(text))));
                parts
            }
            Self::Certificate(of) => {
                let mut parts = vec![("tls.crt", of.certificate.duplicate())];
                parts.extend(present([("tls.key", &of.private_key), ("ca.crt", &of.ca)]));
                parts
            }
        }
    }

    /// Bytes that count towards the limit of a value.
    pub fn size(&self) -> usize {
        match self {
            Self::Value(text) | Self::Json(text) | Self::Password(text) => text.expose().len(),
            Self::User(user) => user.username.as_ref().map_or(0, String::len) + user.password.expose().len(),
            Self::Rsa(pair) | Self::Ssh(pair) => pair.texts().into_iter().map(|(_, text)| length(text)).sum(),
            Self::Certificate(of) => of.texts().into_iter().map(|(_, text)| length(text)).sum(),
        }
    }

    /// Whether both hold the same. The hash of a user is drawn anew each time and does not count.
    pub fn same_as(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Value(a), Self::Value(b))
            | (Self::Json(a), Self::Json(b))
            | (Self::Password(a), Self::Password(b)) => a.same_as(b),
            (Self::User(a), Self::User(b)) => a.username == b.username && a.password.same_as(&b.password),
            (Self::Rsa(a), Self::Rsa(b)) | (Self::Ssh(a), Self::Ssh(b)) => same(&a.texts(), &b.texts()),
            (Self::Certificate(a), Self::Certificate(b)) => same(&a.texts(), &b.texts()),
            _ => false,
        }
    }

    /// The plain form that is sealed: the text itself, or a small JSON object where there are several.
    pub fn to_bytes(&self) -> SecretBytes {
        match self {
            Self::Value(text) | Self::Json(text) | Self::Password(text) => {
                SecretBytes::new(text.expose().as_bytes().to_vec())
            }
            Self::User(user) => {
                let quoted = |text: &str| Zeroizing::new(serde_json::to_string(text).expect("a string is always JSON"));
                let username = user.username.as_deref().map_or_else(|| Zeroizing::new("null".to_owned()), quoted);
                let (password, hash) = (quoted(user.password.expose()), quoted(user.password_hash.expose()));
                let text =
                    format!(r#"{{"username":{},"password":{},"password_hash":{}}}"#, *username, *password, *hash);
                SecretBytes::new(text.into_bytes())
            }
            Self::Rsa(pair) | Self::Ssh(pair) => key_pair::object(&pair.texts()),
            Self::Certificate(of) => key_pair::object(&of.texts()),
        }
    }

    /// The inverse of [`to_bytes`](Self::to_bytes); `None` where the bytes are not of that form.
    pub fn from_bytes(kind: CredentialType, bytes: &SecretBytes) -> Option<Self> {
        let text = || std::str::from_utf8(bytes.expose()).ok().map(|text| SecretText::new(text.to_owned()));
        match kind {
            CredentialType::Value => text().map(Self::Value),
            CredentialType::Json => text().map(Self::Json),
            CredentialType::Password => text().map(Self::Password),
            CredentialType::User => {
                let stored: StoredUser = serde_json::from_slice(bytes.expose()).ok()?;
                let StoredUser { username, password, password_hash } = stored;
                Some(Self::User(User { username, password, password_hash }))
            }
            CredentialType::Rsa => serde_json::from_slice(bytes.expose()).ok().map(Self::Rsa),
            CredentialType::Ssh => serde_json::from_slice(bytes.expose()).ok().map(Self::Ssh),
            CredentialType::Certificate => {
                let stored: StoredCertificate = serde_json::from_slice(bytes.expose()).ok()?;
                let StoredCertificate { ca, certificate, private_key } = stored;
                Some(Self::Certificate(Certificate { ca, certificate, private_key }))
            }
            CredentialType::Provider => None,
        }
    }
}

impl Certificate {
    /// Its texts by the names of the plain form, which are also those of the API.
    pub fn texts(&self) -> [(&'static str, Option<&SecretText>); 3] {
        [("ca", self.ca.as_ref()), ("certificate", Some(&self.certificate)), ("private_key", self.private_key.as_ref())]
    }
}

/// Those that are there.
fn present<const N: usize>(parts: [(&'static str, &Option<SecretText>); N]) -> Vec<(&'static str, SecretText)> {
    parts.into_iter().filter_map(|(name, text)| Some((name, text.as_ref()?.duplicate()))).collect()
}

fn length(text: Option<&SecretText>) -> usize {
    text.map_or(0, |text| text.expose().len())
}

fn same(one: &[(&str, Option<&SecretText>)], other: &[(&str, Option<&SecretText>)]) -> bool {
    one.iter().zip(other).all(|((_, one), (_, other))| match (one, other) {
        (Some(one), Some(other)) => one.same_as(other),
        (None, None) => true,
        _ => false,
    })
}

#[derive(Deserialize)]
struct StoredCertificate {
    ca: Option<SecretText>,
    certificate: SecretText,
    private_key: Option<SecretText>,
}

#[derive(Deserialize)]
struct StoredUser {
    username: Option<String>,
    password: SecretText,
    password_hash: SecretText,
}

/// Unix crypt with SHA-512, 5,000 rounds, a salt of eight characters and no `rounds=` field: 98 characters in all
/// (spec section 3.3).
fn sha512_crypt(password: &SecretText, salt: &[u8; 6]) -> SecretText {
    use sha_crypt::{PasswordHasher, ShaCrypt};
    let hash = ShaCrypt::SHA512
        .hash_password_with_salt(password.expose().as_bytes(), salt)
        .expect("a salt of six bytes and the default rounds are within the limits");
    SecretText::new(Zeroizing::new(hash.to_string()).replacen("rounds=5000$", "", 1))
}

/// The largest value, in bytes once decoded (architecture, section 5).
pub const MAX_VALUE: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_hash_is_what_crypt_makes() {
        // What `openssl passwd -6 -salt ........ hunter2` prints.
        let expected =
            "$6$........$YJF.ZbtA.63ALMYJGNUZlnsSDD7W3WAPV/8Qgj97/RM5lw1WVAo0sqgee.kY64eNeJUuz5seohzWwZUD566OY/";
        let hash = sha512_crypt(&SecretText::new("hunter2".into()), &[0; 6]);
        assert_eq!(hash.expose(), expected);
        assert_eq!(hash.expose().len(), 98);
    }

    #[test]
    fn a_user_without_a_name_has_no_part_of_that_name() {
        let user =
            User { username: None, password: SecretText::new("p".into()), password_hash: SecretText::new("h".into()) };
        let names: Vec<_> = Value::User(user).parts().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["password", "password-hash"]);
    }

    #[test]
    fn bytes_of_another_form_are_no_user() {
        assert!(Value::from_bytes(CredentialType::User, &SecretBytes::new(b"plain".to_vec())).is_none());
        assert!(Value::from_bytes(CredentialType::Value, &SecretBytes::new(vec![0xff])).is_none());
    }

    /// What stands in stores: never edited, only added to.
    #[test]
    fn the_plain_forms_stay_as_they_are() {
        let table = [
            (CredentialType::Rsa, r#"{"public_key":"p\n","private_key":null}"#),
            (CredentialType::Ssh, r#"{"public_key":null,"private_key":"q"}"#),
            (CredentialType::Certificate, r#"{"ca":null,"certificate":"c","private_key":"k"}"#),
        ];
        for (kind, form) in table {
            let value = Value::from_bytes(kind, &SecretBytes::new(form.as_bytes().to_vec())).unwrap();
            assert_eq!(std::str::from_utf8(value.to_bytes().expose()).unwrap(), form);
            assert_eq!(value.kind(), kind);
        }
    }

    proptest! {
        #[test]
        fn a_value_comes_back_from_its_bytes(text in ".{1,40}", name in proptest::option::of(".{0,20}")) {
            let secret = || SecretText::new(text.clone());
            let user = User { username: name, password: secret(), password_hash: SecretText::new("$6$x".into()) };
            let pair = |public: bool| KeyPair {
                public_key: public.then(secret),
                private_key: Some(secret()),
            };
            let certificate = Certificate { ca: None, certificate: secret(), private_key: Some(secret()) };
            let values = [
                Value::Value(secret()),
                Value::Password(secret()),
                Value::User(user),
                Value::Rsa(pair(false)),
                Value::Ssh(pair(true)),
                Value::Certificate(certificate),
            ];
            for value in values {
                let again = Value::from_bytes(value.kind(), &value.to_bytes()).unwrap();
                prop_assert!(again.same_as(&value));
            }
        }
    }
}
