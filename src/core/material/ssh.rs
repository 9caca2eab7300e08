//! The forms of OpenSSH (spec section 3.4).

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use ssh_key::{
    LineEnding, Mpint, PrivateKey, PublicKey,
    private::{Ed25519Keypair, Ed25519PrivateKey, KeypairData},
    public::{Ed25519PublicKey, KeyData, RsaPublicKey},
};
use zeroize::Zeroizing;

use super::key::RsaKey;
use crate::{
    domain::{KeyPair, SecretText},
    world::Entropy,
};

/// An RSA key: PKCS#1 PEM, and the line for `authorized_keys` without a line break.
pub fn rsa(key: &RsaKey, comment: &str) -> KeyPair {
    let (modulus, exponent) = key.numbers();
    let number = |bytes: &[u8]| Mpint::from_positive_bytes(bytes);
    let public = RsaPublicKey::new(number(&exponent), number(&modulus)).expect("it was made here");
    pair(KeyData::Rsa(public), comment, key.private_pem())
}

/// An Ed25519 key, in the form of OpenSSH since PKCS#1 knows none such.
pub fn ed25519(comment: &str, entropy: &dyn Entropy) -> KeyPair {
    let mut seed = Zeroizing::new([0; Ed25519PrivateKey::BYTE_SIZE]);
    entropy.fill(seed.as_mut());
    let made = Ed25519KeyPair::from_seed_unchecked(seed.as_ref()).expect("any 32 bytes are a seed");
    let public = Ed25519PublicKey::try_from(made.public_key().as_ref()).expect("a public key has 32 bytes");
    let both = Ed25519Keypair { public, private: Ed25519PrivateKey::from_bytes(&seed) };
    let private = PrivateKey::new(KeypairData::Ed25519(both), comment).expect("it is not encrypted");
    let text = private.to_openssh(LineEnding::LF).expect("a key has a form");
    pair(KeyData::Ed25519(public), comment, SecretText::new(text.to_string()))
}

fn pair(public: KeyData, comment: &str, private: SecretText) -> KeyPair {
    let line = PublicKey::new(public, comment).to_openssh().expect("a key has a form");
    KeyPair { public_key: Some(SecretText::new(line)), private_key: Some(private) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{domain::parameters::rsa::RsaSize, world::SeededEntropy};

    fn public(pair: &KeyPair) -> &str {
        pair.public_key.as_ref().unwrap().expose()
    }

    #[test]
    fn a_comment_stands_behind_the_key_or_nothing_does() {
        let key = RsaKey::generate(RsaSize::Rsa2048);
        let (bare, named) = (rsa(&key, ""), rsa(&key, "deploy at shop"));
        assert_eq!(public(&named), format!("{} deploy at shop", public(&bare)));
        assert!(public(&bare).starts_with("ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQ") && !public(&bare).contains('\n'));
        assert_eq!(bare.credhub_fingerprint(), named.ssh_fingerprint());
        assert!(bare.private_key.unwrap().expose().starts_with("-----BEGIN RSA PRIVATE KEY-----\n"));
    }

    #[test]
    fn an_ed25519_key_is_one_for_openssh() {
        let pair = ed25519("a", &SeededEntropy::new(1));
        assert!(public(&pair).starts_with("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5") && public(&pair).ends_with(" a"));
        let private = PrivateKey::from_openssh(pair.private_key.as_ref().unwrap().expose()).unwrap();
        assert_eq!(private.public_key().to_openssh().unwrap(), public(&pair));
        assert_ne!(public(&pair), public(&ed25519("a", &SeededEntropy::new(2))));
    }
}
