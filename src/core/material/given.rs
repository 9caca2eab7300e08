//! What a certificate must be that somebody gives (spec section 3.8). What is accepted is kept as it was given, byte for
//! byte: no PEM is written again, no key changes its form.

use super::{key, x509::Certificate};
use crate::domain::{SecretText, value};

/// A certificate as it was given; an empty text is an absent one.
#[derive(Debug)]
pub struct GivenCertificate {
    pub ca: Option<SecretText>,
    /// The name of a credential that stands for `ca`.
    pub ca_name: Option<String>,
    pub certificate: Option<SecretText>,
    pub private_key: Option<SecretText>,
    /// The model keeps it; nothing is signed with such a version.
    pub transitional: bool,
}

/// Which private keys may be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcceptedKeys {
    /// Over the API, whose clients know no other.
    Rsa,
    /// In a manifest: RSA, the curves of NIST and Ed25519.
    All,
}

/// Why what was given is refused. Some texts are compared by clients, to the letter (spec section 12.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("At least one certificate attribute must be set. Please validate your input and retry your request.")]
    Nothing,
    #[error("the certificate is missing: give it beside what belongs to it")]
    NoCertificate,
    #[error("ca and ca_name cannot be combined: give one of them")]
    CaAndCaName,
    #[error("certificate is no X.509 certificate in PEM")]
    Certificate,
    #[error("{0} is longer than 7000 bytes: give one certificate without text around it")]
    TooLong(&'static str),
    #[error("ca is no certificate of a CA: its basic constraints must say so")]
    NotCa,
    #[error("ca did not sign the certificate: give the certificate of the CA that did")]
    NotSignedByCa,
    #[error(
        "the CA that ca_name names did not sign the certificate: name the one that did, or give its certificate in ca"
    )]
    NotSignedByCaName,
    #[error("private_key does not belong to the certificate: give the key it was made for")]
    OtherKey,
    #[error("Private key is malformed. Its PEM is broken: give it whole, from its BEGIN line to its END line.")]
    KeyBroken,
    #[error("Private key is malformed. Key file is not in PKCS#1 or unencrypted PKCS#8 format")]
    KeyForm,
    #[error("Private key is malformed. Key file does not contain an RSA private key")]
    KeyNotRsa,
    #[error(
        "Private key is malformed. It is no RSA key, no key on P-256, P-384 or P-521 and no Ed25519 key that can be used"
    )]
    KeyUnusable,
}

impl GivenCertificate {
    /// The same with empty texts taken for absent ones.
    pub fn tidy(self) -> Self {
        let text = |text: Option<SecretText>| text.filter(|text| !text.is_empty());
        Self {
            ca: text(self.ca),
            ca_name: self.ca_name.filter(|name| !name.is_empty()),
            certificate: text(self.certificate),
            private_key: text(self.private_key),
            transitional: self.transitional,
        }
    }

    /// Everything but what the CA of `ca_name` says about it. `self` is [`tidy`](Self::tidy).
    pub fn check(&self, accepted: AcceptedKeys) -> Result<Certificate, Refused> {
        let Some(text) = &self.certificate else {
            let nothing = self.ca.is_none() && self.private_key.is_none();
            return Err(if nothing { Refused::Nothing } else { Refused::NoCertificate });
        };
        if self.ca.is_some() && self.ca_name.is_some() {
            return Err(Refused::CaAndCaName);
        }
        let certificate = Certificate::first(text.expose()).ok_or(Refused::Certificate)?;
        for (field, text) in [("certificate", Some(text)), ("ca", self.ca.as_ref())] {
            if text.is_some_and(|text| text.expose().len() > MAX_PEM) {
                return Err(Refused::TooLong(field));
            }
        }
        if let Some(ca) = &self.ca {
            let issuer = Certificate::first(ca.expose()).ok_or(Refused::NotSignedByCa)?;
            if !certificate.is_signed_by(&issuer) {
                return Err(Refused::NotSignedByCa);
            }
            if issuer.der() != certificate.der() && !issuer.is_ca {
                return Err(Refused::NotCa);
            }
        }
        if let Some(private) = &self.private_key {
            check_key(&certificate, private, accepted)?;
        }
        Ok(certificate)
    }

    /// What is kept. `ca` is the certificate that `ca_name` stands for, where one does.
    pub fn into_value(self, ca: Option<SecretText>) -> Option<value::Certificate> {
        let (ca, private_key) = (self.ca.or(ca), self.private_key);
        Some(value::Certificate { ca, certificate: self.certificate?, private_key })
    }
}

fn check_key(certificate: &Certificate, private: &SecretText, accepted: AcceptedKeys) -> Result<(), Refused> {
    let half = key::public_half(private).map_err(|error| match (error, accepted) {
        (key::Error::Broken, _) => Refused::KeyBroken,
        (key::Error::Form, _) => Refused::KeyForm,
        (key::Error::Unusable, AcceptedKeys::Rsa) => Refused::KeyNotRsa,
        (key::Error::Unusable, AcceptedKeys::All) => Refused::KeyUnusable,
    })?;
    let (spki, is_rsa) = half;
    if !is_rsa && accepted == AcceptedKeys::Rsa {
        return Err(Refused::KeyNotRsa);
    }
    if certificate.has_key(&spki) { Ok(()) } else { Err(Refused::OtherKey) }
}

/// Bytes of a certificate's PEM.
const MAX_PEM: usize = 7000;

#[cfg(test)]
#[path = "given/tests.rs"]
mod tests;
