//! The byte format of something sealed.
//!
//! ```text
//! format  1 byte    1
//! key     16 bytes  the data key's id
//! place   8 bytes   SHA-256 of the place, cut: tells "moved" from "damaged"
//! length  4 bytes   of what follows, big-endian: tells "cut" from "damaged"
//! nonce   12 bytes
//! text    n + 16    AES-256-GCM (NIST SP 800-38D)
//! ```
//!
//! key = HKDF-SHA-256 (RFC 5869) of the data key, with the place as `info`; associated data = everything before the nonce, and the place.

use aes_gcm::{
    Aes256Gcm,
    aead::{Aead, Key, KeyInit, Nonce, Payload},
};
use aws_lc_rs::hkdf;
use zeroize::Zeroizing;

use super::{DataKey, Error, Place, place::TAG};
use crate::{
    domain::{SecretBytes, ids::DataKeyId},
    world::Entropy,
};

/// Something sealed. Only the keyring makes one out of plain bytes, so "forgot to encrypt" does not compile.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(Vec<u8>);

impl Sealed {
    /// As the store kept it.
    pub fn from_stored(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The data key that it says it was sealed under; all zeroes where bytes are missing.
    pub fn data_key(&self) -> DataKeyId {
        let id = self.0.get(1..17).and_then(DataKeyId::from_slice);
        id.unwrap_or_else(|| DataKeyId::from_uuid(uuid::Uuid::nil()))
    }
}

impl std::fmt::Debug for Sealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "[sealed, {} bytes]", self.0.len())
    }
}

pub(super) fn seal(id: DataKeyId, key: &DataKey, place: &Place, plain: &SecretBytes, entropy: &dyn Entropy) -> Sealed {
    let length = NONCE + plain.expose().len() + GCM_TAG;
    let mut out = Vec::with_capacity(HEADER + length);
    out.push(FORMAT);
    out.extend(id.as_bytes());
    out.extend(place.tag());
    out.extend(u32::try_from(length).expect("a value is far below 4 GiB").to_be_bytes());
    let mut nonce = [0; NONCE];
    entropy.fill(&mut nonce);
    let aad = associated_data(&out, place);
    let cipher = cipher(key, place);
    let payload = Payload { msg: plain.expose(), aad: &aad };
    let text = cipher.encrypt(&Nonce::<Aes256Gcm>::from(nonce), payload).expect("far below the limit of GCM");
    out.extend(nonce);
    out.extend(text);
    Sealed(out)
}

pub(super) fn key_id(sealed: &Sealed) -> Result<DataKeyId, Error> {
    let bytes = sealed.as_bytes();
    match bytes.first() {
        None => Err(Error::Truncated),
        Some(&FORMAT) if bytes.len() < 17 => Err(Error::Truncated),
        Some(&FORMAT) => Ok(sealed.data_key()),
        Some(&other) => Err(Error::UnknownFormat(other)),
    }
}

pub(super) fn open(key: &DataKey, place: &Place, sealed: &Sealed) -> Result<SecretBytes, Error> {
    let bytes = sealed.as_bytes();
    let (header, body) = bytes.split_at_checked(HEADER).ok_or(Error::Truncated)?;
    if header[17..17 + TAG] != place.tag() {
        return Err(Error::Moved);
    }
    let length = u32::from_be_bytes(header[17 + TAG..].try_into().expect("four bytes are left"));
    if body.len() != length as usize {
        return Err(Error::Truncated);
    }
    let (nonce, text) = body.split_at_checked(NONCE).ok_or(Error::Truncated)?;
    let nonce = Nonce::<Aes256Gcm>::try_from(nonce).map_err(|_| Error::Truncated)?;
    let payload = Payload { msg: text, aad: &associated_data(header, place) };
    cipher(key, place).decrypt(&nonce, payload).map(SecretBytes::new).map_err(|_| Error::Tampered)
}

fn associated_data(header: &[u8], place: &Place) -> Vec<u8> {
    [header, place.bytes()].concat()
}

fn cipher(key: &DataKey, place: &Place) -> Aes256Gcm {
    let mut derived = Zeroizing::new([0; 32]);
    let extracted = hkdf::Salt::new(hkdf::HKDF_SHA256, LABEL).extract(key.expose());
    extracted
        .expand(&[place.bytes()], hkdf::HKDF_SHA256)
        .and_then(|okm| okm.fill(derived.as_mut()))
        .expect("32 bytes are within what HKDF gives");
    Aes256Gcm::new(&Key::<Aes256Gcm>::from(*derived))
}

const FORMAT: u8 = 1;
const LABEL: &[u8] = b"credsmith sealed v1";
const NONCE: usize = 12;
const GCM_TAG: usize = 16;
const HEADER: usize = 1 + 16 + TAG + 4;
