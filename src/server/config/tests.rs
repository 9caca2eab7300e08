//! Which source wins, and what a bad value is told.

use clap::Parser;

use super::*;

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    settings: Settings,
}

fn flags(flags: &[&str]) -> Settings {
    Arguments::try_parse_from(["credsmith"].iter().chain(flags)).unwrap().settings
}

fn file(text: &str) -> Result<Settings, Error> {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), text).unwrap();
    let read = Settings::read(file.path());
    let path = file.path().display().to_string();
    read.map_err(|error| Error::told(error.to_string().replace(&path, "FILE")))
}

fn error(settings: Settings) -> String {
    Config::parse(settings.or(Settings::defaults())).unwrap_err().to_string()
}

#[test]
fn the_defaults_are_well_formed() {
    let config = Config::parse(Settings::defaults()).unwrap();
    assert_eq!(config.keys, [KeySource::Secret("credsmith-root-key".into())]);
    assert_eq!(config.listen.to_string(), "0.0.0.0:8844");
    assert_eq!(config.workers, 32);
}

#[test]
fn a_flag_wins_over_the_file_and_the_file_over_the_default() {
    let file = file("listen: 127.0.0.1:1\nlistenPlain: 127.0.0.1:2\nkeys: [file:/a, secret:b]\nworkers: 4\n").unwrap();
    let config = Config::parse(flags(&["--listen", "127.0.0.1:3"]).or(file).or(Settings::defaults())).unwrap();
    assert_eq!(config.listen.port(), 3);
    assert_eq!(config.listen_plain.port(), 2);
    assert_eq!(config.keys, [KeySource::File("/a".into()), KeySource::Secret("b".into())]);
    assert_eq!(config.workers, 4);
    assert_eq!(config.audience, "credsmith");
}

#[test]
fn lists_are_written_with_commas_or_as_lists() {
    let both = [flags(&["--names", "a.example,10.0.0.1"]), file("names: a.example,10.0.0.1").unwrap()];
    for settings in both {
        let config = Config::parse(settings.or(Settings::defaults())).unwrap();
        assert_eq!(config.names, [Name::Dns("a.example".into()), Name::Ip("10.0.0.1".parse().unwrap())]);
    }
    assert_eq!(file("names: [a, b]").unwrap(), file("names: a,b").unwrap());
}

#[test]
fn an_empty_file_gives_nothing() {
    for text in ["", "# nothing yet\n", "keys:\n"] {
        assert_eq!(file(text).unwrap(), Settings::default(), "{text:?}");
    }
}

#[test]
fn a_pod_knows_its_namespace() {
    let mount = tempfile::tempdir().unwrap();
    assert_eq!(Settings::of_pod(mount.path()), Settings::default());
    fs::write(mount.path().join("namespace"), "shop\n").unwrap();
    assert_eq!(Settings::of_pod(mount.path()).namespace.as_deref(), Some("shop"));
}

#[test]
fn the_host_of_the_public_url_is_a_name_of_the_certificate() {
    for (url, host) in [
        ("https://credsmith.example:8844/", Name::Dns("credsmith.example".into())),
        ("https://10.0.0.1", Name::Ip("10.0.0.1".parse().unwrap())),
        ("https://[fd00::1]:8844", Name::Ip("fd00::1".parse().unwrap())),
    ] {
        let config = Config::parse(flags(&["--public-url", url]).or(Settings::defaults())).unwrap();
        assert_eq!(config.names, [host]);
        assert_eq!(config.public_url.as_deref(), Some(url.trim_end_matches('/')));
    }
}

#[test]
fn a_bad_value_is_named_with_its_cause_and_a_next_step() {
    for (given, expected) in [
        (
            ["--listen", "0.0.0.0"],
            "setting listen: \"0.0.0.0\" is no address with a port; give an IP address and a port, such as \
             0.0.0.0:8844 or [::]:8844, by --listen, CREDSMITH_LISTEN, or listen in the configuration file",
        ),
        (
            ["--listen-plain", "localhost:9001"],
            "setting listenPlain: \"localhost:9001\" is no address with a port; give an IP address and a port, such \
             as 0.0.0.0:8844 or [::]:8844, by --listen-plain, CREDSMITH_LISTEN_PLAIN, or listenPlain in the \
             configuration file",
        ),
        (
            ["--namespace", "Shop"],
            "setting namespace: \"Shop\" is no name of a namespace; give the namespace of the release, by \
             --namespace, CREDSMITH_NAMESPACE, or namespace in the configuration file",
        ),
        (
            ["--names", "a.example,-b"],
            "setting names: \"-b\" is neither a DNS name nor an IP address; give DNS names and IP addresses, by \
             --names, CREDSMITH_NAMES, or names in the configuration file",
        ),
        (
            ["--public-url", "http://credsmith.example"],
            "setting publicUrl: \"http://credsmith.example\" is no such URL; give https:// and a host, such as \
             https://credsmith.example:8844, by --public-url, CREDSMITH_PUBLIC_URL, or publicUrl in the \
             configuration file",
        ),
        (
            ["--audience", ""],
            "setting audience: \"\" is empty or has a space in it; give one word, by --audience, \
             CREDSMITH_AUDIENCE, or audience in the configuration file",
        ),
        (
            ["--ready-keys", "1025"],
            "setting readyKeys: 1025 is not from 0 to 1024; give such a number, by --ready-keys, CREDSMITH_READY_KEYS, or \
             readyKeys in the configuration file",
        ),
        (
            ["--workers", "0"],
            "setting workers: 0 is not from 1 to 1024; give such a number, by --workers, CREDSMITH_WORKERS, or \
             workers in the configuration file",
        ),
        (
            ["--log", "credsmith=loud"],
            "setting log: \"credsmith=loud\" is no filter: error parsing level filter: expected one of \"off\", \"error\", \
             \"warn\", \"info\", \"debug\", \"trace\", or a number 0-5; give a level, or levels by module, such as info,credsmith_operator=debug, by --log, CREDSMITH_LOG, or log in the configuration \
             file",
        ),
    ] {
        assert_eq!(error(flags(&given)), expected);
    }
}

#[test]
fn a_key_that_was_pasted_is_not_repeated() {
    for (keys, cause) in [
        ("", "entry 1 has no kind in front"),
        ("hunter2hunter2", "entry 1 has no kind in front"),
        ("secret:a,hunter2:x", "entry 2 has a kind that is not known"),
        ("secret:Hunter2", "entry 1 is secret: without the name of a Secret after it"),
        ("file:hunter2", "entry 1 is file: without an absolute path after it (the key itself never stands here)"),
        (
            "passphrase:hunter2hunter2",
            "entry 1 is passphrase: without an absolute path after it (the passphrase itself never stands here)",
        ),
    ] {
        let expected = format!(
            "setting keys: {cause}; give secret:NAME, file:/PATH or passphrase:/PATH, by --keys, CREDSMITH_KEYS, or \
             keys in the configuration file"
        );
        assert_eq!(error(flags(&["--keys", keys])), expected);
    }
    let none = Settings { keys: Some(Vec::new()), ..Settings::default() };
    assert!(error(none).starts_with("setting keys: there is none; give secret:NAME"));
    assert!(!file("keys: {hunter2: x}").unwrap_err().to_string().contains("hunter2"));
    let config = Config::parse(flags(&["--store", "postgres://me:hunter2@db"]).or(Settings::defaults())).unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
    assert!(!error(flags(&["--public-url", "https://me:hunter2@a.example"])).contains("hunter2"));
}

#[test]
fn a_word_of_the_log_filter_that_is_no_level_is_refused() {
    for (log, word) in [
        ("inof", "inof"),
        ("info,credsmith_operator", "credsmith_operator"),
        ("warning", "warning"),
        ("kube=warn, dbug", "dbug"),
    ] {
        let expected = format!(
            "setting log: {word:?} is no level: those are error, warn, info, debug, trace and off; give a level, or levels by \
             module, such as info,credsmith_operator=debug, by --log, CREDSMITH_LOG, or log in the configuration file"
        );
        assert_eq!(error(flags(&["--log", log])), expected);
    }
    for log in ["info", "WARN", "off", "info,kube=debug", "warn,[request{method=GET}]=trace"] {
        let parsed = Config::parse(flags(&["--log", log]).or(Settings::defaults()));
        assert!(parsed.is_ok(), "{log}: {parsed:?}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named_with_line_and_cause() {
    for (text, expected) in [
        ("listn: x", "configuration file FILE: unknown field `listn`, expected one of `namespace`, "),
        ("config: /x", "configuration file FILE: unknown field `config`, expected one of `namespace`, "),
        ("workers: many", "configuration file FILE: workers: invalid type: string \"many\", expected u16 at line 1"),
        ("logFormat: xml", "configuration file FILE: logFormat: unknown variant `xml`, expected `json` or `text`"),
        ("listen: [", "configuration file FILE: "),
    ] {
        let error = file(text).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
        assert!(error.ends_with("; `credsmith run --help` lists the settings"), "{error}");
    }
    let error = Settings::read(Path::new("/nonexistent")).unwrap_err().to_string();
    assert_eq!(
        error,
        "configuration file /nonexistent: No such file or directory (os error 2); give --config or CREDSMITH_CONFIG \
         a file that can be read"
    );
}
