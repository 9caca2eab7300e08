//! Keys and certificates, judged by tools that did not make them: openssl and ssh-keygen.

mod bulk;
mod chain;
mod foreign;
pub mod tools;

use credsmith_core::{
    domain::{
        CredentialName, CredentialType, NamespaceUid, ObjectUid, Parameters,
        ownership::ApiWrites,
        parameters::{
            CertificateParameters,
            certificate::{KeyKind, Subject},
        },
        rotation::Rotation,
    },
    hub::{Caller, Ensured, Error, Given, Version, Wanted, WantedOrigin},
    world::{Clock, SystemClock},
};

use crate::app::{Everybody, TestApp};

/// An operator over a store in memory, as objects of `ci` use it.
struct Operator {
    app: TestApp,
    caller: Caller,
}

impl Operator {
    async fn new() -> Self {
        let app = TestApp::new().await;
        // The judges look at the clock of the machine.
        let machine = SystemClock.now();
        app.clock.advance(machine.duration_since(app.clock.now()).unsigned_abs());
        let epoch = app.hub.store.raise_epoch().await.unwrap();
        let caller = Caller::operator("ci", epoch, app.hub.clock.now());
        Self { app, caller }
    }

    /// What `certificate.fromSecret` of a manifest does.
    async fn import(&self, name: &str, given: Given) -> Version {
        let kind = given.kind();
        self.ensure(name, kind, WantedOrigin::Source(Some(given))).await.unwrap()
    }

    /// What a manifest with parameters does.
    async fn generate(&self, name: &str, parameters: Parameters) -> Result<Version, Error> {
        let kind = parameters.kind();
        self.ensure(name, kind, WantedOrigin::Generate(parameters)).await
    }

    async fn ensure(&self, name: &str, kind: CredentialType, origin: WantedOrigin) -> Result<Version, Error> {
        let name: CredentialName = name.parse().unwrap();
        let wanted = Wanted {
            kind,
            origin,
            request: None,
            api_writes: ApiWrites::GenerateOnly,
            object: name.to_string(),
            object_uid: ObjectUid::new(name.to_string()),
            namespace_uid: NamespaceUid::new("namespace"),
            inherits: None,
            never_adopt: false,
            rotation: Rotation::default(),
            name,
        };
        match self.app.hub.ensure(&self.caller, wanted, &Everybody).await? {
            Ensured::Ready { version, .. } => Ok(*version),
            Ensured::WaitingForSigner(fault) => Err(fault.into()),
            other => panic!("{other:?}"),
        }
    }
}

fn named(name: &str) -> CertificateParameters {
    CertificateParameters {
        subject: Subject { common_name: Some(name.into()), ..Subject::default() },
        ..CertificateParameters::default()
    }
}

/// A server certificate on a curve, signed by the CA of that name.
fn leaf_of(ca: &str) -> Parameters {
    Parameters::certificate(CertificateParameters {
        ca: Some(ca.into()),
        key: Some(KeyKind::EcdsaP256),
        alternative_names: vec!["svc.example".parse().unwrap()],
        ..named("svc")
    })
}
