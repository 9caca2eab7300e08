//! What requests say about keys and certificates (spec sections 3.4, 3.5 and 3.8).

use std::str::FromStr;

use credsmith_core::{
    domain::parameters::{
        CertificateParameters, Refusal, RsaParameters, SshParameters, Words,
        certificate::{DAY, KeyKind, Subject},
        rsa::RsaSize,
    },
    hub::Given,
    material::given::GivenCertificate,
};

use super::{body::Object, error::Error};

/// `parameters` of an rsa.
pub(super) fn rsa(given: &Object<'_>) -> Result<RsaParameters, Error> {
    given.only(&["key_length"]).map_err(Error::bad_request)?;
    Ok(RsaParameters { key_length: key_length(given)? })
}

/// `parameters` of an ssh.
pub(super) fn ssh(given: &Object<'_>) -> Result<SshParameters, Error> {
    given.only(&["key_length", "ssh_comment"]).map_err(Error::bad_request)?;
    Ok(SshParameters { algorithm: None, key_length: key_length(given)?, comment: given.text("ssh_comment")? })
}

/// `parameters` of a certificate.
pub(super) fn certificate(given: &Object<'_>) -> Result<CertificateParameters, Error> {
    const KNOWN: &[&str] = &[
        "common_name",
        "organization",
        "organization_unit",
        "locality",
        "state",
        "country",
        "alternative_names",
        "key_usage",
        "extended_key_usage",
        "key_length",
        "duration",
        "ca",
        "is_ca",
        "self_sign",
    ];
    given.only(KNOWN).map_err(Error::bad_request)?;
    Ok(CertificateParameters {
        subject: Subject {
            common_name: given.text("common_name")?,
            organization: given.text("organization")?,
            organization_unit: given.text("organization_unit")?,
            locality: given.text("locality")?,
            state: given.text("state")?,
            country: given.text("country")?,
        },
        alternative_names: parsed(given, "alternative_names")?,
        key_usage: parsed(given, "key_usage")?,
        extended_key_usage: parsed(given, "extended_key_usage")?,
        is_ca: given.strict_boolean("is_ca")?.unwrap_or(false),
        path_length: None,
        ca: given.text("ca")?.filter(|name| !name.is_empty()),
        self_sign: given.strict_boolean("self_sign")?.unwrap_or(false),
        duration: given.integer("duration")?.map(duration).transpose()?,
        key: key_length(given)?.map(KeyKind::Rsa),
    })
}

/// `value` of an rsa.
pub(super) fn given_rsa(object: &Object<'_>) -> Result<Given, Error> {
    let value = value(object)?;
    value.only(&["public_key", "private_key"]).map_err(Error::unprocessable)?;
    Ok(Given::Rsa { public_key: value.secret("public_key")?, private_key: value.secret("private_key")? })
}

/// `value` of an ssh.
pub(super) fn given_ssh(object: &Object<'_>) -> Result<Given, Error> {
    let value = value(object)?;
    // A fingerprint comes back from exports; the one that counts is made from the key.
    value.only(&["public_key", "private_key", "public_key_fingerprint"]).map_err(Error::unprocessable)?;
    Ok(Given::Ssh { public_key: value.secret("public_key")?, private_key: value.secret("private_key")? })
}

/// `value` of a certificate.
pub(super) fn given_certificate(object: &Object<'_>) -> Result<Given, Error> {
    const KNOWN: &[&str] = &[
        "ca",
        "ca_name",
        "certificate",
        "private_key",
        "transitional",
        "certificate_authority",
        "self_signed",
        "generated",
    ];
    let value = value(object)?;
    value.only(KNOWN).map_err(Error::unprocessable)?;
    // What can be told from the certificate is told from it, whatever is claimed (spec section 11.2).
    for claimed in ["certificate_authority", "self_signed"] {
        value.strict_boolean(claimed)?;
    }
    value.boolean("generated")?;
    Ok(Given::Certificate(GivenCertificate {
        ca: value.secret("ca")?,
        ca_name: value.text("ca_name")?,
        certificate: value.secret("certificate")?,
        private_key: value.secret("private_key")?,
        transitional: value.strict_boolean("transitional")?.unwrap_or(false),
    }))
}

fn value<'a>(object: &Object<'a>) -> Result<Object<'a>, Error> {
    let missing = || Error::bad_request("the value is missing or empty: give one");
    object.object("value", "value.")?.ok_or_else(missing)
}

fn key_length(given: &Object<'_>) -> Result<Option<RsaSize>, Error> {
    given.integer("key_length")?.map(|bits| RsaSize::from_bits(bits.into()).map_err(refused)).transpose()
}

/// Whole days to seconds. What does not fit is out of range.
fn duration(days: i32) -> Result<u32, Error> {
    let days = u32::try_from(days).ok().filter(|days| (1..=3650).contains(days));
    days.map(|days| days * DAY).ok_or_else(|| refused(Refusal::Duration))
}

/// A list of words; absent, null and empty are the same (spec section 11.2).
fn parsed<T: FromStr<Err = Refusal>>(given: &Object<'_>, key: &str) -> Result<Vec<T>, Error> {
    let words = given.texts(key)?.unwrap_or_default();
    words.iter().map(|word| word.parse().map_err(refused)).collect()
}

fn refused(refusal: Refusal) -> Error {
    Error::bad_request(refusal.text(Words::Api))
}
