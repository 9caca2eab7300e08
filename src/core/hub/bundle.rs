//! A certificate with what verifies it, for whoever mounts it.

use super::{Error, Hub, Version, authority};
use crate::{
    domain::{SecretText, Value},
    material::{
        Bundle, Certificate,
        chain::{Chain, joined},
    },
    store::VersionRow,
};

impl Hub {
    /// The parts of a certificate for a Secret (custom resources, section 4.1); `None` for a version of another type.
    ///
    /// What is added to the version are certificates of its signers, which are public: nobody is asked who may.
    pub async fn bundle(&self, version: &Version) -> Result<Option<Bundle>, Error> {
        let Value::Certificate(of) = &version.value else { return Ok(None) };
        let Some(certificate) = Certificate::first(of.certificate.expose()) else { return Ok(None) };
        let given = of.ca.as_ref().map(|ca| Certificate::all(ca.expose())).unwrap_or_default();
        let mut known = Certificate::all(of.certificate.expose());
        known.extend(given.iter().cloned());
        let mut transitional = version.row.facts.trusted_ca.as_deref().map(Certificate::all).unwrap_or_default();
        transitional.extend(self.transitional(&version.row).await?);
        let mut signer = version.row.facts.signer;
        for _ in 0..MOST_SIGNERS {
            // A signer that was deleted is not known any more: the certificates that were kept with the version remain.
            let Some(id) = signer else { break };
            let Some(row) = self.store.version(id).await? else { break };
            transitional.extend(self.transitional(&row).await?);
            signer = row.facts.signer;
            if let Value::Certificate(of) = &self.open(row)?.value {
                known.extend(Certificate::all(of.certificate.expose()));
                known.extend(of.ca.as_ref().map(|ca| Certificate::all(ca.expose())).unwrap_or_default());
            }
        }
        let chain = Chain::find(&certificate, &known);
        // Where the way does not end in a root, what was given for the CA is the best there is.
        let mut trusted = chain.root.clone().map_or(given, |root| vec![root]);
        trusted.extend(transitional);
        Ok(Some(Bundle {
            certificate: chain.full(&of.certificate),
            private_key: of.private_key.as_ref().map(SecretText::duplicate),
            ca: joined(&trusted),
        }))
    }

    /// The certificate that a CA has beside its active one, while it changes from the one to the other.
    async fn transitional(&self, row: &VersionRow) -> Result<Option<Certificate>, Error> {
        if !row.facts.is_ca {
            return Ok(None);
        }
        let other = self.active_rows(&row.name).await?.transitional;
        let version = other.filter(|other| other.id != row.id).map(|other| self.open(other)).transpose()?;
        Ok(version.as_ref().and_then(authority::read).map(|(_, certificate)| certificate))
    }
}

/// More than any chain has.
const MOST_SIGNERS: usize = 16;
