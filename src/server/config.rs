//! Every setting in one struct, parsed once into our types.
//!
//! A setting has one name, written as each source writes names: `--listen-plain`, `CREDSMITH_LISTEN_PLAIN`,
//! `listenPlain`. A flag wins over the environment, the environment over the file, the file over the default. There is no
//! setting whose value is a secret: secrets are files, or Kubernetes Secrets, that a setting names.

mod parse;

use std::{
    fmt, fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum};
use serde::{Deserialize, Deserializer, Serialize, de};

use crate::{error::Error, tls::Name};

/// The settings as they are given; what is `None` is not given. The comments below are the documentation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[command(next_help_heading = "Settings")]
pub struct Settings {
    /// A YAML file with settings. Not a setting of the file itself.
    #[arg(long, env = "CREDSMITH_CONFIG", value_name = "FILE")]
    #[serde(skip)]
    pub config: Option<PathBuf>,

    /// The namespace of the release: it holds the Secret of the master key and is part of the front's names. Absent in a
    /// pod, that of its ServiceAccount.
    #[arg(long, env = "CREDSMITH_NAMESPACE", value_name = "NAME")]
    pub namespace: Option<String>,

    /// Where credentials are kept, encrypted: `sqlite://` and an absolute path. One process at a time.
    #[arg(long, env = "CREDSMITH_STORE", hide_env_values = true, value_name = "URL")]
    pub store: Option<String>,

    /// Where the master keys come from. The first is active: it wraps the data keys of the store, which seal the
    /// values. The others only open what they wrapped before, until everything is wrapped again, at the next start.
    ///
    /// `secret:NAME` is a Kubernetes Secret in the namespace of the release, with the key `key`. Where the store is empty
    /// and there is no such Secret, it is made; a store that holds anything never gets a new one by itself. `file:/PATH`
    /// is a file with 32 random bytes, in base64 (`credsmith keys new` prints one) or raw. `passphrase:/PATH` is a file
    /// with a passphrase of at least 12 characters.
    ///
    /// To change the master key, make a new one (`credsmith keys new --out FILE`, and for a Secret `kubectl create
    /// secret generic NAME --from-file=key=FILE`), put it first, keep the old one behind it and start again. The log then
    /// says that every data key is wrapped by the new one, and the old one may go at the next start; a backup of the store
    /// that was made before still needs it.
    #[arg(long, env = "CREDSMITH_KEYS", hide_env_values = true, value_name = "SOURCE,…", value_delimiter = ',')]
    #[serde(deserialize_with = "list")]
    pub keys: Option<Vec<String>>,

    /// Where the HTTPS front listens: an IP address and a port.
    #[arg(long, env = "CREDSMITH_LISTEN", value_name = "ADDRESS")]
    pub listen: Option<String>,

    /// Where `/healthz`, `/readyz`, `/health` and `/metrics` are, without TLS: an IP address and a port.
    #[arg(long, env = "CREDSMITH_LISTEN_PLAIN", value_name = "ADDRESS")]
    pub listen_plain: Option<String>,

    /// The URL by which clients outside of the cluster reach the front, such as `https://credsmith.example:8844`. Its
    /// host is one of the names of the certificate.
    #[arg(long, env = "CREDSMITH_PUBLIC_URL", hide_env_values = true, value_name = "URL")]
    pub public_url: Option<String>,

    /// More DNS names and IP addresses for the front's certificate. It always has `credsmith`, `credsmith.NAMESPACE`,
    /// the same with `.svc` and `.svc.cluster.local`, `localhost`, `127.0.0.1` and `::1`.
    #[arg(long, env = "CREDSMITH_NAMES", value_name = "NAME,…", value_delimiter = ',')]
    #[serde(deserialize_with = "list")]
    pub names: Option<Vec<String>>,

    /// The audience that ServiceAccount tokens for the front are made for.
    #[arg(long, env = "CREDSMITH_AUDIENCE", value_name = "NAME")]
    pub audience: Option<String>,

    /// The URL of the token service that `/info` names. Absent, the front names itself.
    #[arg(long, env = "CREDSMITH_AUTH_SERVER", hide_env_values = true, value_name = "URL")]
    pub auth_server: Option<String>,

    /// How many objects are reconciled at a time.
    #[arg(long, env = "CREDSMITH_WORKERS", value_name = "COUNT")]
    pub workers: Option<u16>,

    /// How many RSA keys of 2048 bits lie ready in memory for whoever asks next, once somebody has asked within the hour;
    /// a quarter as many of 3072 bits and an eighth of 4096. 0: none, so that every request waits for its key.
    #[arg(long, env = "CREDSMITH_READY_KEYS", value_name = "COUNT")]
    pub ready_keys: Option<u16>,

    /// How many new versions that nobody asked for (by time, or because a signer changed) are begun in a minute. What is
    /// overdue after a long stop waits its turn.
    #[arg(long, env = "CREDSMITH_ROTATIONS_PER_MINUTE", value_name = "COUNT")]
    pub rotations_per_minute: Option<u16>,

    /// What is logged: a level (`error`, `warn`, `info`, `debug`, `trace`), or levels by module, such as
    /// `info,credsmith_operator=debug`.
    #[arg(long, env = "CREDSMITH_LOG", value_name = "FILTER")]
    pub log: Option<String>,

    /// How a line of the log looks.
    #[arg(long, env = "CREDSMITH_LOG_FORMAT", value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    Json,
    Text,
}

/// The settings, parsed: what is in here is well-formed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    pub namespace: String,
    pub store: StoreUrl,
    /// At least one; the first is active.
    pub keys: Vec<KeySource>,
    pub listen: SocketAddr,
    pub listen_plain: SocketAddr,
    /// Without a slash at its end.
    pub public_url: Option<String>,
    /// The configured ones and the host of `public_url`.
    pub names: Vec<Name>,
    pub audience: String,
    /// Without a slash at its end.
    pub auth_server: Option<String>,
    pub workers: u16,
    pub ready_keys: u16,
    pub rotations_per_minute: u16,
    pub log: String,
    pub log_format: LogFormat,
}

/// Where a master key comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// A Kubernetes Secret in the namespace of the release.
    Secret(String),
    /// A file with the key.
    File(PathBuf),
    /// A file with a passphrase.
    Passphrase(PathBuf),
}

impl KeySource {
    /// The name of the Secret, where it is one.
    pub fn secret(&self) -> Option<&str> {
        match self {
            Self::Secret(name) => Some(name),
            Self::File(_) | Self::Passphrase(_) => None,
        }
    }
}

/// Names a store. Printed only where it is a path: any other URL may carry a password.
#[derive(Clone, PartialEq, Eq)]
pub struct StoreUrl(String);

impl Config {
    /// From the flags and the environment, the file that they name, the pod, and the defaults.
    pub fn load(given: Settings) -> Result<Self, Error> {
        let file = given.config.as_deref().map_or(Ok(Settings::default()), Settings::read)?;
        let pod = Settings::of_pod(Path::new(SERVICE_ACCOUNT));
        Self::parse(given.or(file).or(pod).or(Settings::defaults()))
    }

    fn parse(settings: Settings) -> Result<Self, Error> {
        let public_url = settings.public_url.map(|url| parse::web_url("publicUrl", &url, &["https"])).transpose()?;
        let mut names: Vec<Name> = parse::parse_each("names", settings.names.expect(DEFAULT))?;
        let host = public_url.as_deref().and_then(parse::host_of);
        names.extend(host.map(|host| parse::parse("publicUrl", host)).transpose()?);
        Ok(Self {
            namespace: parse::namespace(settings.namespace.expect(DEFAULT))?,
            store: StoreUrl::new(settings.store.expect(DEFAULT)),
            keys: parse::key_sources(settings.keys.expect(DEFAULT))?,
            listen: parse::address("listen", &settings.listen.expect(DEFAULT))?,
            listen_plain: parse::address("listenPlain", &settings.listen_plain.expect(DEFAULT))?,
            public_url,
            names,
            audience: parse::audience(settings.audience.expect(DEFAULT))?,
            auth_server: settings
                .auth_server
                .map(|url| parse::web_url("authServer", &url, &["https", "http"]))
                .transpose()?,
            workers: parse::workers(settings.workers.expect(DEFAULT))?,
            ready_keys: parse::ready_keys(settings.ready_keys.expect(DEFAULT))?,
            rotations_per_minute: parse::rotations(settings.rotations_per_minute.expect(DEFAULT))?,
            log: parse::filter(settings.log.expect(DEFAULT))?,
            log_format: settings.log_format.expect(DEFAULT),
        })
    }
}

impl Settings {
    /// What holds where nothing is given. A setting that is `None` here has no default.
    pub fn defaults() -> Self {
        Self {
            config: None,
            namespace: Some("credsmith-system".into()),
            store: Some("sqlite:///var/lib/credsmith/store.db".into()),
            keys: Some(vec!["secret:credsmith-root-key".into()]),
            listen: Some("0.0.0.0:8844".into()),
            listen_plain: Some("0.0.0.0:9001".into()),
            public_url: None,
            names: Some(Vec::new()),
            audience: Some("credsmith".into()),
            auth_server: None,
            workers: Some(32),
            ready_keys: Some(32),
            rotations_per_minute: Some(60),
            log: Some("info".into()),
            log_format: Some(LogFormat::Json),
        }
    }

    fn read(path: &Path) -> Result<Self, Error> {
        let object = format!("configuration file {}", path.display());
        let text = fs::read_to_string(path).map_err(|error| {
            Error::usage(&object, error, format!("give {} a file that can be read", parse::spelled("config")))
        })?;
        let read: Result<Option<Self>, _> = serde_yaml::from_str(&text); // an empty file is no mapping, and fine
        read.map(Option::unwrap_or_default)
            .map_err(|error| Error::usage(object, error, "`credsmith run --help` lists the settings"))
    }

    fn of_pod(service_account: &Path) -> Self {
        let namespace = fs::read_to_string(service_account.join("namespace")).ok();
        let namespace = namespace.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
        Self { namespace, ..Self::default() }
    }

    fn or(self, other: Self) -> Self {
        Self {
            config: self.config.or(other.config),
            namespace: self.namespace.or(other.namespace),
            store: self.store.or(other.store),
            keys: self.keys.or(other.keys),
            listen: self.listen.or(other.listen),
            listen_plain: self.listen_plain.or(other.listen_plain),
            public_url: self.public_url.or(other.public_url),
            names: self.names.or(other.names),
            audience: self.audience.or(other.audience),
            auth_server: self.auth_server.or(other.auth_server),
            workers: self.workers.or(other.workers),
            ready_keys: self.ready_keys.or(other.ready_keys),
            rotations_per_minute: self.rotations_per_minute.or(other.rotations_per_minute),
            log: self.log.or(other.log),
            log_format: self.log_format.or(other.log_format),
        }
    }
}

impl KeySource {
    /// Never repeats what it cannot read: it may be a key that somebody pasted.
    fn parse(text: &str) -> Result<Self, &'static str> {
        let Some((kind, rest)) = text.split_once(':') else {
            return Err("has no kind in front");
        };
        match kind {
            "secret" if parse::is_object_name(rest) => Ok(Self::Secret(rest.to_owned())),
            "secret" => Err("is secret: without the name of a Secret after it"),
            "file" if Path::new(rest).is_absolute() => Ok(Self::File(rest.into())),
            "file" => Err("is file: without an absolute path after it (the key itself never stands here)"),
            "passphrase" if Path::new(rest).is_absolute() => Ok(Self::Passphrase(rest.into())),
            "passphrase" => {
                Err("is passphrase: without an absolute path after it (the passphrase itself never stands here)")
            }
            _ => Err("has a kind that is not known"),
        }
    }
}

impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secret(name) => write!(f, "secret:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Passphrase(path) => write!(f, "passphrase:{}", path.display()),
        }
    }
}

impl StoreUrl {
    pub fn new(url: impl Into<String>) -> Self {
        Self(url.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Where the store is a file: its path.
    pub fn file(&self) -> Option<&Path> {
        self.0.strip_prefix("sqlite://").map(Path::new).filter(|path| path.is_absolute())
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.file().is_some() { &self.0 } else { "[URL]" })
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A list, or the same as one text with commas, which is how the environment writes it. Errors do not repeat what stands
/// there: it may be a key that somebody pasted.
fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<String>>, D::Error> {
    struct List;
    impl<'de> de::Visitor<'de> for List {
        type Value = Option<Vec<String>>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of texts")
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
            Ok(Some(text.split(',').map(str::to_owned).collect()))
        }

        fn visit_seq<A: de::SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
            let mut texts = Vec::new();
            while let Some(text) = items.next_element()? {
                texts.push(text);
            }
            Ok(Some(texts))
        }
    }
    deserializer.deserialize_any(List)
}

/// Where a pod finds what it is to know about itself.
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
const DEFAULT: &str = "it has a default";

#[cfg(test)]
mod tests;
