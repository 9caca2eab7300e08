//! The decoded contents of a certificate, as the recording tells them.

use jiff::Timestamp;
use serde_json::{Value, json};
use x509_parser::{
    asn1_rs::Tag,
    certificate::X509Certificate,
    extensions::{GeneralName, ParsedExtension},
    prelude::FromDer,
    public_key::PublicKey,
    x509::X509Name,
};

use credsmith_core::material::{Certificate, issue::key_identifier};

/// Everything about a certificate that the recording compares. `signers` may have signed it.
pub fn of<'a>(pem: &str, signers: impl Iterator<Item = (String, &'a str)>, now: Timestamp) -> Value {
    let certificate = Certificate::first(pem).unwrap();
    let (_, read) = X509Certificate::from_der(certificate.der()).unwrap();
    let key = match read.public_key().parsed().unwrap() {
        PublicKey::RSA(key) => json!(["rsa", key.key_size(), key.try_exponent().unwrap()]),
        _ => json!(["other"]),
    };
    let validity = certificate.not_after.duration_since(certificate.not_before).as_secs();
    let signer = if certificate.is_self_signed() {
        Some(("self".to_owned(), certificate.clone()))
    } else {
        let mut signers = signers.filter_map(|(name, pem)| Some((name, Certificate::first(pem)?)));
        signers.find(|(_, signer)| certificate.is_signed_by(signer))
    };
    let mut facts = json!({
        "version": read.version().0 + 1,
        "signature": if read.signature_algorithm.algorithm.to_id_string() == "1.2.840.113549.1.1.11" {
            "sha256WithRSAEncryption"
        } else {
            "another"
        },
        "serial_positive": read.raw_serial()[0] < 0x80,
        "serial_bits_at_most_159": read.raw_serial().len() <= 20,
        "subject": name(read.subject()),
        "issuer": name(read.issuer()),
        "validity_seconds": validity,
        "not_before_is_now": certificate.not_before.duration_since(now).abs().as_secs() < 600,
        "key": key,
        "extensions": read.extensions().iter().map(|one| json!([extension(&one.oid.to_id_string()), one.critical])).collect::<Vec<_>>(),
        "ski_is_sha1_of_key": certificate.ski.as_deref() == Some(&key_identifier(&certificate.spki)),
        "signed_by": signer.as_ref().map(|(name, _)| name),
        "issuer_bytes_equal_signer_subject": signer.as_ref().is_some_and(|(_, signer)| signer.subject == certificate.issuer),
        "aki": null,
    });
    for one in read.extensions() {
        match one.parsed_extension() {
            ParsedExtension::SubjectAlternativeName(names) => {
                facts["san"] = names.general_names.iter().map(alternative).collect();
            }
            ParsedExtension::KeyUsage(_) => {
                let words = certificate.key_usage.iter().flatten().map(|usage| usage.as_str());
                facts["key_usage"] = words.collect();
            }
            ParsedExtension::ExtendedKeyUsage(_) => facts["extended_key_usage"] = purposes(one.value),
            ParsedExtension::BasicConstraints(of) => {
                facts["basic_constraints"] = json!({"ca": of.ca, "path_length": of.path_len_constraint});
            }
            ParsedExtension::AuthorityKeyIdentifier(aki) => {
                let id = aki.key_identifier.as_ref().map(|id| id.0.to_vec());
                let fits = signer.as_ref().is_some_and(|(_, signer)| signer.ski == id);
                facts["aki"] = json!({
                    "key_id_is_signer_ski": fits,
                    "issuer_and_serial": aki.authority_cert_serial.is_some() || aki.authority_cert_issuer.is_some(),
                });
            }
            _ => {}
        }
    }
    facts
}

fn name(name: &X509Name<'_>) -> Value {
    let part = |part: &x509_parser::x509::AttributeTypeAndValue<'_>| {
        let kind = match part.attr_value().header.tag() {
            Tag::PrintableString => "PrintableString",
            Tag::Utf8String => "UTF8String",
            _ => "another",
        };
        let short = match part.attr_type().to_id_string().as_str() {
            "2.5.4.3" => "CN",
            "2.5.4.6" => "C",
            "2.5.4.7" => "L",
            "2.5.4.8" => "ST",
            "2.5.4.10" => "O",
            "2.5.4.11" => "OU",
            _ => "another",
        };
        json!([short, part.as_str().unwrap(), kind])
    };
    name.iter_attributes().map(part).collect()
}

fn extension(oid: &str) -> &str {
    match oid {
        "2.5.29.14" => "subjectKeyIdentifier",
        "2.5.29.17" => "subjectAltName",
        "2.5.29.15" => "keyUsage",
        "2.5.29.37" => "extendedKeyUsage",
        "2.5.29.35" => "authorityKeyIdentifier",
        "2.5.29.19" => "basicConstraints",
        other => other,
    }
}

fn alternative(name: &GeneralName<'_>) -> Value {
    match name {
        GeneralName::DNSName(name) => json!(["dns", name]),
        GeneralName::IPAddress(bytes) => {
            let address = match <[u8; 4]>::try_from(*bytes) {
                Ok(four) => std::net::IpAddr::from(four).to_string(),
                Err(_) => v6(<[u8; 16]>::try_from(*bytes).unwrap()),
            };
            json!(["ip", address])
        }
        other => json!([format!("{other:?}")]),
    }
}

/// As the recording writes it: an address of version 4 inside stays in hexadecimal.
fn v6(bytes: [u8; 16]) -> String {
    let address = std::net::Ipv6Addr::from(bytes);
    match address.to_ipv4_mapped() {
        Some(_) => format!("::ffff:{:x}:{:x}", address.segments()[6], address.segments()[7]),
        None => address.to_string(),
    }
}

/// In the order of the certificate: each purpose is `06 08 2b 06 01 05 05 07 03 xx`.
fn purposes(value: &[u8]) -> Value {
    let last = value[2..].chunks(10).map(|purpose| purpose[9]);
    let word = |last: u8| match last {
        1 => "server_auth",
        2 => "client_auth",
        3 => "code_signing",
        4 => "email_protection",
        8 => "timestamping",
        _ => "another",
    };
    last.map(word).collect()
}
