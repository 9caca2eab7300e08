//! Two halves of a key as they were given or made (spec section 3.4): any text, kept as it is.

use aws_lc_rs::digest;
use base64::{Engine, engine::general_purpose::STANDARD, engine::general_purpose::STANDARD_NO_PAD};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::secret::{SecretBytes, SecretText};

/// The value of an `rsa` or `ssh` credential. The public half may be any text too, so it is printed no more than the
/// other.
#[derive(Debug, Deserialize)]
pub struct KeyPair {
    pub public_key: Option<SecretText>,
    pub private_key: Option<SecretText>,
}

impl KeyPair {
    /// An empty half is an absent one; `None` where both are.
    pub fn new(public_key: Option<SecretText>, private_key: Option<SecretText>) -> Option<Self> {
        let present = |half: Option<SecretText>| half.filter(|text| !text.is_empty());
        let pair = Self { public_key: present(public_key), private_key: present(private_key) };
        (pair.public_key.is_some() || pair.private_key.is_some()).then_some(pair)
    }

    /// Its texts by the names of the plain form, which are also those of the API.
    pub fn texts(&self) -> [(&'static str, Option<&SecretText>); 2] {
        [("public_key", self.public_key.as_ref()), ("private_key", self.private_key.as_ref())]
    }

    /// Of an SSH key of any kind: SHA-256 of its blob in base64, without padding and without a prefix.
    pub fn ssh_fingerprint(&self) -> Option<String> {
        let blob = blob(self.public_key.as_ref()?.expose())?;
        fields(&blob)?;
        Some(fingerprint(&blob))
    }

    /// The same as the CredHub API tells it: of keys that read as kind, exponent and modulus only (as recorded).
    pub fn credhub_fingerprint(&self) -> Option<String> {
        let blob = blob(self.public_key.as_ref()?.expose())?;
        (fields(&blob)?.len() == 3).then(|| fingerprint(&blob))
    }
}

/// The JSON object that is sealed where a value has several texts.
pub(super) fn object(texts: &[(&str, Option<&SecretText>)]) -> SecretBytes {
    // Grown once: whoever grows leaves a copy behind.
    let room = texts.iter().map(|(name, text)| name.len() + 8 + text.map_or(0, |text| 6 * text.expose().len())).sum();
    let mut out = Vec::with_capacity(room);
    for (name, text) in texts {
        out.push(if out.is_empty() { b'{' } else { b',' });
        out.extend_from_slice(format!("\"{name}\":").as_bytes());
        match text {
            Some(text) => {
                let quoted = serde_json::to_string(text.expose()).expect("a string is always JSON");
                out.extend_from_slice(Zeroizing::new(quoted).as_bytes());
            }
            None => out.extend_from_slice(b"null"),
        }
    }
    out.push(b'}');
    SecretBytes::new(out)
}

fn fingerprint(blob: &[u8]) -> String {
    STANDARD_NO_PAD.encode(digest::digest(&digest::SHA256, blob))
}

/// What stands between the first and the second space of `ssh-rsa AAAA… comment`.
fn blob(line: &str) -> Option<Vec<u8>> {
    let mut words = line.trim().split(' ');
    let (_, encoded) = (words.next()?, words.next()?);
    STANDARD.decode(encoded.trim_end()).ok()
}

/// The fields of a blob (RFC 4253, section 6.6), each with its length in front.
fn fields(blob: &[u8]) -> Option<Vec<&[u8]>> {
    let mut fields = Vec::new();
    let mut rest = blob;
    while !rest.is_empty() {
        let (length, after) = rest.split_first_chunk::<4>()?;
        let (field, after) = after.split_at_checked(u32::from_be_bytes(*length).try_into().ok()?)?;
        fields.push(field);
        rest = after;
    }
    (fields.len() > 1).then_some(fields)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn public(line: &str) -> KeyPair {
        KeyPair::new(Some(SecretText::new(line.into())), None).unwrap()
    }

    /// Made by ssh-keygen; the fingerprint is what `ssh-keygen -l` says.
    const ED25519: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBpD5YsY8pQJ4fQ5j4cOUS9m3uyCq4VdPmmY1BS5m6Jp";

    #[test]
    fn an_empty_half_is_an_absent_one() {
        let text = |text: &str| Some(SecretText::new(text.into()));
        assert!(KeyPair::new(text(""), None).is_none());
        let pair = KeyPair::new(text(""), text("q")).unwrap();
        assert!(pair.public_key.is_none() && pair.private_key.is_some());
    }

    #[test]
    fn only_keys_have_fingerprints() {
        assert!(public(ED25519).ssh_fingerprint().is_some());
        assert!(public(&format!(" {ED25519} two words\n")).ssh_fingerprint().is_some());
        assert_eq!(public(ED25519).credhub_fingerprint(), None); // as recorded
        for text in ["p", "ssh-rsa", "ssh-rsa !!!!", "ssh-rsa AAAA", "ssh-rsa AAAAB3NzaC1yc2E"] {
            assert_eq!(public(text).ssh_fingerprint(), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_public_key_makes_the_reader_panic(text in ".{0,40}", bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = public(&format!("{text}x")).ssh_fingerprint();
            let _ = public(&format!("ssh-rsa {}", STANDARD.encode(bytes))).ssh_fingerprint();
        }
    }
}
