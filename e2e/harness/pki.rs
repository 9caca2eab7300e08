//! The certificates of a control plane: one throw-away authority, one leaf for each part, the key of ServiceAccount tokens.

use std::{fs, path::Path};

use anyhow::{Context, Result, anyhow};
use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    rsa::{KeyPair as RsaKeyPair, KeySize},
};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, SerialNumber,
};
use time::{Duration, OffsetDateTime};

use crate::state::{random, write_private};

/// Writes `ca`, one `NAME.crt` and `NAME.key` for each part, and `sa.key` with `sa.pub` into `dir`; PEM, valid for 30 days.
pub fn write(dir: &Path) -> Result<()> {
    let ca = authority()?;
    fs::write(dir.join("ca.crt"), ca.pem())?;
    write_private(&dir.join("ca.key"), ca.key().serialize_pem())?;
    for leaf in &LEAVES {
        leaf.write(dir, &ca).with_context(|| format!("the certificate {}", leaf.file))?;
    }
    write_token_key(dir)
}

/// A certificate that somebody shows to somebody.
struct Leaf {
    file: &'static str,
    /// To Kubernetes the name of the user, and of its group.
    common_name: &'static str,
    organization: Option<&'static str>,
    serves: bool,
    asks: bool,
}

const LEAVES: [Leaf; 5] = [
    // Both: etcd's HTTP gateway calls etcd itself under this certificate.
    Leaf { file: "etcd", common_name: "etcd", organization: None, serves: true, asks: true },
    Leaf {
        file: "etcd-client",
        common_name: "kube-apiserver-etcd-client",
        organization: None,
        serves: false,
        asks: true,
    },
    Leaf { file: "apiserver", common_name: "kube-apiserver", organization: None, serves: true, asks: false },
    Leaf { file: "admin", common_name: "e2e-admin", organization: Some("system:masters"), serves: false, asks: true },
    Leaf {
        file: "kube-controller-manager",
        common_name: "system:kube-controller-manager",
        organization: None,
        serves: false,
        asks: true,
    },
];

const SERVING_NAMES: [&str; 7] = [
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
    "10.96.0.1", // first address of the service range, where pods look for the API server
    "127.0.0.1",
];

impl Leaf {
    fn write(&self, dir: &Path, ca: &CertifiedIssuer<'static, KeyPair>) -> Result<()> {
        let names = if self.serves { SERVING_NAMES.map(String::from).to_vec() } else { Vec::new() };
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name = DistinguishedName::new();
        if let Some(organization) = self.organization {
            params.distinguished_name.push(DnType::OrganizationName, organization);
        }
        params.distinguished_name.push(DnType::CommonName, self.common_name);
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages.extend(self.serves.then_some(ExtendedKeyUsagePurpose::ServerAuth));
        params.extended_key_usages.extend(self.asks.then_some(ExtendedKeyUsagePurpose::ClientAuth));
        params.use_authority_key_identifier_extension = true;
        dated(&mut params);
        let key = KeyPair::generate()?;
        fs::write(dir.join(format!("{}.crt", self.file)), params.signed_by(&key, ca)?.pem())?;
        write_private(&dir.join(format!("{}.key", self.file)), key.serialize_pem())
    }
}

fn authority() -> Result<CertifiedIssuer<'static, KeyPair>> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "e2e-ca");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    dated(&mut params);
    Ok(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?)
}

fn dated(params: &mut CertificateParams) {
    let now = OffsetDateTime::now_utc();
    params.not_before = now - Duration::minutes(5);
    params.not_after = now + Duration::days(30);
    let mut serial = random(16);
    serial[0] = serial[0] & 0x7f | 0x40; // positive, and always as long
    params.serial_number = Some(SerialNumber::from_slice(&serial));
}

/// RSA, as in most clusters, so that clients meet the RS256 tokens they will meet there.
fn write_token_key(dir: &Path) -> Result<()> {
    let key = RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| anyhow!("cannot make an RSA key"))?;
    let der: Pkcs8V1Der<'_> = key.as_der().map_err(|_| anyhow!("cannot encode an RSA key"))?;
    let key = KeyPair::try_from(der.as_ref())?;
    write_private(&dir.join("sa.key"), key.serialize_pem())?;
    Ok(fs::write(dir.join("sa.pub"), key.public_key_pem())?)
}
