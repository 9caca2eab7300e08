//! The HTTPS front's certificates, its listener and its limits.
//!
//! The front has a certificate authority (CA) of its own, made once and kept sealed in the store, so that clients trust
//! one certificate for years. The certificate that it serves is made in memory at the start and again at two thirds of its
//! life; connections that are open go on.
//!
//! Why no cert-manager, and no certificate from a file? Then the front would not start before somebody had set it up.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener},
    str::FromStr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum_server::{
    Handle, Server,
    accept::NoDelayAcceptor,
    tls_rustls::{RustlsAcceptor, RustlsConfig},
};
use credsmith_core::{
    domain::{SecretBytes, SecretText},
    keyring::{Keyring, Place},
    store::{self, Store},
    world::{Clock, Entropy},
};
use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SanType, SerialNumber,
};
use rustls::{ServerConfig, crypto::aws_lc_rs};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

use crate::{config::StoreUrl, error::Error, keys::in_store};

/// A name in the front's certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Name {
    Dns(String),
    Ip(IpAddr),
}

impl FromStr for Name {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(ip) = text.parse() {
            return Ok(Self::Ip(ip));
        }
        let is_label = |label: &str| {
            let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-';
            let hyphens = label.starts_with('-') || label.ends_with('-');
            (1..=63).contains(&label.len()) && label.chars().all(allowed) && !hyphens
        };
        let labels = text.strip_prefix("*.").unwrap_or(text);
        if text.len() <= 253 && labels.split('.').all(is_label) {
            Ok(Self::Dns(text.to_ascii_lowercase()))
        } else {
            Err(format!("{text:?} is neither a DNS name nor an IP address"))
        }
    }
}

/// The names by which the front is reached: in the cluster, on this machine, and as configured.
pub fn names(namespace: &str, configured: &[Name]) -> Vec<Name> {
    let service = ["", ".svc", ".svc.cluster.local"].map(|suffix| Name::Dns(format!("{SERVICE}.{namespace}{suffix}")));
    let local =
        [Name::Dns("localhost".into()), Name::Ip(Ipv4Addr::LOCALHOST.into()), Name::Ip(Ipv6Addr::LOCALHOST.into())];
    let mut names = vec![Name::Dns(SERVICE.into())];
    for name in service.into_iter().chain(local).chain(configured.iter().cloned()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// How the front is called in the cluster.
pub fn service_url(namespace: &str) -> String {
    format!("https://{SERVICE}.{namespace}.svc:{SERVICE_PORT}")
}

/// The CA that every certificate of the front comes from: the same for the whole life of a store.
#[derive(Debug)]
pub struct FrontCa {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl FrontCa {
    /// The CA of this store, made where it has none. Of several processes that find none, one makes it, and all have it.
    pub async fn obtain(
        store: &dyn Store,
        url: &StoreUrl,
        keyring: &Keyring,
        clock: &dyn Clock,
        entropy: &dyn Entropy,
    ) -> Result<Self, Error> {
        let place = Place::setting(SETTING);
        if store.setting(SETTING).await.map_err(|error| in_store(url, error))?.is_none() {
            let sealed = keyring.seal(&place, &fresh_ca(clock.now(), entropy), entropy);
            match store.add_setting(SETTING, sealed).await {
                Ok(()) | Err(store::Error::Conflict { .. }) => {} // whoever was first, the store has it now
                Err(error) => return Err(in_store(url, error)),
            }
        }
        let damaged = |cause: String| {
            Error::failure(format!("setting {SETTING} of store {url}"), cause, "restore the store from a backup")
        };
        let sealed = store.setting(SETTING).await.map_err(|error| in_store(url, error))?;
        let sealed = sealed.ok_or_else(|| damaged("it is gone".into()))?;
        let plain = keyring.open_sealed(&place, &sealed).map_err(|error| damaged(error.to_string()))?;
        Self::read(&plain).ok_or_else(|| damaged("it holds no key and certificate".into()))
    }

    /// The certificate, for clients.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    fn read(plain: &SecretBytes) -> Option<Self> {
        let key = PrivateKeyDer::from_pem_slice(plain.expose()).ok()?;
        let certificate = CertificateDer::from_pem_slice(plain.expose()).ok()?;
        let issuer = Issuer::from_ca_cert_der(&certificate, KeyPair::try_from(&key).ok()?).ok()?;
        let text = std::str::from_utf8(plain.expose()).ok()?;
        Some(Self { pem: text[text.find(CERTIFICATE)?..].to_owned(), issuer })
    }

    /// A certificate of the front for `names`, with a key of its own.
    fn issue(&self, names: &[Name], now: Timestamp, entropy: &dyn Entropy) -> (CertificateDer<'static>, KeyPair) {
        let mut params = params(SERVICE, now, LIFE, entropy);
        params.subject_alt_names = names.iter().map(san).collect();
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let key = fresh_key();
        let certificate = params.signed_by(&key, &self.issuer).expect(SIGNS);
        (certificate.der().clone(), key)
    }
}

/// The front's certificate, and what it takes to make the next one.
#[derive(Debug)]
pub struct Certificate {
    ca: FrontCa,
    names: Vec<Name>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    tls: RustlsConfig,
    issued: Mutex<Timestamp>,
}

impl Certificate {
    pub fn new(ca: FrontCa, names: Vec<Name>, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        let now = clock.now();
        let tls = RustlsConfig::from_config(server_config(ca.issue(&names, now, entropy.as_ref())));
        Self { ca, names, clock, entropy, tls, issued: Mutex::new(now) }
    }

    /// The CA's certificate, for clients.
    pub fn ca_pem(&self) -> &str {
        self.ca.pem()
    }

    /// What the certificate is good for.
    pub fn names(&self) -> &[Name] {
        &self.names
    }

    /// For a listener: follows every renewal.
    pub fn tls(&self) -> RustlsConfig {
        self.tls.clone()
    }

    /// Renews the certificate whenever it is due, for ever.
    pub async fn keep_renewed(&self) {
        loop {
            // Looked at often, not slept for: a machine that slept or set its clock finds out within the hour.
            tokio::time::sleep(LOOK).await;
            if self.renew_if_due() {
                tracing::info!("the certificate of the front was renewed");
            }
        }
    }

    fn renew_if_due(&self) -> bool {
        let now = self.clock.now();
        let mut issued = self.issued.lock().expect("nobody panics with the time in hand");
        let age = now.duration_since(*issued);
        // Negative beyond the leeway: the clock was set back, and the certificate is not valid yet.
        let due = age >= LIFE * 2 / 3 || age < -LEEWAY;
        if due {
            let renewed = server_config(self.ca.issue(&self.names, now, self.entropy.as_ref()));
            self.tls.reload_from_config(renewed);
            *issued = now;
        }
        due
    }
}

/// Binds a listener; `setting` is the one that names the address.
pub fn bind(setting: &str, address: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(address).map_err(|error| {
        Error::failure(format!("setting {setting}"), format!("cannot listen on {address}: {error}"), "name a free one")
    })
}

/// A server that speaks HTTP/1.1 and 2 over TLS.
pub fn https(
    listener: TcpListener,
    tls: RustlsConfig,
    handle: &Handle<SocketAddr>,
) -> io::Result<Server<SocketAddr, RustlsAcceptor<NoDelayAcceptor>>> {
    let acceptor = RustlsAcceptor::new(tls).handshake_timeout(HANDSHAKE).acceptor(NoDelayAcceptor::new());
    Ok(limited(axum_server::from_tcp(listener)?, handle).acceptor(acceptor))
}

/// A server that speaks HTTP without TLS.
pub fn plain(listener: TcpListener, handle: &Handle<SocketAddr>) -> io::Result<Server<SocketAddr, NoDelayAcceptor>> {
    Ok(limited(axum_server::from_tcp(listener)?, handle).acceptor(NoDelayAcceptor::new()))
}

/// Against clients that take their time or take too much. How long a body may take is the router's affair.
fn limited(server: Server<SocketAddr>, handle: &Handle<SocketAddr>) -> Server<SocketAddr> {
    let mut server = server.handle(handle.clone()).first_request_timeout(HEAD).accept_error_handler(
        |peer: Option<&SocketAddr>, error| match peer {
            Some(peer) => tracing::debug!(%peer, %error, "a connection was not made"), // a client's mistake, or a scan
            None => tracing::warn!(%error, "connections cannot be accepted"),
        },
    );
    let builder = server.http_builder();
    builder.http1().header_read_timeout(HEAD).max_buf_size(MOST_HEAD);
    builder
        .http2()
        .max_header_list_size(MOST_HEAD as u32)
        .max_concurrent_streams(MOST_STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .keep_alive_interval(HEAD)
        .keep_alive_timeout(HANDSHAKE);
    server
}

/// TLS 1.2 and 1.3. The provider has no suite without forward secrecy and authenticated encryption; a test says so.
fn server_config((certificate, key): (CertificateDer<'static>, KeyPair)) -> Arc<ServerConfig> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider speaks both versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key.into())
        .expect("the key was made for the certificate");
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Arc::new(config)
}

/// The key and the certificate of a new CA, as PEM.
fn fresh_ca(now: Timestamp, entropy: &dyn Entropy) -> SecretBytes {
    let mut params = params("Credsmith front CA", now, CA_LIFE, entropy);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let ca = CertifiedIssuer::self_signed(params, fresh_key()).expect(SIGNS);
    let key = SecretText::new(ca.key().serialize_pem());
    SecretBytes::new([key.expose(), &ca.pem()].concat().into_bytes())
}

fn params(common_name: &str, now: Timestamp, life: SignedDuration, entropy: &dyn Entropy) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    let mut serial = [0; 16];
    entropy.fill(&mut serial);
    serial[0] = serial[0] & 0x7f | 0x40; // positive, and always of the same length
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params.not_before = date(now - LEEWAY);
    params.not_after = date(now + life);
    params
}

fn san(name: &Name) -> SanType {
    match name {
        Name::Dns(name) => SanType::DnsName(name.as_str().try_into().expect("a DNS name is ASCII")),
        Name::Ip(ip) => SanType::IpAddress(*ip),
    }
}

// Not drawn from Entropy: the library that makes the key asks its own generator.
fn fresh_key() -> KeyPair {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("the generator of the library gives a key")
}

fn date(at: Timestamp) -> time::OffsetDateTime {
    time::OffsetDateTime::from_unix_timestamp(at.as_second()).expect("a time of this era")
}

/// The Service: its name and its port are the same in every installation.
const SERVICE: &str = "credsmith";
const SERVICE_PORT: u16 = 8844;
const SETTING: &str = "front-ca";
const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----";
const SIGNS: &str = "the parameters are complete and the key can sign";

const CA_LIFE: SignedDuration = SignedDuration::from_hours(10 * 365 * 24);
const LIFE: SignedDuration = SignedDuration::from_hours(90 * 24);
/// For clients whose clock is a little behind.
const LEEWAY: SignedDuration = SignedDuration::from_mins(5);
const LOOK: Duration = Duration::from_secs(3600);

const HANDSHAKE: Duration = Duration::from_secs(10);
/// For the head of a request, and the longest pause between two requests.
const HEAD: Duration = Duration::from_secs(30);
/// A token of a ServiceAccount takes about 1 KiB of it.
const MOST_HEAD: usize = 32 * 1024;
const MOST_STREAMS: u32 = 128;
/// A body fits whole.
const STREAM_WINDOW: u32 = 512 * 1024;
const CONNECTION_WINDOW: u32 = 2 * 1024 * 1024;

#[cfg(test)]
mod tests;
