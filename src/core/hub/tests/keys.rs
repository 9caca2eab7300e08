//! Keys and certificates, as both doors ask for them.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::{
    domain::parameters::{
        CertificateParameters, RsaParameters,
        certificate::{KeyKind, Subject},
        rsa::RsaSize,
    },
    material::{Busy, KeyStock, RsaKey, RsaKeys, given::GivenCertificate},
};

/// Counts who asks, and hands out nothing once it is told to.
#[derive(Debug, Default)]
struct Counting {
    stock: KeyStock,
    asked: AtomicUsize,
    most: usize,
}

#[async_trait]
impl RsaKeys for Counting {
    async fn take(&self, size: RsaSize) -> Result<RsaKey, Busy> {
        if self.asked.fetch_add(1, Ordering::Relaxed) >= self.most {
            return Err(Busy);
        }
        self.stock.take(size).await
    }
}

async fn counting(most: usize) -> (World, Arc<Counting>) {
    let keys = Arc::new(Counting { most, ..Counting::default() });
    let mut world = world().await;
    world.hub.material.keys = keys.clone();
    for verb in ["get", "update"] {
        world.rules.allow(&format!("{verb} ci"));
    }
    (world, keys)
}

fn certificate(key: KeyKind) -> CertificateParameters {
    CertificateParameters {
        subject: Subject { common_name: Some("x".into()), ..Subject::default() },
        self_sign: true,
        key: Some(key),
        ..CertificateParameters::default()
    }
}

fn given(version: &Version) -> Given {
    let Value::Certificate(of) = &version.value else { panic!("a certificate") };
    Given::Certificate(GivenCertificate {
        ca: None,
        ca_name: None,
        certificate: Some(of.certificate.duplicate()),
        private_key: of.private_key.as_ref().map(SecretText::duplicate),
        transitional: false,
    })
}

#[tokio::test]
async fn a_version_that_stays_costs_no_key() {
    let (world, keys) = counting(1).await;
    let rsa = Parameters::rsa(RsaParameters::default());
    let alice = alice();
    let generate = || world.hub.generate(&alice, &CI_X, &rsa, None, Mode::NoOverwrite);
    let first = generate().await.unwrap();
    assert_eq!(generate().await.unwrap().row.id, first.row.id);
    assert_eq!(keys.asked.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_full_queue_is_try_again_and_stores_nothing() {
    let (world, _) = counting(0).await;
    let rsa = Parameters::rsa(RsaParameters::default());
    let error = world.hub.generate(&alice(), &CI_X, &rsa, None, Mode::Overwrite).await.unwrap_err();
    assert!(matches!(&error, Error::Busy(_)), "{error:?}");
    assert!(world.hub.store.credential(&CI_X).await.unwrap().is_none());
}

#[tokio::test]
async fn a_key_on_a_curve_comes_from_a_manifest_and_not_over_the_api() {
    let (world, keys) = counting(0).await;
    let parameters = Parameters::certificate(certificate(KeyKind::EcdsaP256));
    let made = world.hub.generate(&alice(), &CI_X, &parameters, None, Mode::Overwrite).await.unwrap();
    assert_eq!(keys.asked.load(Ordering::Relaxed), 0);
    let set = world.hub.set(&alice(), &CI_X, given(&made), None, Mode::Overwrite).await;
    assert_eq!(set.unwrap_err().to_string(), "Private key is malformed. Key file does not contain an RSA private key");
    let origin = WantedOrigin::Source(Some(given(&made)));
    let (imported, made_now, _) = world.ready(Wanted { kind: CredentialType::Certificate, ..wanted(origin) }).await;
    let (Value::Certificate(imported_of), Value::Certificate(of)) = (&imported.value, &made.value) else { panic!() };
    assert!(made_now && imported_of.certificate.same_as(&of.certificate) && imported_of.ca.is_none());
    assert_eq!((imported.row.facts.generated, imported.row.facts.expires), (Some(false), made.row.facts.expires));
}

#[tokio::test]
async fn parameters_that_mean_the_same_make_nothing() {
    let (world, _) = counting(0).await;
    let wanted = |parameters| wanted(WantedOrigin::Generate(Parameters::certificate(parameters)));
    let kind = KeyKind::EcdsaP256;
    let (first, made, _) = world.ready(wanted(certificate(kind))).await;
    assert!(made);
    let spelled = CertificateParameters { duration: Some(365 * 86400), ..certificate(kind) };
    let (second, made, kept) = world.ready(wanted(spelled)).await;
    assert!(!made && !kept.drifted && second.row.id == first.row.id);
    let (third, made, kept) = world.ready(wanted(certificate(KeyKind::EcdsaP384))).await;
    assert!(!made && kept.drifted && third.row.id == first.row.id);
}

/// What is kept with a version may be read by whoever has the store; the key is not among it.
#[tokio::test]
async fn the_public_facts_hold_no_secret() {
    let (world, _) = counting(9).await;
    let parameters = Parameters::certificate(certificate(KeyKind::default()));
    let made = world.hub.generate(&alice(), &CI_X, &parameters, None, Mode::Overwrite).await.unwrap();
    let Value::Certificate(of) = &made.value else { panic!("a certificate") };
    let line = of.private_key.as_ref().unwrap().expose().lines().nth(5).unwrap();
    assert!(!format!("{:?}", made.row).contains(line) && !format!("{made:?}").contains(line));
}

static CI_X: std::sync::LazyLock<CredentialName> = std::sync::LazyLock::new(|| name("/ci/x"));
