//! Every counter and its name. Pure values: the server exposes them.

use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry, core::Collector};

/// The metrics of one process. Cloning shares them.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
    /// Versions written, by type and reason.
    pub versions: IntCounterVec,
    /// Values that could not be opened or read, by cause. Never the same as "not found".
    pub damaged: IntCounterVec,
    /// Calls of the HTTPS front, by method, route and status.
    pub requests: IntCounterVec,
    /// Seconds that the front took, by method and route.
    pub request_seconds: HistogramVec,
    /// Reconciles, by outcome (the reason of `Ready`).
    pub reconciles: IntCounterVec,
    /// Requests that the operator sent to change something, by resource and verb.
    pub writes: IntCounterVec,
    /// Secrets that a stranger had changed and that were repaired.
    pub drift_repaired: IntCounterVec,
    /// `Credential` objects by the reason of their `Ready` condition.
    pub credentials: IntGaugeVec,
    /// Failures of the watches of the API server, by resource and cause.
    pub watch_failures: IntCounterVec,
    /// Panics that were caught, by where. Each is a fault of the program.
    pub panics: IntCounterVec,
    /// RSA keys that were asked for, by size and by whether one lay ready.
    pub key_requests: IntCounterVec,
    /// RSA keys that lie ready, by size.
    pub keys_ready: IntGaugeVec,
    /// Always 1; the label carries the release.
    pub build: IntGaugeVec,
}

impl Metrics {
    pub fn new() -> Self {
        let registry = Registry::new();
        let metrics = Self {
            versions: counter("versions_total", "Versions written", &["type", "reason"]),
            damaged: counter("damaged_total", "Values that could not be opened or read", &["cause"]),
            requests: counter("http_requests_total", "Calls of the HTTPS front", &["method", "route", "status"]),
            request_seconds: HistogramVec::new(
                HistogramOpts::new("http_request_seconds", "Seconds that the HTTPS front took")
                    .namespace(NAMESPACE)
                    .buckets(vec![0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0]),
                &["method", "route"],
            )
            .expect(VALID),
            reconciles: counter("reconciles_total", "Reconciles by outcome", &["outcome"]),
            writes: counter("kubernetes_writes_total", "Changes asked of the API server", &["resource", "verb"]),
            drift_repaired: counter("drift_repaired_total", "Secrets repaired after a stranger's edit", &["namespace"]),
            credentials: gauge("credentials", "Credential objects by the reason of Ready", &["reason"]),
            watch_failures: counter(
                "watch_failures_total",
                "Failures of the watches of the API server: refused, missing, unauthorized, away, interrupted, other",
                &["resource", "cause"],
            ),
            panics: counter("panics_total", "Panics that were caught: faults of the program", &["part"]),
            key_requests: counter(
                "rsa_keys_total",
                "RSA keys asked for: a hit lay ready, a miss was made on demand",
                &["size", "outcome"],
            ),
            keys_ready: gauge("rsa_keys_ready", "RSA keys that lie ready, in memory only", &["size"]),
            build: gauge("build_info", "Always 1", &["version"]),
            registry,
        };
        for collector in metrics.collectors() {
            metrics.registry.register(collector).expect(VALID);
        }
        metrics
    }

    /// The page that Prometheus reads (text format 0.0.4).
    pub fn page(&self) -> String {
        prometheus::TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap_or_default()
    }

    /// Name and help of every metric, for the documentation.
    pub fn catalogue(&self) -> Vec<(String, String)> {
        let described = self.collectors();
        let all = described.iter().flat_map(|collector| collector.desc());
        all.map(|desc| (desc.fq_name.clone(), desc.help.clone())).collect()
    }

    fn collectors(&self) -> Vec<Box<dyn Collector>> {
        vec![
            Box::new(self.versions.clone()),
            Box::new(self.damaged.clone()),
            Box::new(self.requests.clone()),
            Box::new(self.request_seconds.clone()),
            Box::new(self.reconciles.clone()),
            Box::new(self.writes.clone()),
            Box::new(self.drift_repaired.clone()),
            Box::new(self.credentials.clone()),
            Box::new(self.watch_failures.clone()),
            Box::new(self.panics.clone()),
            Box::new(self.key_requests.clone()),
            Box::new(self.keys_ready.clone()),
            Box::new(self.build.clone()),
        ]
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

fn counter(name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
    IntCounterVec::new(Opts::new(name, help).namespace(NAMESPACE), labels).expect(VALID)
}

fn gauge(name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
    IntGaugeVec::new(Opts::new(name, help).namespace(NAMESPACE), labels).expect(VALID)
}

const NAMESPACE: &str = "credsmith";
const VALID: &str = "the names above are valid and distinct";
