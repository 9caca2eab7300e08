//! A client that knows the CA reaches the front; nobody else is asked to.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use axum::{Router, routing::get};
use credsmith_core::{
    keyring::{KeyProvider, MasterKey},
    store::InMemory,
    world::{FixedClock, SeededEntropy, SystemClock, SystemEntropy},
};
use rustls::{
    ClientConfig, ClientConnection, ProtocolVersion, RootCertStore, Stream, SupportedProtocolVersion,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier},
    time_provider::TimeProvider,
    version::{TLS12, TLS13},
};
use rustls_pki_types::{ServerName, UnixTime};

use super::*;

fn url() -> StoreUrl {
    StoreUrl::new("sqlite:///s.db")
}

fn at(text: &str) -> FixedClock {
    FixedClock::new(text.parse().unwrap())
}

async fn keyring(store: &InMemory) -> Keyring {
    let key = MasterKey::read("file", "test", &SecretBytes::new(vec![1; 32])).unwrap();
    let providers: [Box<dyn KeyProvider>; 1] = [Box::new(key)];
    crate::keys::open_keyring(store, &url(), &providers, &SeededEntropy::new(1)).await.unwrap().0
}

async fn ca(clock: &dyn Clock) -> FrontCa {
    let store = InMemory::new();
    FrontCa::obtain(&store, &url(), &keyring(&store).await, clock, &SystemEntropy).await.unwrap()
}

fn roots(ca_pem: &str) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca_pem.as_bytes()).unwrap()).unwrap();
    roots
}

/// Whether a client that knows the CA accepts the certificate for `name` at that time.
fn accepts(ca_pem: &str, certificate: &CertificateDer<'_>, name: &str, at: Timestamp) -> bool {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots(ca_pem)), provider).build().unwrap();
    let name = ServerName::try_from(name).unwrap();
    verifier.verify_server_cert(certificate, &[], &name, &[], unix_time(at)).is_ok()
}

#[test]
fn a_name_is_a_dns_name_or_an_ip_address() {
    for text in ["a", "A.example", "*.example.com", "1a.example", "::1", "10.0.0.1"] {
        assert!(text.parse::<Name>().is_ok(), "{text}");
    }
    for text in ["", ".", "a..b", "-a", "a_b", "a b", "*", "a.*.b", "https://a", &"a".repeat(64)] {
        assert!(text.parse::<Name>().is_err(), "{text}");
    }
}

#[test]
fn the_names_are_those_of_the_service_this_machine_and_the_configuration() {
    let names = names("shop", &[Name::Dns("credsmith.example".into()), Name::Dns("localhost".into())]);
    let text: Vec<_> = names.iter().map(|name| format!("{name:?}")).collect();
    assert_eq!(
        text,
        [
            "Dns(\"credsmith\")",
            "Dns(\"credsmith.shop\")",
            "Dns(\"credsmith.shop.svc\")",
            "Dns(\"credsmith.shop.svc.cluster.local\")",
            "Dns(\"localhost\")",
            "Ip(127.0.0.1)",
            "Ip(::1)",
            "Dns(\"credsmith.example\")",
        ]
    );
}

#[tokio::test]
async fn the_same_store_gives_the_same_ca() {
    let store = InMemory::new();
    let keyring = keyring(&store).await;
    let (clock, entropy) = (at("2026-01-01T00:00:00Z"), SystemEntropy);
    let url = url();
    let obtain = || FrontCa::obtain(&store, &url, &keyring, &clock, &entropy);
    // Both find none, one of them makes it.
    let (one, other) = futures::join!(obtain(), obtain());
    let (one, other) = (one.unwrap(), other.unwrap());
    assert_eq!(one.pem(), other.pem());
    clock.advance(Duration::from_secs(86_400));
    let later = obtain().await.unwrap();
    assert_eq!(later.pem(), one.pem());

    let (certificate, _) = later.issue(&names("shop", &[]), clock.now(), &entropy);
    assert!(accepts(one.pem(), &certificate, "credsmith.shop.svc", clock.now()));
}

#[tokio::test]
async fn the_key_of_the_ca_is_only_in_the_sealed_part() {
    let ca = ca(&SystemClock).await;
    assert!(ca.pem().starts_with(CERTIFICATE) && !ca.pem().contains("PRIVATE"), "{}", ca.pem());
    let key = ca.issuer.key().serialize_der();
    let issued = Certificate::new(ca, names("a", &[]), Arc::new(SystemClock), Arc::new(SystemEntropy));
    let printed = format!("{issued:?}");
    assert!(printed.contains(r#"signing_key: "[elided]""#), "{printed}");
    assert!(!printed.contains(&format!("{key:?}")), "{printed}");
}

#[tokio::test]
async fn a_damaged_ca_is_named() {
    let store = InMemory::new();
    let keyring = keyring(&store).await;
    let entropy = SystemEntropy;
    let sealed = keyring.seal(&Place::setting(SETTING), &SecretBytes::new(b"x".to_vec()), &entropy);
    store.add_setting(SETTING, sealed).await.unwrap();
    let error = FrontCa::obtain(&store, &url(), &keyring, &SystemClock, &entropy).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "setting front-ca of store sqlite:///s.db: it holds no key and certificate; restore the store from a backup"
    );
}

#[tokio::test]
async fn the_certificate_is_good_for_its_names_and_its_time_only() {
    let clock = at("2026-01-01T00:00:00Z");
    let ca = ca(&clock).await;
    let configured = [Name::Dns("*.shop.example".into()), Name::Ip("10.0.0.1".parse().unwrap())];
    let (certificate, _) = ca.issue(&names("shop", &configured), clock.now(), &SystemEntropy);
    let accepted = |name, at: &str| accepts(ca.pem(), &certificate, name, at.parse().unwrap());
    for name in ["credsmith", "credsmith.shop.svc.cluster.local", "127.0.0.1", "::1", "a.shop.example", "10.0.0.1"] {
        assert!(accepted(name, "2026-01-01T00:00:00Z"), "{name}");
    }
    for name in ["credsmith.other.svc", "shop.example", "10.0.0.2"] {
        assert!(!accepted(name, "2026-01-01T00:00:00Z"), "{name}");
    }
    for (time, good) in [
        ("2025-12-31T23:54:59Z", false),
        ("2025-12-31T23:55:01Z", true),
        ("2026-03-31T23:59:59Z", true),
        ("2026-04-01T00:00:01Z", false),
    ] {
        assert_eq!(accepted("credsmith", time), good, "{time}");
    }
}

#[tokio::test]
async fn the_certificate_is_renewed_at_two_thirds_of_its_life_or_when_the_clock_was_set_back() {
    const DAY: Duration = Duration::from_secs(86_400);
    let clock = Arc::new(at("2026-01-01T00:00:00Z"));
    let ca = ca(clock.as_ref()).await;
    let certificate = Certificate::new(ca, names("shop", &[]), clock.clone(), Arc::new(SystemEntropy));
    let served = || Arc::as_ptr(&certificate.tls().get_inner());
    let first = served();

    clock.advance(59 * DAY);
    assert!(!certificate.renew_if_due());
    assert_eq!(served(), first);
    clock.advance(DAY);
    assert!(certificate.renew_if_due());
    assert_ne!(served(), first);
    assert!(!certificate.renew_if_due());

    let back = Arc::new(at("2025-12-01T00:00:00Z"));
    let certificate = Certificate { clock: back, ..certificate };
    assert!(certificate.renew_if_due());
}

#[test]
fn every_suite_has_forward_secrecy_and_authenticated_encryption() {
    for suite in aws_lc_rs::default_provider().cipher_suites {
        let name = format!("{:?}", suite.suite());
        let tls12 = name.starts_with("TLS_ECDHE_") || name.starts_with("TLS13_");
        let aead = ["_GCM_", "_CHACHA20_POLY1305_"].iter().any(|mode| name.contains(mode));
        assert!(tls12 && aead, "{name}");
    }
}

/// A front that answers `hello`, and how to end it.
async fn front(certificate: &Certificate) -> (SocketAddr, Handle<SocketAddr>) {
    let handle = Handle::new();
    let listener = bind("listen", "127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    let server = https(listener, certificate.tls(), &handle).unwrap();
    tokio::spawn(server.serve(Router::new().route("/", get(|| async { "hello" })).into_make_service()));
    (address, handle)
}

/// A client of one TLS version.
struct Client {
    tls: ClientConnection,
    tcp: TcpStream,
}

impl Client {
    fn connect(
        address: SocketAddr,
        ca_pem: &str,
        name: &'static str,
        version: &'static SupportedProtocolVersion,
        alpn: &str,
        now: Timestamp,
    ) -> Result<Self, String> {
        let (provider, time) = (Arc::new(aws_lc_rs::default_provider()), Arc::new(Now(now)));
        let mut config = ClientConfig::builder_with_details(provider, time)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots(ca_pem))
            .with_no_client_auth();
        config.alpn_protocols = vec![alpn.into()];
        let mut tls = ClientConnection::new(Arc::new(config), ServerName::try_from(name).unwrap()).unwrap();
        let mut tcp = TcpStream::connect(address).map_err(|error| error.to_string())?;
        while tls.is_handshaking() {
            tls.complete_io(&mut tcp).map_err(|error| error.to_string())?;
        }
        Ok(Self { tls, tcp })
    }

    fn served(&self) -> CertificateDer<'static> {
        self.tls.peer_certificates().unwrap()[0].clone()
    }

    /// Asks for `/` and leaves the connection open.
    fn get(&mut self) -> String {
        let mut stream = Stream::new(&mut self.tls, &mut self.tcp);
        stream.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
        let (mut answer, mut bytes) = (String::new(), [0; 1024]);
        while !answer.ends_with("hello") {
            let read = stream.read(&mut bytes).unwrap();
            assert_ne!(read, 0, "{answer}");
            answer.push_str(std::str::from_utf8(&bytes[..read]).unwrap());
        }
        answer
    }
}

/// What a client takes for the time.
#[derive(Debug)]
struct Now(Timestamp);

impl TimeProvider for Now {
    fn current_time(&self) -> Option<UnixTime> {
        Some(unix_time(self.0))
    }
}

fn unix_time(at: Timestamp) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(at.as_second().unsigned_abs()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_knows_the_ca_speaks_tls_1_2_and_1_3() {
    let clock = Arc::new(at("2026-01-01T00:00:00Z"));
    let certificate =
        Certificate::new(ca(clock.as_ref()).await, names("shop", &[]), clock.clone(), Arc::new(SystemEntropy));
    let (address, handle) = front(&certificate).await;
    let (ours, strange) = (certificate.ca_pem().to_owned(), ca(clock.as_ref()).await.pem().to_owned());
    let asking = tokio::task::spawn_blocking(move || {
        for (version, expected) in [(&TLS13, ProtocolVersion::TLSv1_3), (&TLS12, ProtocolVersion::TLSv1_2)] {
            let connect = |ca: &str, name, alpn| Client::connect(address, ca, name, version, alpn, clock.now());
            for name in ["localhost", "credsmith.shop.svc", "127.0.0.1"] {
                let mut client = connect(&ours, name, "http/1.1").unwrap();
                assert_eq!(client.tls.protocol_version(), Some(expected));
                assert_eq!(client.tls.alpn_protocol(), Some(b"http/1.1".as_slice()));
                assert!(client.get().starts_with("HTTP/1.1 200 OK\r\n"));
            }
            let client = connect(&ours, "localhost", "h2").unwrap();
            assert_eq!(client.tls.alpn_protocol(), Some(b"h2".as_slice()));
            // Neither another name nor another CA.
            assert!(connect(&ours, "credsmith.other.svc", "h2").is_err());
            assert!(connect(&strange, "localhost", "h2").is_err());
        }
    });
    asking.await.unwrap();
    handle.shutdown();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_leaves_open_connections_alone() {
    let clock = Arc::new(at("2026-01-01T00:00:00Z"));
    let certificate =
        Certificate::new(ca(clock.as_ref()).await, names("shop", &[]), clock.clone(), Arc::new(SystemEntropy));
    let (address, handle) = front(&certificate).await;
    let asking = tokio::task::spawn_blocking(move || {
        let connect =
            || Client::connect(address, certificate.ca_pem(), "localhost", &TLS13, "http/1.1", clock.now()).unwrap();
        let mut before = connect();
        before.get();
        clock.advance(Duration::from_secs(61 * 86_400));
        assert!(certificate.renew_if_due());
        before.get();
        let mut after = connect();
        after.get();
        assert_ne!(before.served(), after.served());
    });
    asking.await.unwrap();
    handle.shutdown();
}

#[tokio::test]
async fn an_address_that_is_taken_is_named() {
    let taken = bind("listen", "127.0.0.1:0".parse().unwrap()).unwrap();
    let address = taken.local_addr().unwrap();
    let error = bind("listen", address).unwrap_err().to_string();
    assert_eq!(
        error,
        format!("setting listen: cannot listen on {address}: Address already in use (os error 98); name a free one")
    );
}
