//! What stands between a certificate and its root (custom resources, section 4.1).

use super::x509::Certificate;
use crate::domain::SecretText;

/// The parts of a Secret of type kubernetes.io/tls, as PEM.
#[derive(Debug)]
pub struct Bundle {
    /// The certificate as it is kept, then its intermediates: `tls.crt`.
    pub certificate: SecretText,
    /// The key as it is kept: `tls.key`.
    pub private_key: Option<SecretText>,
    /// What verifies it: `ca.crt`. `None` where nothing is known that could.
    pub ca: Option<SecretText>,
}

/// The way up from a certificate.
#[derive(Clone, Debug, Default)]
pub struct Chain {
    /// From the one that signed the certificate upwards, without the root.
    pub intermediates: Vec<Certificate>,
    /// Where the way ends in a certificate that signed itself.
    pub root: Option<Certificate>,
}

impl Chain {
    /// Finds the way up among `known`, in whatever order they stand. It ends where nobody is known who signed.
    pub fn find(certificate: &Certificate, known: &[Certificate]) -> Self {
        let mut chain = Self::default();
        let mut at = certificate;
        // Each step takes one that is not in the chain, so that signers who signed each other end it too.
        while !at.is_self_signed() {
            let in_chain = |one: &Certificate| {
                one.der() == certificate.der() || chain.intermediates.iter().any(|other| other.der() == one.der())
            };
            let Some(issuer) = known.iter().find(|one| !in_chain(one) && at.is_issued_by(one)) else { return chain };
            if issuer.is_self_signed() {
                chain.root = Some(issuer.clone());
                return chain;
            }
            chain.intermediates.push(issuer.clone());
            at = issuer;
        }
        // Only a certificate that signed itself comes here.
        chain.root = Some(certificate.clone());
        chain
    }

    /// `certificate` as it is kept, then the intermediates that do not stand in it already.
    pub fn full(&self, certificate: &SecretText) -> SecretText {
        let mut text = certificate.expose().to_owned();
        let there = Certificate::all(&text);
        for intermediate in &self.intermediates {
            if there.iter().any(|one| one.der() == intermediate.der()) {
                continue;
            }
            if !text.ends_with('\n') {
                text.push('\n');
            }
            text.push_str(&intermediate.pem());
        }
        SecretText::new(text)
    }
}

/// Certificates one after the other, each once, in their order.
pub fn joined(certificates: &[Certificate]) -> Option<SecretText> {
    let mut seen: Vec<&[u8]> = Vec::new();
    let mut text = String::new();
    for certificate in certificates {
        if !seen.contains(&certificate.der()) {
            seen.push(certificate.der());
            text.push_str(&certificate.pem());
        }
    }
    (!text.is_empty()).then(|| SecretText::new(text))
}
