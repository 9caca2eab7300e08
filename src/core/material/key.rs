//! Private keys: read from the common forms, made, and used to sign. All by aws-lc-rs.

use std::fmt;

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    rand::SystemRandom,
    rsa::{KeyPair as AwsRsa, KeySize},
    signature::{
        ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1_SIGNING, EcdsaKeyPair,
        EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
    },
};
use zeroize::Zeroizing;

use super::{
    der::{self, Reader},
    pem,
};
use crate::domain::{
    SecretText,
    parameters::{certificate::KeyKind, rsa::RsaSize},
};

/// A private key that can sign.
pub enum PrivateKey {
    Rsa(AwsRsa),
    Ecdsa(EcdsaKeyPair, Curve),
    Ed25519(Ed25519KeyPair),
}

/// The curves of NIST that keys are read for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Curve {
    P256,
    P384,
    P521,
}

/// Why a text is no private key that can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// PEM without its end, or no base64 inside.
    #[error("its PEM is broken")]
    Broken,
    /// No PEM at all, or encrypted.
    #[error("it is not an unencrypted private key in PEM")]
    Form,
    /// A form that is known, and bytes that are no key, or none that is accepted.
    #[error("it is no RSA key of 2048 to 8192 bits, no key on P-256, P-384 or P-521 and no Ed25519 key")]
    Unusable,
}

/// A key that nobody has had in hand yet, for whom it was made.
#[derive(Debug)]
pub struct FreshKey {
    /// As it is kept: PKCS#1 for RSA, PKCS#8 for the others.
    pub pem: SecretText,
    pub key: PrivateKey,
}

/// An RSA key that was just made.
pub struct RsaKey {
    size: RsaSize,
    /// PKCS#1.
    der: Zeroizing<Vec<u8>>,
}

impl RsaKey {
    /// Takes a tenth of a second at 2048 bits and seconds at 4096: call it on a thread that may wait.
    ///
    /// Panics where the operating system gives no randomness: without it nothing here is safe to do.
    pub fn generate(size: RsaSize) -> Self {
        let key = AwsRsa::generate(match size {
            RsaSize::Rsa2048 => KeySize::Rsa2048,
            RsaSize::Rsa3072 => KeySize::Rsa3072,
            RsaSize::Rsa4096 => KeySize::Rsa4096,
        });
        let pkcs8: Pkcs8V1Der<'_> = key.and_then(|key| key.as_der()).expect("the operating system gives randomness");
        let der = inside_pkcs8(pkcs8.as_ref()).expect("aws-lc-rs writes PKCS#8").1.to_vec();
        Self { size, der: Zeroizing::new(der) }
    }

    pub fn size(&self) -> RsaSize {
        self.size
    }

    /// PKCS#1 PEM (spec section 3.4).
    pub fn private_pem(&self) -> SecretText {
        pem::encode("RSA PRIVATE KEY", &self.der)
    }

    /// SubjectPublicKeyInfo PEM (spec section 3.4).
    pub fn public_pem(&self) -> SecretText {
        let (modulus, exponent) = self.numbers();
        pem::encode("PUBLIC KEY", &rsa_public(&modulus, &exponent))
    }

    /// Modulus and exponent, each as a big-endian number.
    pub fn numbers(&self) -> (Vec<u8>, Vec<u8>) {
        let numbers = rsa_numbers(&self.der).expect("it was made here");
        (numbers.modulus.to_vec(), numbers.exponent.to_vec())
    }

    /// The same key once more; only for tests that would else wait for keys.
    pub(super) fn duplicate(&self) -> Self {
        Self { size: self.size, der: self.der.clone() }
    }

    /// The key as a signer.
    pub fn into_fresh(self) -> FreshKey {
        let key = AwsRsa::from_der(&self.der).expect("it was made here");
        FreshKey { pem: self.private_pem(), key: PrivateKey::Rsa(key) }
    }
}

impl fmt::Debug for RsaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RsaKey({})", self.size.bits())
    }
}

impl FreshKey {
    /// A key on a curve; takes less than a millisecond. `None` where the kind is RSA, whose keys take their time.
    pub fn on_curve(kind: KeyKind) -> Option<Self> {
        let curve = match kind {
            KeyKind::Rsa(_) => return None,
            KeyKind::EcdsaP256 => Curve::P256,
            KeyKind::EcdsaP384 => Curve::P384,
        };
        let key = EcdsaKeyPair::generate(curve.algorithm());
        let made = key.and_then(|key| Ok((key.to_pkcs8v1()?, key)));
        let (pkcs8, key) = made.expect("the operating system gives randomness");
        Some(Self { pem: pem::encode("PRIVATE KEY", pkcs8.as_ref()), key: PrivateKey::Ecdsa(key, curve) })
    }
}

impl PrivateKey {
    /// From PKCS#1, SEC1 (also behind `EC PARAMETERS`) or unencrypted PKCS#8, in PEM. Other text may stand around it.
    pub fn from_pem(text: &SecretText) -> Result<Self, Error> {
        let read = read(text)?;
        match read {
            Read::Rsa(der) => AwsRsa::from_der(&der).map(Self::Rsa).map_err(|_| Error::Unusable),
            Read::Other(der) => Self::from_other(&der).ok_or(Error::Unusable),
        }
    }

    fn from_other(der: &[u8]) -> Option<Self> {
        let on = |curve: Curve| {
            let key = EcdsaKeyPair::from_private_key_der(curve.algorithm(), der).ok()?;
            Some(Self::Ecdsa(key, curve))
        };
        let edwards = || Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).ok().map(Self::Ed25519);
        [Curve::P256, Curve::P384, Curve::P521].into_iter().find_map(on).or_else(edwards)
    }

    /// The public half, as it stands in a certificate.
    pub fn spki(&self) -> Vec<u8> {
        match self {
            Self::Rsa(key) => spki(&RSA_ENCRYPTION, key.public_key().as_ref()),
            Self::Ecdsa(key, curve) => {
                let algorithm = der::sequence(&[der::oid(EC_PUBLIC_KEY), der::oid(curve.oid())]);
                spki(&algorithm, key.public_key().as_ref())
            }
            Self::Ed25519(key) => spki(&der::sequence(&[der::oid(ED25519)]), key.public_key().as_ref()),
        }
    }

    /// The algorithm of its signatures, as it stands in a certificate: SHA-256 with RSA, the hash of its size on a curve.
    pub fn algorithm(&self) -> Vec<u8> {
        match self {
            Self::Rsa(_) => der::sequence(&[der::oid(SHA256_WITH_RSA), der::tlv(der::NULL, &[])]),
            Self::Ecdsa(_, curve) => der::sequence(&[der::oid(curve.signature())]),
            Self::Ed25519(_) => der::sequence(&[der::oid(ED25519)]),
        }
    }

    /// A signature; takes a millisecond for RSA of 2048 bits and six for 4096.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        const RANDOM: &str = "the operating system gives randomness";
        match self {
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).expect(RANDOM);
                signature
            }
            Self::Ecdsa(key, _) => key.sign(&SystemRandom::new(), message).expect(RANDOM).as_ref().to_vec(),
            Self::Ed25519(key) => key.sign(message).as_ref().to_vec(),
        }
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rsa(_) => "PrivateKey(RSA)",
            Self::Ecdsa(..) => "PrivateKey(ECDSA)",
            Self::Ed25519(_) => "PrivateKey(Ed25519)",
        })
    }
}

/// The public half of the private key in a text, as it stands in a certificate, and whether it is RSA. Also of RSA keys
/// that are too short to sign with here.
pub fn public_half(text: &SecretText) -> Result<(Vec<u8>, bool), Error> {
    match read(text)? {
        Read::Rsa(der) => {
            let numbers = rsa_numbers(&der).ok_or(Error::Unusable)?;
            Ok((rsa_public(numbers.modulus, numbers.exponent), true))
        }
        Read::Other(der) => PrivateKey::from_other(&der).map(|key| (key.spki(), false)).ok_or(Error::Unusable),
    }
}

enum Read {
    /// PKCS#1.
    Rsa(Zeroizing<Vec<u8>>),
    /// SEC1 or PKCS#8.
    Other(Zeroizing<Vec<u8>>),
}

fn read(text: &SecretText) -> Result<Read, Error> {
    const LABELS: [&str; 4] = ["RSA PRIVATE KEY", "EC PRIVATE KEY", "PRIVATE KEY", "ENCRYPTED PRIVATE KEY"];
    let block = pem::blocks(text.expose()).find(|block| LABELS.contains(&block.label) || block.label.is_empty());
    let block = block.ok_or(Error::Form)?;
    if block.has_headers || block.label.starts_with("ENCRYPTED") {
        return Err(Error::Form);
    }
    let content = block.content.ok_or(Error::Broken)?;
    match block.label {
        "RSA PRIVATE KEY" => Ok(Read::Rsa(content)),
        "EC PRIVATE KEY" => Ok(Read::Other(content)),
        _ => match inside_pkcs8(&content) {
            Some((RSA, key)) => Ok(Read::Rsa(Zeroizing::new(key.to_vec()))),
            Some(_) => Ok(Read::Other(content)),
            None => Err(Error::Form),
        },
    }
}

/// The algorithm and the key inside PKCS#8 (RFC 5208).
fn inside_pkcs8(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut info = Reader::new(der).sequence()?;
    info.number()?;
    let algorithm = info.sequence()?.take(der::OID)?;
    Some((algorithm, info.take(der::OCTET_STRING)?))
}

struct RsaNumbers<'a> {
    modulus: &'a [u8],
    exponent: &'a [u8],
}

/// The public numbers of a PKCS#1 private key (RFC 8017, appendix A.1.2).
fn rsa_numbers(der: &[u8]) -> Option<RsaNumbers<'_>> {
    let mut key = Reader::new(der).sequence()?;
    key.number()?;
    let (modulus, exponent) = (key.number()?, key.number()?);
    // Both must be there, and the private exponent too: a public key is none.
    key.number().filter(|private| !private.is_empty() && !modulus.is_empty() && !exponent.is_empty())?;
    Some(RsaNumbers { modulus, exponent })
}

fn rsa_public(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    spki(&RSA_ENCRYPTION, &der::sequence(&[der::integer(modulus), der::integer(exponent)]))
}

fn spki(algorithm: &[u8], key: &[u8]) -> Vec<u8> {
    der::sequence(&[algorithm.to_vec(), der::bit_string(key)])
}

impl Curve {
    fn algorithm(self) -> &'static EcdsaSigningAlgorithm {
        match self {
            Self::P256 => &ECDSA_P256_SHA256_ASN1_SIGNING,
            Self::P384 => &ECDSA_P384_SHA384_ASN1_SIGNING,
            Self::P521 => &ECDSA_P521_SHA512_ASN1_SIGNING,
        }
    }

    fn oid(self) -> &'static [u8] {
        match self {
            Self::P256 => &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07],
            Self::P384 => &[0x2b, 0x81, 0x04, 0x00, 0x22],
            Self::P521 => &[0x2b, 0x81, 0x04, 0x00, 0x23],
        }
    }

    /// ecdsa-with-SHA256, -SHA384, -SHA512 (RFC 5758).
    fn signature(self) -> &'static [u8] {
        match self {
            Self::P256 => &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02],
            Self::P384 => &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03],
            Self::P521 => &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x04],
        }
    }
}

/// rsaEncryption (RFC 8017): the identifier, and with its parameters.
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const RSA_ENCRYPTION: [u8; 15] = [0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 5, 0];
/// sha256WithRSAEncryption (RFC 8017).
const SHA256_WITH_RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b];
/// id-ecPublicKey (RFC 5480).
const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
/// id-Ed25519 (RFC 8410).
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];
