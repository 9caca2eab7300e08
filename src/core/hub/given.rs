//! What was given becomes a value (spec section 3.8).

use super::{
    Caller, Error, Given, Hub, Who,
    authority::Authority,
    make::{Made, facts},
};
use crate::{
    domain::{CredentialName, Value},
    material::{
        Certificate,
        given::{AcceptedKeys, GivenCertificate, Refused},
    },
};

/// Something given of which everything has been checked that nobody else has to be asked for.
#[derive(Debug)]
pub(super) enum Checked {
    Other(Given),
    Certificate(Box<(GivenCertificate, Certificate)>),
}

impl Caller {
    /// Checks before anyone asks who may: a bad certificate is bad for everybody (spec section 3.5).
    pub(super) fn checked(&self, given: Given) -> Result<Checked, Error> {
        let Given::Certificate(given) = given else { return Ok(Checked::Other(given)) };
        let accepted = if self.accepts_foreign() { AcceptedKeys::All } else { AcceptedKeys::Rsa };
        let given = given.tidy();
        let certificate = given.check(accepted)?;
        Ok(Checked::Certificate(Box::new((given, certificate))))
    }

    /// Whether keys that are not RSA, and roots of version 1, are accepted: from a manifest. The API takes what CredHub's
    /// takes.
    pub(super) fn accepts_foreign(&self) -> bool {
        matches!(self.who, Who::Operator { .. })
    }
}

impl Hub {
    /// Fills in what follows from what was given, for the credential of that name.
    pub(super) async fn given(&self, caller: &Caller, name: &CredentialName, given: Checked) -> Result<Made, Error> {
        let (given, certificate) = match given {
            Checked::Other(given) => return self.value(given).map(Made::from),
            Checked::Certificate(checked) => *checked,
        };
        let mut facts = facts(&certificate);
        facts.generated = Some(false);
        facts.is_ca = certificate.may_sign(caller.accepts_foreign());
        facts.transitional = given.transitional;
        let mut ca = None;
        match &given.ca_name {
            Some(typed) => {
                let Authority { typed, version, certificate: issuer, pem, .. } = self.authority(caller, typed).await?;
                if !certificate.is_signed_by(&issuer) {
                    return Err(Refused::NotSignedByCaName.into());
                }
                facts.ca_name = Some(typed);
                facts.signer = Some(version.row.id);
                ca = Some(pem);
            }
            // A CA that signed itself is its own signer; another certificate that did has none.
            None if facts.is_ca && certificate.is_self_signed() => {
                facts.self_signed = true;
                facts.ca_name = Some(name.to_string());
            }
            None => {}
        }
        let value = given.into_value(ca).ok_or(Refused::NoCertificate)?;
        Ok(Made { value: Value::Certificate(value), facts, issued: None })
    }
}
