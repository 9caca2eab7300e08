//! The credential that signs (spec section 3.7).

use super::{Caller, Error, Hub, Version, active::ActiveRows};
use crate::{
    domain::{CredentialName, CredentialType, Operation, SecretText, Value},
    material::{Certificate, PrivateKey},
};

/// Why a certificate cannot be signed. Each names the signer as it was typed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignerFault {
    /// Not there, or not for this caller to read, or no certificate, or only a transitional one.
    #[error("the CA {0} does not exist, is no certificate, or you may not read it")]
    Missing(String),
    #[error("the certificate {0} is no CA: name a CA, or generate this one with is_ca")]
    NotCa(String),
    #[error("the CA {0} has no private key here, so it cannot sign: set it with its key")]
    NoKey(String),
    #[error(
        "the private key of the CA {0} cannot sign here: RSA of 2048 bits or more, P-256, P-384, P-521 and Ed25519 can"
    )]
    KeyUnusable(String),
    /// Told to the operator only: over the API a CA signs for as long as it is asked to, as CredHub's do.
    #[error("the CA {0} has expired: rotate it first")]
    Expired(String),
}

/// A CA that may be named.
#[derive(Debug)]
pub(super) struct Authority {
    /// With its leading slash.
    pub typed: String,
    /// Its active version.
    pub version: Version,
    pub certificate: Certificate,
    /// Its certificate as it is kept.
    pub pem: SecretText,
    /// The certificate of its transitional version.
    pub transitional: Option<SecretText>,
}

impl Hub {
    /// The newest active version of a CA that the caller may read.
    pub(super) async fn authority(&self, caller: &Caller, typed: &str) -> Result<Authority, Error> {
        let slash = if typed.starts_with('/') { "" } else { "/" };
        let typed = format!("{slash}{typed}");
        let missing = || SignerFault::Missing(typed.clone());
        let name: CredentialName = typed.parse().map_err(|_| missing())?;
        match self.require(caller, Operation::Read, &name).await {
            Err(Error::NotFound | Error::Denied) => return Err(missing().into()),
            other => other?,
        }
        let ActiveRows { active, transitional } = self.active_rows(&name).await?;
        let active = active.filter(|row| row.kind == CredentialType::Certificate).ok_or_else(missing)?;
        let version = self.open(active)?;
        let (pem, certificate) = read(&version).ok_or_else(missing)?;
        if !certificate.may_sign(caller.accepts_foreign()) {
            return Err(SignerFault::NotCa(typed).into());
        }
        let transitional = transitional.map(|row| self.open(row)).transpose()?;
        let transitional = transitional.as_ref().and_then(read).map(|(pem, _)| pem);
        Ok(Authority { typed, version, certificate, pem, transitional })
    }
}

impl Authority {
    /// The key it signs with.
    pub(super) fn key(&self) -> Result<PrivateKey, SignerFault> {
        let private = match &self.version.value {
            Value::Certificate(of) => of.private_key.as_ref(),
            _ => None,
        };
        let private = private.ok_or_else(|| SignerFault::NoKey(self.typed.clone()))?;
        PrivateKey::from_pem(private).map_err(|_| SignerFault::KeyUnusable(self.typed.clone()))
    }
}

/// The certificate of a version, as it is kept and as it reads.
pub(super) fn read(version: &Version) -> Option<(SecretText, Certificate)> {
    let Value::Certificate(of) = &version.value else { return None };
    Some((of.certificate.duplicate(), Certificate::first(of.certificate.expose())?))
}
