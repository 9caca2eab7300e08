//! Many keys, each checked by openssl. `make keys` asks for many more than a test run has time for.

use std::{
    collections::BTreeSet,
    env,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use credsmith_core::{
    domain::{SecretText, parameters::certificate::KeyKind, parameters::rsa::RsaSize},
    material::{FreshKey, RsaKey},
};

use super::tools::{Bench, openssl};

#[test]
fn every_key_passes_a_checker_that_did_not_make_it() {
    let (rsa, ec) = (count("RSA_KEYS", 4), count("EC_KEYS", 40));
    let made = Mutex::new(BTreeSet::new());
    let next = AtomicUsize::new(0);
    let passed = [AtomicUsize::new(0), AtomicUsize::new(0)];
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                let bench = Bench::new();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= rsa + ec {
                        return;
                    }
                    let key = if number < rsa { rsa_key(number) } else { ec_key(number) };
                    assert!(check(&bench, key.expose()), "key {number} of {} does not pass", rsa + ec);
                    // Two that are the same would be worse than one that is none.
                    assert!(made.lock().unwrap().insert(key.expose().to_owned()), "key {number} was made before");
                    passed[usize::from(number >= rsa)].fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    let [rsa_passed, ec_passed] = passed.map(AtomicUsize::into_inner);
    eprintln!("keys: {rsa_passed} of {rsa} RSA, {ec_passed} of {ec} EC passed openssl");
    assert_eq!((rsa_passed, ec_passed), (rsa, ec));
}

#[test]
fn the_checker_refuses_a_key_that_is_none() {
    let bench = Bench::new();
    let key = rsa_key(0);
    // Another private exponent, at a place where every byte is its own.
    let line = key.expose().lines().nth(12).unwrap();
    let damaged = key.expose().replace(line, &line.chars().rev().collect::<String>());
    assert!(check(&bench, key.expose()) && !check(&bench, &damaged));
}

fn check(bench: &Bench, key: &str) -> bool {
    bench.write("key.pem", key);
    let output = openssl(&bench.path("."), &["pkey", "-in", "key.pem", "-check", "-noout"]);
    output.status.success() && String::from_utf8_lossy(&output.stdout).contains("Key is valid")
}

/// Mostly of 2048 bits, which is what is mostly made; every hundredth of 4096, every 25th of 3072.
fn rsa_key(number: usize) -> SecretText {
    let size = match number {
        _ if number % 100 == 99 => RsaSize::Rsa4096,
        _ if number % 25 == 24 => RsaSize::Rsa3072,
        _ => RsaSize::Rsa2048,
    };
    RsaKey::generate(size).private_pem()
}

fn ec_key(number: usize) -> SecretText {
    let kind = if number.is_multiple_of(2) { KeyKind::EcdsaP256 } else { KeyKind::EcdsaP384 };
    FreshKey::on_curve(kind).expect("a curve").pem
}

fn count(variable: &str, otherwise: usize) -> usize {
    match env::var(variable) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{variable} is {text:?}: give a number")),
        Err(_) => otherwise,
    }
}
