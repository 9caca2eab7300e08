//! What a value is generated from, as a manifest says it.

use std::collections::BTreeMap;

use credsmith_core::domain::{
    CredentialName, CredentialType, Parameters,
    parameters::{
        CertificateParameters, ParametersOf, PasswordParameters, Refusal as Broken, RsaParameters, SshParameters,
        UserParameters,
        alternative_name::AlternativeName,
        certificate::{KeyKind, Subject},
        rsa::RsaSize,
        ssh::SshAlgorithm,
    },
};

use super::Refusal;
use crate::credential::{
    Credential,
    rotation::duration,
    spec::{CertificateBlock, CredentialSpec, PasswordBlock, PasswordRecipe, SignerRef},
};

/// The parameters; `None` for a type that is never generated.
pub fn parameters(spec: &CredentialSpec, kind: CredentialType, namespace: &str) -> Result<Option<Parameters>, Refusal> {
    let (parameters, field) = match kind {
        CredentialType::Password => {
            let recipe = spec.password.as_ref().map(PasswordBlock::recipe).unwrap_or_default();
            (Parameters::password(password(&recipe)), "spec.password")
        }
        CredentialType::User => {
            let block = spec.user.clone().unwrap_or_default();
            let password = password(&block.password.unwrap_or_default());
            (Parameters::user(UserParameters { username: block.username, password }), "spec.user")
        }
        CredentialType::Rsa => {
            let key_length = spec.rsa.as_ref().and_then(|block| block.key_length);
            let key_length = key_length.map(|bits| size(bits, "spec.rsa")).transpose()?;
            (Parameters::rsa(RsaParameters { key_length }), "spec.rsa")
        }
        CredentialType::Ssh => (Parameters::ssh(ssh(spec)?), "spec.ssh"),
        CredentialType::Certificate => {
            let block = spec.certificate.clone().unwrap_or_default();
            (Parameters::certificate(certificate(block, namespace)?), "spec.certificate")
        }
        CredentialType::Value | CredentialType::Json | CredentialType::Provider => return Ok(None),
    };
    parameters.check().map_err(|error| Refusal::Invalid(format!("{field}: {error}")))?;
    Ok(Some(parameters))
}

/// The path of the credential that signs, where another one does.
pub fn signer(parameters: &Parameters) -> Option<CredentialName> {
    let ParametersOf::Certificate(certificate) = &parameters.of else { return None };
    certificate.ca.as_ref()?.parse().ok()
}

/// The same of an object, whether or not the rest of it can be parsed.
pub fn signer_of(object: &Credential) -> Option<CredentialName> {
    let signer = object.spec.certificate.as_ref()?.signed_by.clone()?;
    path_of_signer(signer, object.metadata.namespace.as_deref()?).ok()?.parse().ok()
}

/// What absent fields came to mean.
pub fn effective(parameters: &Parameters) -> BTreeMap<String, String> {
    let model = parameters.model;
    let one = |field: &str, text: String| BTreeMap::from([(field.to_owned(), text)]);
    let length = |password: &PasswordParameters| {
        password.rules(model).map(|rules| one("length", rules.length.to_string())).unwrap_or_default()
    };
    match &parameters.of {
        ParametersOf::Password(of) => length(of),
        ParametersOf::User(of) => length(&of.password),
        ParametersOf::Rsa(of) => one("keyLength", of.size(model).bits().to_string()),
        ParametersOf::Ssh(of) => {
            let algorithm = of.algorithm.unwrap_or_default();
            let mut all = one("algorithm", algorithm.as_str().to_owned());
            if algorithm == SshAlgorithm::Rsa {
                all.insert("keyLength".into(), of.key_length.unwrap_or_default().bits().to_string());
            }
            all
        }
        ParametersOf::Certificate(of) => of.rules(model).map_or_else(
            |_| BTreeMap::new(),
            |rules| {
                let mut all = one("key.algorithm", rules.key.as_str().to_owned());
                all.insert("duration".into(), format!("{}h", rules.duration / 3600));
                all
            },
        ),
    }
}

fn certificate(block: CertificateBlock, namespace: &str) -> Result<CertificateParameters, Refusal> {
    let dns = block.dns_names.into_iter().flatten().map(|name| AlternativeName::dns(&name));
    let ip = block.ip_addresses.into_iter().flatten().map(|address| AlternativeName::ip(&address));
    let alternative_names = dns.chain(ip).collect::<Result<_, _>>().map_err(broken)?;
    let lifetime = block.duration.map(|text| seconds(&text)).transpose()?;
    let key = block.key.and_then(|key| key.algorithm).map(|algorithm| word(&algorithm));
    Ok(CertificateParameters {
        subject: Subject {
            common_name: block.common_name,
            organization: block.organization,
            organization_unit: block.organization_unit,
            locality: block.locality,
            state: block.state,
            country: block.country,
        },
        alternative_names,
        key_usage: words(block.key_usage)?,
        extended_key_usage: words(block.extended_key_usage)?,
        is_ca: block.is_ca.unwrap_or(false),
        path_length: block.path_length.map(|length| u8::try_from(length).unwrap_or(u8::MAX)),
        ca: block.signed_by.map(|signer| path_of_signer(signer, namespace)).transpose()?,
        self_sign: block.self_sign.unwrap_or(false),
        duration: lifetime,
        key: key
            .map(KeyKind::try_from)
            .transpose()
            .map_err(|error| Refusal::Invalid(format!("spec.certificate.key.algorithm: {error}")))?,
    })
}

/// Until credentials can be granted to other namespaces, the one that signs is a neighbour.
fn path_of_signer(signer: SignerRef, namespace: &str) -> Result<String, Refusal> {
    let path = match (signer.name, signer.path) {
        (Some(name), None) => format!("/{namespace}/{name}"),
        (None, Some(path)) => path,
        _ => return Err(Refusal::Invalid("spec.certificate.signedBy: give either name or path".into())),
    };
    let name: CredentialName =
        path.parse().map_err(|error| Refusal::Invalid(format!("spec.certificate.signedBy: {error}")))?;
    if name.is_within(namespace) {
        return Ok(name.to_string());
    }
    Err(Refusal::Policy(format!(
        "spec.certificate.signedBy {name} lies outside /{namespace}/: an object may only be signed by a credential of its \
         own namespace"
    )))
}

fn ssh(spec: &CredentialSpec) -> Result<SshParameters, Refusal> {
    let block = spec.ssh.clone().unwrap_or_default();
    let algorithm = block.algorithm.map(|algorithm| word(&algorithm));
    Ok(SshParameters {
        algorithm: algorithm.and_then(|word| SshAlgorithm::parse(&word)),
        key_length: block.key_length.map(|bits| size(bits, "spec.ssh")).transpose()?,
        comment: block.comment,
    })
}

/// An absent length is the default's, and one that came past the schema is refused.
fn size(bits: i32, field: &str) -> Result<RsaSize, Refusal> {
    RsaSize::from_bits(bits.into()).map_err(|error| Refusal::Invalid(format!("{field}: {error}")))
}

fn seconds(text: &str) -> Result<u32, Refusal> {
    let seconds = duration(text).and_then(|lifetime| u32::try_from(lifetime.as_secs()).ok());
    seconds.ok_or_else(|| broken(Broken::Duration))
}

fn words<W: serde::Serialize, K: serde::de::DeserializeOwned>(given: Option<Vec<W>>) -> Result<Vec<K>, Refusal> {
    let all = given.iter().flatten().map(|given| serde_json::from_value(word(given).into()));
    all.collect::<Result<_, _>>().map_err(|error| Refusal::Invalid(format!("spec.certificate: {error}")))
}

/// A word of the schema as it is written.
fn word(word: &impl serde::Serialize) -> String {
    serde_json::to_value(word).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

fn broken(refusal: Broken) -> Refusal {
    Refusal::Invalid(format!("spec.certificate: {refusal}"))
}

fn password(recipe: &PasswordRecipe) -> PasswordParameters {
    // The schema keeps these between 0 and 200; what came past it is refused by the rules as out of range.
    let number = |n: Option<i32>| n.map(|n| u16::try_from(n).unwrap_or(u16::MAX));
    PasswordParameters {
        length: number(recipe.length),
        exclude_upper: recipe.exclude_upper,
        exclude_lower: recipe.exclude_lower,
        exclude_number: recipe.exclude_number,
        include_special: recipe.include_special,
        min_upper: number(recipe.min_upper),
        min_lower: number(recipe.min_lower),
        min_digit: number(recipe.min_digit),
        min_symbol: number(recipe.min_symbol),
        symbols: recipe.symbols.clone(),
        exclude_ambiguous: recipe.exclude_ambiguous,
    }
}

impl PasswordBlock {
    fn recipe(&self) -> PasswordRecipe {
        PasswordRecipe {
            length: self.length,
            exclude_upper: self.exclude_upper,
            exclude_lower: self.exclude_lower,
            exclude_number: self.exclude_number,
            include_special: self.include_special,
            min_upper: self.min_upper,
            min_lower: self.min_lower,
            min_digit: self.min_digit,
            min_symbol: self.min_symbol,
            symbols: self.symbols.clone(),
            exclude_ambiguous: self.exclude_ambiguous,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parsed(spec: serde_json::Value) -> Result<Parameters, String> {
        let spec: CredentialSpec = serde_json::from_value(spec).unwrap();
        let kind = crate::credential::parse::kind(spec.type_);
        parameters(&spec, kind, "shop").map(Option::unwrap).map_err(|refusal| refusal.to_string())
    }

    #[test]
    fn a_certificate_is_read_whole() {
        let parameters = parsed(json!({"type": "certificate", "certificate": {
            "commonName": "orders", "organization": "Shop", "organizationUnit": "IT", "locality": "Paris", "state": "IdF",
            "country": "FR", "dnsNames": ["orders.shop.svc", "*.orders"], "ipAddresses": ["10.0.0.1", "::1"],
            "keyUsage": ["digital_signature", "crl_sign"], "extendedKeyUsage": ["server_auth"], "isCA": true,
            "pathLength": 1, "signedBy": {"name": "shop-ca"}, "duration": "90m", "key": {"algorithm": "ecdsa-p384"},
        }}))
        .unwrap();
        assert_eq!(signer(&parameters).unwrap().as_str(), "/shop/shop-ca");
        let ParametersOf::Certificate(of) = &parameters.of else { panic!("{parameters:?}") };
        assert_eq!(of.alternative_names.len(), 4);
        assert_eq!((of.key, of.duration, of.path_length), (Some(KeyKind::EcdsaP384), Some(5400), Some(1)));
        assert_eq!((of.key_usage.len(), of.extended_key_usage.len(), of.is_ca), (2, 1, true));
        let expected = [("duration", "1h"), ("key.algorithm", "ecdsa-p384")];
        assert_eq!(effective(&parameters), expected.map(|(k, v)| (k.to_owned(), v.to_owned())).into());
    }

    #[test]
    fn defaults_are_shown_by_type() {
        let shown = |spec| effective(&parsed(spec).unwrap());
        let of = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        assert_eq!(shown(json!({"type": "rsa"})), of(&[("keyLength", "2048")]));
        assert_eq!(shown(json!({"type": "ssh"})), of(&[("algorithm", "rsa"), ("keyLength", "2048")]));
        assert_eq!(shown(json!({"type": "ssh", "ssh": {"algorithm": "ed25519"}})), of(&[("algorithm", "ed25519")]));
        let ca = json!({"type": "certificate", "certificate": {"commonName": "ca", "isCA": true}});
        assert_eq!(shown(ca), of(&[("duration", "8760h"), ("key.algorithm", "rsa-2048")]));
    }

    #[test]
    fn ten_thousand_names_are_refused_where_a_schema_let_them_through() {
        let names: Vec<_> = (0..10_000).map(|nth| format!("n{nth}.example")).collect();
        let block = json!({"commonName": "a", "selfSign": true, "dnsNames": names});
        assert_eq!(
            parsed(json!({"type": "certificate", "certificate": block})),
            Err("spec.certificate: dnsNames and ipAddresses together hold 10000 names: give at most 1000".into())
        );
    }

    #[test]
    fn what_breaks_a_rule_is_refused_with_its_field() {
        let certificate = |block| json!({"type": "certificate", "certificate": block});
        let table = [
            (
                json!({"type": "certificate"}),
                "spec.certificate: the certificate has no subject: give commonName, organization or another of its fields",
            ),
            (
                certificate(json!({"commonName": "a"})),
                "spec.certificate: nobody signs the certificate: give signedBy, selfSign or isCA",
            ),
            (
                certificate(json!({"commonName": "a", "selfSign": true, "duration": "59m"})),
                "spec.certificate: duration is out of range: give 1h to 87600h",
            ),
            (
                certificate(json!({"commonName": "a", "signedBy": {"path": "/billing/ca"}})),
                "spec.certificate.signedBy /billing/ca lies outside /shop/: an object may only be signed by a credential \
                 of its own namespace",
            ),
            (
                json!({"type": "rsa", "rsa": {"keyLength": 1024}}),
                "spec.rsa: keyLength is 1024: give 2048, 3072 or 4096",
            ),
            (
                json!({"type": "ssh", "ssh": {"comment": "a\nb"}}),
                "spec.ssh: comment is longer than 255 characters or more than one line",
            ),
        ];
        for (spec, expected) in table {
            assert_eq!(parsed(spec), Err(expected.to_owned()));
        }
    }
}
