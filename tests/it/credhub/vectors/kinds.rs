//! The kinds of values that stand in recorded answers.

use credsmith_core::{
    domain::{KeyPair, SecretText},
    material::{Certificate, key::public_half},
};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

/// `None` where the word names no kind. `Err`: what the value is not.
pub fn check(kind: &str, got: &Value, parent: &Value, now: Timestamp) -> Option<Result<(), String>> {
    let end = kind.find([':', '+']).unwrap_or(kind.len());
    let (word, rest) = kind.split_at(end);
    let argument = |name: &str| rest[1..].split(',').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    let text = got.as_str().unwrap_or_default();
    let sibling = |name: &str| parent[name].as_str().unwrap_or_default();
    let fits = match word {
        "any" => true,
        "string" => !text.is_empty(),
        "uuid" => is_uuid(text),
        "time" => {
            let seconds = rest.strip_prefix('+').map_or(0, |seconds| seconds.parse().unwrap());
            let wanted = now + SignedDuration::from_secs(seconds);
            let at: Option<Timestamp> = text.parse().ok();
            at.is_some_and(|at| text.len() == 20 && at.duration_since(wanted).abs() < SignedDuration::from_mins(10))
        }
        "password" => {
            let sets = argument("sets").unwrap();
            let in_set = |set: char, c: char| match set {
                'U' => c.is_ascii_uppercase(),
                'L' => c.is_ascii_lowercase(),
                'D' => c.is_ascii_digit(),
                _ => c.is_ascii_punctuation(),
            };
            text.len() == argument("len").unwrap().parse::<usize>().unwrap()
                && text.chars().all(|c| sets.chars().any(|set| in_set(set, c)))
        }
        "username" => text.len() == 20 && text.chars().all(|c| c.is_ascii_alphabetic()),
        "sha512-crypt" => text.starts_with("$6$") && text.len() == 98,
        "cert" => is_one(text, "CERTIFICATE") && Certificate::first(text).is_some(),
        "rsa-private" => {
            let half = public_half(&SecretText::new(text.to_owned()));
            let (certificate, public) = (sibling("certificate"), sibling("public_key"));
            is_one(text, "RSA PRIVATE KEY")
                && half.is_ok_and(|(half, _)| {
                    let encoded = pem(&half);
                    let is_of_ssh = public.starts_with("ssh-rsa "); // whose form ssh-keygen judges elsewhere
                    Certificate::first(certificate).is_some_and(|one| one.has_key(&half))
                        || public == encoded
                        || is_of_ssh
                })
        }
        "rsa-public" => is_one(text, "PUBLIC KEY"),
        "ssh-public" => {
            let comment = kind.split_once("comment=").map_or(String::new(), |(_, comment)| format!(" {comment}"));
            text.starts_with("ssh-rsa AAAAB3NzaC1yc2EAAAADAQAB")
                && text.ends_with(&comment)
                && !text.ends_with('\n')
                && text.split(' ').count() == 2 + comment.split_whitespace().count()
        }
        "ssh-fingerprint" => {
            let pair = KeyPair::new(Some(SecretText::new(sibling("public_key").to_owned())), None);
            pair.and_then(|pair| pair.ssh_fingerprint()).as_deref() == Some(text)
        }
        _ => return None,
    };
    let bits = argument_bits(rest).is_none_or(|bits| bits_of(word, text) == Some(bits));
    Some(if fits && bits { Ok(()) } else { Err(format!("is no {kind}")) })
}

fn is_uuid(text: &str) -> bool {
    let hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    text.len() == 36 && text.as_bytes()[14] == b'4' && text.chars().all(|c| hex(c) || c == '-')
}

fn is_one(text: &str, label: &str) -> bool {
    text.starts_with(&format!("-----BEGIN {label}-----\n"))
        && text.ends_with(&format!("-----END {label}-----\n"))
        && text.matches("-----BEGIN").count() == 1
        && text.lines().all(|line| line.len() <= 64)
}

fn argument_bits(rest: &str) -> Option<usize> {
    rest.get(1..)?.split(',').find_map(|pair| pair.strip_prefix("bits="))?.parse().ok()
}

/// From the length of what is encoded, which for these sizes tells them apart.
fn bits_of(word: &str, text: &str) -> Option<usize> {
    let length = match word {
        "ssh-public" => text.split(' ').nth(1)?.len(),
        _ => text.lines().filter(|line| !line.starts_with("--")).map(str::len).sum(),
    };
    let sizes: [(usize, std::ops::Range<usize>); 3] = match word {
        "ssh-public" => [(2048, 360..390), (3072, 530..560), (4096, 700..730)],
        "rsa-public" => [(2048, 380..410), (3072, 550..580), (4096, 720..750)],
        _ => [(2048, 1550..1640), (3072, 2300..2420), (4096, 3090..3190)],
    };
    sizes.into_iter().find(|(_, lengths)| lengths.contains(&length)).map(|(bits, _)| bits)
}

fn pem(spki: &[u8]) -> String {
    credsmith_core::material::pem::encode("PUBLIC KEY", spki).expose().to_owned()
}
