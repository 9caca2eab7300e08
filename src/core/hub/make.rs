//! Parameters make a value: what can be said no to first, then the key.

use std::sync::Arc;

use super::{Caller, Error, Hub, SignerFault, Who, authority::Authority};
use crate::{
    domain::{
        KeyPair, Parameters, SecretText, Value,
        generate::generate,
        parameters::{
            ParametersOf,
            certificate::{CertificateRules, KeyKind, Signer, days},
            ssh::{SshKey, SshRules},
        },
        value,
    },
    material::{
        Certificate, FreshKey, PrivateKey,
        issue::{self, Issuer, Validity},
        ssh,
    },
    store::Facts,
};

/// A value that was made or given, and what is known about it.
#[derive(Debug)]
pub(super) struct Made {
    pub value: Value,
    pub facts: Facts,
    pub issued: Option<Issued>,
}

/// How a certificate was issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Issued {
    /// Whether an installation's minimum changed what was asked for.
    pub duration_overridden: bool,
    /// In days, rounded up.
    pub duration_used: u32,
    /// Whether it was cut to the end of its signer.
    pub duration_cut: bool,
}

/// What is going to be made. Everything that can be refused has been.
#[derive(Debug)]
pub(super) enum Plan {
    Value(Value),
    Rsa(crate::domain::parameters::rsa::RsaSize),
    Ssh(SshRules),
    Certificate(Box<CertificatePlan>),
}

#[derive(Debug)]
pub(super) struct CertificatePlan {
    rules: CertificateRules,
    validity: Validity,
    /// `None`: it signs itself.
    signer: Option<(Authority, PrivateKey)>,
    issued: Issued,
}

impl From<Value> for Made {
    fn from(value: Value) -> Self {
        Self { value, facts: Facts::default(), issued: None }
    }
}

impl Hub {
    /// Checks the parameters and looks up the signer.
    pub(super) async fn plan(&self, caller: &Caller, parameters: &Parameters) -> Result<Plan, Error> {
        if let Some(value) = generate(parameters, self.entropy.as_ref())? {
            return Ok(Plan::Value(value));
        }
        let model = parameters.model;
        match &parameters.of {
            ParametersOf::Rsa(of) => Ok(Plan::Rsa(of.size(model))),
            ParametersOf::Ssh(of) => Ok(Plan::Ssh(of.rules(model).map_err(crate::domain::parameters::Error::from)?)),
            ParametersOf::Certificate(of) => {
                let rules = of.rules(model).map_err(crate::domain::parameters::Error::from)?;
                self.certificate_plan(caller, rules).await.map(|plan| Plan::Certificate(Box::new(plan)))
            }
            ParametersOf::Password(_) | ParametersOf::User(_) => unreachable!("dice were enough for these"),
        }
    }

    async fn certificate_plan(&self, caller: &Caller, rules: CertificateRules) -> Result<CertificatePlan, Error> {
        let (rules, duration_overridden) = self.material.policy.apply(rules);
        let asked = Validity::starting(self.clock.now(), rules.duration);
        let mut validity = asked;
        let signer = match &rules.signer {
            Signer::Itself => None,
            Signer::Ca(name) => {
                let authority = self.authority(caller, name).await?;
                let key = authority.key()?;
                // A certificate of a resource never outlives its signer (custom resources, section 4.3); over the API it
                // may, since clients compare what they asked for with what they got (spec section 3.6).
                if matches!(caller.who, Who::Operator { .. }) {
                    let within = asked.within(&authority.certificate);
                    validity = within.ok_or_else(|| SignerFault::Expired(authority.typed.clone()))?;
                }
                Some((authority, key))
            }
        };
        let issued =
            Issued { duration_overridden, duration_used: days(rules.duration), duration_cut: validity != asked };
        Ok(CertificatePlan { rules, validity, signer, issued })
    }

    /// Makes what was planned. Keys are waited for, not made here.
    pub(super) async fn make(&self, plan: Plan) -> Result<Made, Error> {
        match plan {
            Plan::Value(value) => Ok(value.into()),
            Plan::Rsa(size) => {
                let key = self.material.keys.take(size).await?;
                let pair = KeyPair { public_key: Some(key.public_pem()), private_key: Some(key.private_pem()) };
                Ok(Value::Rsa(pair).into())
            }
            Plan::Ssh(SshRules { key, comment }) => {
                let pair = match key {
                    SshKey::Rsa(size) => ssh::rsa(&self.material.keys.take(size).await?, &comment),
                    SshKey::Ed25519 => ssh::ed25519(&comment, self.entropy.as_ref()),
                };
                Ok(Value::Ssh(pair).into())
            }
            Plan::Certificate(plan) => self.issue(*plan).await,
        }
    }

    async fn issue(&self, plan: CertificatePlan) -> Result<Made, Error> {
        let CertificatePlan { rules, validity, signer, issued } = plan;
        let rsa = match rules.key {
            KeyKind::Rsa(size) => Some(self.material.keys.take(size).await?),
            KeyKind::EcdsaP256 | KeyKind::EcdsaP384 => None,
        };
        let entropy = Arc::clone(&self.entropy);
        // A signature takes milliseconds: too long for a thread that answers others meanwhile.
        let work = move || {
            let fresh = match rsa {
                Some(key) => key.into_fresh(),
                None => FreshKey::on_curve(rules.key).expect("everything else is RSA"),
            };
            let FreshKey { pem, key } = fresh;
            let certificate = match &signer {
                Some((authority, signing)) => {
                    let issuer = Issuer { certificate: &authority.certificate, key: signing };
                    issue::signed_by(&issuer, &rules, &key.spki(), validity, entropy.as_ref())
                }
                None => issue::self_signed(&key, &rules, validity, entropy.as_ref()),
            };
            (pem, certificate, signer)
        };
        let (private_key, certificate, signer) = tokio::task::spawn_blocking(work)
            .await
            .map_err(|_| Error::Unavailable("the certificate could not be signed".to_owned()))?;
        let mut facts = facts(&certificate);
        facts.generated = Some(true);
        let text = SecretText::new(certificate.pem());
        let ca = match signer {
            Some((authority, _)) => {
                facts.ca_name = Some(authority.typed);
                facts.signer = Some(authority.version.row.id);
                facts.trusted_ca = authority.transitional.map(|pem| pem.expose().to_owned());
                authority.pem
            }
            None => {
                facts.self_signed = true;
                text.duplicate()
            }
        };
        let value = value::Certificate { ca: Some(ca), certificate: text, private_key: Some(private_key) };
        Ok(Made { value: Value::Certificate(value), facts, issued: Some(issued) })
    }
}

/// What a certificate says by itself. Who signed it, and whether that was itself, is for the caller to say.
pub(super) fn facts(certificate: &Certificate) -> Facts {
    Facts {
        expires: Some(certificate.not_after),
        is_ca: certificate.is_ca,
        key_usage: certificate.key_usage_words(),
        ..Facts::default()
    }
}
