//! From the text of a setting to its type, or to a message that names setting, cause and next step.

use std::{fmt, net::SocketAddr, str::FromStr};

use axum::http::Uri;
use tracing_subscriber::{EnvFilter, filter::LevelFilter};

use super::KeySource;
use crate::error::Error;

pub(super) fn namespace(name: String) -> Result<String, Error> {
    let fits = is_object_name(&name) && name.len() <= 63 && !name.contains('.');
    let cause = || format!("{name:?} is no name of a namespace");
    if fits { Ok(name) } else { Err(bad("namespace", cause(), "give the namespace of the release")) }
}

pub(super) fn key_sources(given: Vec<String>) -> Result<Vec<KeySource>, Error> {
    const FORMS: &str = "give secret:NAME, file:/PATH or passphrase:/PATH";
    let parse = |(at, text): (usize, &String)| {
        KeySource::parse(text).map_err(|cause| bad("keys", format!("entry {} {cause}", at + 1), FORMS))
    };
    let sources: Vec<_> = given.iter().enumerate().map(parse).collect::<Result<_, _>>()?;
    if sources.is_empty() { Err(bad("keys", "there is none", FORMS)) } else { Ok(sources) }
}

pub(super) fn address(key: &str, text: &str) -> Result<SocketAddr, Error> {
    let next = "give an IP address and a port, such as 0.0.0.0:8844 or [::]:8844";
    text.parse().map_err(|_| bad(key, format!("{text:?} is no address with a port"), next))
}

pub(super) fn parse<T: FromStr<Err = String>>(key: &str, text: &str) -> Result<T, Error> {
    text.parse().map_err(|cause| bad(key, cause, "give DNS names and IP addresses"))
}

pub(super) fn parse_each<T: FromStr<Err = String>>(key: &str, texts: Vec<String>) -> Result<Vec<T>, Error> {
    texts.iter().map(|text| parse(key, text)).collect()
}

/// A URL with a host, without user, query and fragment; the slash at its end goes.
pub(super) fn web_url(key: &str, text: &str, schemes: &[&str]) -> Result<String, Error> {
    let next = format!("give {}:// and a host, such as https://credsmith.example:8844", schemes.join(":// or "));
    if text.contains('@') {
        return Err(bad(key, "it names a user or a password", next)); // not repeated
    }
    let cause = || format!("{text:?} is no such URL");
    let url: Uri = text.parse().map_err(|_| bad(key, cause(), &next))?;
    let scheme = url.scheme_str().filter(|scheme| schemes.contains(scheme));
    let host = url.host().filter(|host| !host.is_empty());
    if scheme.is_none() || host.is_none() || text.contains(['?', '#']) {
        return Err(bad(key, cause(), next));
    }
    Ok(text.trim_end_matches('/').to_owned())
}

pub(super) fn host_of(url: &str) -> Option<&str> {
    let authority = url.split("//").nth(1)?.split('/').next()?;
    let host = match authority.strip_prefix('[') {
        Some(ipv6) => ipv6.split(']').next()?,
        None => authority.split(':').next()?,
    };
    Some(host)
}

pub(super) fn audience(text: String) -> Result<String, Error> {
    let cause = || format!("{text:?} is empty or has a space in it");
    let fits = !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control());
    if fits { Ok(text) } else { Err(bad("audience", cause(), "give one word")) }
}

pub(super) fn workers(count: u16) -> Result<u16, Error> {
    let cause = || format!("{count} is not from 1 to {MOST_WORKERS}");
    if (1..=MOST_WORKERS).contains(&count) { Ok(count) } else { Err(bad("workers", cause(), "give such a number")) }
}

pub(super) fn ready_keys(count: u16) -> Result<u16, Error> {
    let cause = || format!("{count} is not from 0 to {MOST_READY_KEYS}");
    if count <= MOST_READY_KEYS { Ok(count) } else { Err(bad("readyKeys", cause(), "give such a number")) }
}

pub(super) fn rotations(count: u16) -> Result<u16, Error> {
    let cause = || format!("{count} is not from 1 to {MOST_ROTATIONS}");
    if (1..=MOST_ROTATIONS).contains(&count) {
        Ok(count)
    } else {
        Err(bad("rotationsPerMinute", cause(), "give such a number"))
    }
}

pub(super) fn filter(text: String) -> Result<String, Error> {
    let next = "give a level, or levels by module, such as info,credsmith_operator=debug";
    // A word alone may also be a module, of which everything is logged, and nothing else: it is a misspelt level.
    let is_alone = |word: &&str| !word.is_empty() && !word.contains(['=', '[', ']', '{', '}']);
    let words = text.split(',').map(str::trim).filter(is_alone);
    if let Some(word) = words.into_iter().find(|word| word.parse::<LevelFilter>().is_err()) {
        return Err(bad("log", format!("{word:?} is no level: those are {LEVELS}"), next));
    }
    match EnvFilter::try_new(&text) {
        Ok(_) => Ok(text),
        Err(error) => Err(bad("log", format!("{text:?} is no filter: {error}"), next)),
    }
}

fn bad(key: &str, cause: impl fmt::Display, next: impl fmt::Display) -> Error {
    Error::usage(format!("setting {key}"), cause, format!("{next}, by {}", spelled(key)))
}

/// How the sources write the name of a setting.
pub(super) fn spelled(key: &str) -> String {
    let snake: String = key.chars().flat_map(|c| c.is_uppercase().then_some('_').into_iter().chain([c])).collect();
    let snake = snake.to_ascii_lowercase();
    let (flag, variable) = (snake.replace('_', "-"), snake.to_ascii_uppercase());
    let file = if key == "config" { String::new() } else { format!(", or {key} in the configuration file") };
    let comma = if file.is_empty() { " or" } else { "," };
    format!("--{flag}{comma} CREDSMITH_{variable}{file}")
}

/// What Kubernetes allows as the name of a Secret.
pub(super) fn is_object_name(text: &str) -> bool {
    let is_label = |label: &str| {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        !label.is_empty() && label.chars().all(allowed) && !label.starts_with('-') && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(is_label)
}

const MOST_WORKERS: u16 = 1024;
const LEVELS: &str = "error, warn, info, debug, trace and off";
const MOST_ROTATIONS: u16 = 60_000;
/// They are filled up by one thread, which takes minutes for more.
const MOST_READY_KEYS: u16 = 1024;
