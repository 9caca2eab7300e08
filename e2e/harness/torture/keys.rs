//! Keys and certificates in the load, in the journal and in the verdict.

use anyhow::{Context as _, Result};
use aws_lc_rs::digest;
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD},
};
use credsmith_core::{
    domain::{SecretText, Value, value::Certificate},
    material::{Certificate as Read, PrivateKey, pem},
};
use kube::{ResourceExt as _, api::PostParams};
use serde_json::{Value as Json, json};

use super::{
    dice::Dice,
    journal::{Parts, hashed},
    world::{Kind, Wanted, World},
};

/// What the manifest of a kind says, of those that this module is about.
pub fn spec(kind: Kind) -> Json {
    let curve = json!({"algorithm": "ecdsa-p256"});
    match kind {
        Kind::Authority => json!({"type": "certificate", "certificate": {
            "selfSign": true, "isCA": true, "commonName": "torture", "keyUsage": ["key_cert_sign"], "key": curve,
        }}),
        Kind::Leaf => json!({"type": "certificate", "certificate": {
            "signedBy": {"name": AUTHORITY}, "commonName": "torture", "dnsNames": ["torture.example"], "key": curve,
        }}),
        Kind::Shell => json!({"type": "ssh", "ssh": {"algorithm": "ed25519"}}),
        Kind::Rsa => json!({"type": "rsa"}),
        // By time as often as the schema allows.
        _ => json!({"type": "password", "rotation": {"every": "60s", "jitter": "50%"}}),
    }
}

/// Makes the authority, which no hand touches: a leaf without its signer would wait, and that is not what is judged here.
pub async fn make_authority(world: &World) -> Result<()> {
    let object = json!({
        "apiVersion": "credsmith.dev/v1alpha1", "kind": "Credential", "metadata": {"name": AUTHORITY},
        "spec": spec(Kind::Authority),
    });
    let made = world.credentials().create(&PostParams::default(), &serde_json::from_value(object)?).await;
    let made = made.context("making the authority")?;
    let generation = made.metadata.generation.unwrap_or_default();
    let (rotate, version, source) = (None, None, None);
    let wanted = Wanted { kind: Kind::Authority, uid: made.uid(), generation, rotate, version, source };
    world.begin_to_want(AUTHORITY, wanted);
    Ok(())
}

/// What a client of the API sends to have one made.
pub fn parameters(kind: &str) -> Json {
    if kind == "certificate" { json!({"common_name": "torture", "self_sign": true}) } else { json!({}) }
}

/// What a client of the API sets for a pair: any two texts are one.
pub fn pair(dice: &mut Dice) -> Json {
    json!({"public_key": dice.text(), "private_key": dice.text()})
}

/// A part of a version or of a Secret by its hash. In a Secret more certificates stand behind the one that a version has.
pub fn hashed_part(name: &str, part: &[u8]) -> String {
    const END: &str = "-----END CERTIFICATE-----";
    match std::str::from_utf8(part) {
        Ok(text) if matches!(name, "tls.crt" | "ca.crt") => {
            hashed(text.find(END).map_or(text, |end| &text[..end + END.len()]).trim())
        }
        _ => hashed(part),
    }
}

/// The parts of a version as the API shows it, by the names that they have in a Secret; `None` for any other type.
pub fn parts(kind: &str, value: &Json) -> Option<Parts> {
    let names: &[_] = match kind {
        "rsa" => &[("private.pem", "private_key"), ("public.pem", "public_key")],
        "ssh" => &[("ssh-privatekey", "private_key"), ("ssh-publickey", "public_key")],
        "certificate" => &[("tls.crt", "certificate"), ("tls.key", "private_key"), ("ca.crt", "ca")],
        _ => return None,
    };
    let texts = names.iter().filter_map(|(ours, theirs)| Some((*ours, value[theirs].as_str()?)));
    let mut parts: Parts = texts.map(|(name, text)| (name.to_owned(), hashed_part(name, text.as_bytes()))).collect();
    let public = value["public_key"].as_str().filter(|_| kind == "ssh");
    // The API tells that of an ed25519 key no fingerprint, and the Secret does.
    if let Some(blob) = public.and_then(|line| STANDARD.decode(line.split(' ').nth(1)?).ok()) {
        let fingerprint = STANDARD_NO_PAD.encode(digest::digest(&digest::SHA256, &blob));
        parts.insert("ssh-fingerprint".into(), hashed(fingerprint));
    }
    Some(parts)
}

/// Whether the halves of a value belong together, wherever they are keys.
pub fn belong_together(value: &Value) -> bool {
    match value {
        Value::Certificate(of) => of.private_key.as_ref().is_none_or(|key| is_pair(of, key)),
        Value::Rsa(pair) => {
            let halves = pair.public_key.as_ref().zip(pair.private_key.as_ref());
            let keys = halves.filter(|(public, _)| public.expose().contains("-----BEGIN"));
            keys.is_none_or(|(public, private)| {
                let public = pem::first(public.expose(), &["PUBLIC KEY"]).and_then(|block| block.content);
                PrivateKey::from_pem(private).is_ok_and(|key| public.is_some_and(|public| *key.spki() == public[..]))
            })
        }
        _ => true,
    }
}

fn is_pair(of: &Certificate, key: &SecretText) -> bool {
    let key = PrivateKey::from_pem(key);
    Read::first(of.certificate.expose()).is_some_and(|read| key.is_ok_and(|key| read.has_key(&key.spki())))
}

const AUTHORITY: &str = "authority";

#[cfg(test)]
mod tests {
    use super::*;
    use credsmith_core::{domain::key_pair::KeyPair, domain::parameters::rsa::RsaSize, material::RsaKey};

    #[test]
    fn a_secret_with_more_certificates_holds_the_part_of_its_version() {
        let one = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let two = format!("{one}-----BEGIN CERTIFICATE-----\nBBBB\n-----END CERTIFICATE-----\n");
        assert_eq!(hashed_part("tls.crt", one.as_bytes()), hashed_part("tls.crt", two.as_bytes()));
        assert_ne!(hashed_part("tls.key", one.as_bytes()), hashed_part("tls.key", two.as_bytes()));
    }

    #[test]
    fn halves_of_two_keys_do_not_belong_together() {
        let keys = [RsaKey::generate(RsaSize::Rsa2048), RsaKey::generate(RsaSize::Rsa2048)];
        let pair = |private: &RsaKey| {
            Value::Rsa(KeyPair::new(Some(keys[0].public_pem()), Some(private.private_pem())).expect("two halves"))
        };
        assert!(belong_together(&pair(&keys[0])) && !belong_together(&pair(&keys[1])));
    }
}
