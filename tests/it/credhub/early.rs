//! A refusal that comes before the body was read reaches the client all the same: over real TLS, with the real curl, which
//! goes on sending.

use std::{net::SocketAddr, path::PathBuf, process::Stdio, sync::Arc};

use axum_server::Handle;
use credsmith::{
    config::StoreUrl,
    tls::{self, Certificate, FrontCa},
};
use credsmith_core::world::{SystemClock, SystemEntropy};
use futures::{StreamExt, stream};
use tempfile::TempDir;
use tokio::process::Command;

use crate::app::TestApp;

#[tokio::test(flavor = "multi_thread")]
async fn no_early_answer_is_lost_over_http_2() {
    let front = Front::start().await;
    front.answers_every_time("--http2", "2").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_early_answer_is_lost_over_http_1() {
    let front = Front::start().await;
    front.answers_every_time("--http1.1", "1.1").await;
}

/// Whoever waits to be told to go on is told no, and sends nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_waits_for_a_go_on_is_not_asked_for() {
    let front = Front::start().await;
    let body = format!("@{}", front.body(2 << 20).display());
    let arguments =
        ["-X", "PUT", "--data-binary", &body, "-H", "Expect: 100-continue", "-w", "%{http_code} %{size_upload}"];
    let ended = front.curl(&["--http1.1"], &arguments, "/api/v1/data").await;
    assert!(ended.ends_with("}401 0"), "{ended}");
}

/// A front on loopback, and where a client finds what it needs.
struct Front {
    address: SocketAddr,
    handle: Handle<SocketAddr>,
    dir: TempDir,
}

impl Front {
    async fn start() -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default(); // it is there already: fine
        let app = TestApp::new().await;
        let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
        let url = StoreUrl::new("sqlite:///s.db");
        let (store, keyring) = (app.hub.store.as_ref(), &app.hub.keyring);
        let ca = FrontCa::obtain(store, &url, keyring, clock.as_ref(), entropy.as_ref()).await.unwrap();
        let certificate = Certificate::new(ca, tls::names("shop", &[]), clock, entropy);
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("ca.crt"), certificate.ca_pem()).unwrap();

        let handle = Handle::new();
        let listener = tls::bind("listen", "127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let server = tls::https(listener, certificate.tls(), &handle).unwrap();
        tokio::spawn(server.serve(app.router().into_make_service()));
        Self { address, handle, dir }
    }

    async fn answers_every_time(&self, flag: &str, version: &str) {
        let (alice, json) = (["-H", "Authorization: Bearer alice"], ["-H", "Content-Type: application/json"]);
        let body = |bytes| format!("@{}", self.body(bytes).display());
        let (small, large, huge) = (body(60_000), body(600_000), body(2_000_000));
        let put = |body, headers: &[[&'static str; 2]]| -> Vec<String> {
            let fixed = ["-X", "PUT", "-H", "Expect:", "--data-binary", body].map(str::to_owned);
            fixed.into_iter().chain(headers.iter().flatten().map(|&word| word.to_owned())).collect()
        };
        let null = |method: &str| ["-X", method, "-d", "null", alice[0], alice[1]].map(str::to_owned).to_vec();
        let data = "/api/v1/data";
        let flags = ["-o", "/dev/null", flag];
        let table = [
            ("too large", 413, put(&large, &[alice, json]), data),
            ("much too large", 413, put(&huge, &[alice, json]), data),
            ("no token", 401, put(&small, &[json]), data),
            ("no token, and much", 401, put(&large, &[json]), data),
            ("another content type", 400, put(&small, &[alice, ["-H", "Content-Type: text/plain"]]), data),
            ("nowhere", 404, put(&small, &[alice, json]), "/nowhere"),
            ("a read with a body", 404, null("GET"), "/api/v1/data?name=/ci/none"),
            ("a find with a body", 200, null("GET"), "/api/v1/data?path="),
            ("a delete with a body", 404, null("DELETE"), "/api/v1/data?name=/ci/none"),
        ];
        for (what, status, arguments, path) in table {
            let arguments: Vec<&str> =
                arguments.iter().map(String::as_str).chain(["-w", "%{http_code} %{http_version}"]).collect();
            let tries = stream::iter(0..TRIES).map(|_| self.curl(&flags, &arguments, path));
            let answers: Vec<_> = tries.buffer_unordered(SIDE_BY_SIDE).collect().await;
            let lost: Vec<_> = answers.iter().filter(|answer| **answer != format!("{status} {version}")).collect();
            assert!(lost.is_empty(), "{what}: {} of {TRIES} answers were lost: {lost:?}", lost.len());
        }
    }

    /// What curl wrote, and how it ended where that was not well.
    async fn curl(&self, flags: &[&str], arguments: &[&str], path: &str) -> String {
        let url = format!("https://localhost:{}{path}", self.address.port());
        let ca = self.dir.path().join("ca.crt");
        let ended = Command::new("curl")
            .args(["--silent", "--show-error", "--noproxy", "*", "--max-time", "60", "--cacert"])
            .arg(ca)
            .args(flags)
            .args(arguments)
            .arg(url)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .expect("curl is there: the README names it");
        let (out, err) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
        if ended.status.success() { out.into_owned() } else { format!("{out} {}", err.trim_end()) }
    }

    /// A file of so many bytes.
    fn body(&self, bytes: usize) -> PathBuf {
        let path = self.dir.path().join(format!("{bytes}"));
        std::fs::write(&path, vec![b'0'; bytes]).unwrap();
        path
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.handle.shutdown();
    }
}

const TRIES: usize = 30;
const SIDE_BY_SIDE: usize = 4;
