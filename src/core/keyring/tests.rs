//! Nothing opens but what was sealed, where it was sealed, under the key it was sealed with.

use proptest::prelude::*;

use super::*;
use crate::{
    domain::{CredentialId, CredentialType, SecretText, VersionId},
    world::SeededEntropy,
};

fn block_on<F: Future>(future: F) -> F::Output {
    futures::executor::block_on(future)
}

fn master(seed: u8) -> Box<dyn KeyProvider> {
    Box::new(MasterKey::new("file", zeroize::Zeroizing::new([seed; 32])))
}

fn keyring(entropy: &SeededEntropy) -> Keyring {
    block_on(Keyring::open(&[master(1)], Vec::new(), entropy)).unwrap().0
}

fn place(entropy: &SeededEntropy) -> Place {
    Place::version(CredentialId::new(entropy), VersionId::new(entropy), CredentialType::Password)
}

fn secret(text: &str) -> SecretBytes {
    SecretBytes::new(text.as_bytes().to_vec())
}

#[test]
fn a_known_value_is_sealed_to_known_bytes() {
    // Pins the format: a release that reads these bytes reads what earlier ones wrote.
    let entropy = SeededEntropy::new(42);
    let keyring = keyring(&entropy);
    let place = place(&entropy);
    let sealed = keyring.seal(&place, &secret("correct horse"), &entropy);
    let hex: String = sealed.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, KNOWN);
    assert_eq!(keyring.open_sealed(&place, &sealed).unwrap().expose(), b"correct horse");
}

#[test]
fn each_damage_has_its_own_error() {
    let entropy = SeededEntropy::new(3);
    let ours = keyring(&entropy);
    let (here, elsewhere) = (place(&entropy), place(&entropy));
    let sealed = ours.seal(&here, &secret("value"), &entropy);
    let changed = |at: usize| {
        let mut bytes = sealed.as_bytes().to_vec();
        bytes[at] ^= 1;
        Sealed::from_stored(bytes)
    };
    let cut = Sealed::from_stored(sealed.as_bytes()[..sealed.as_bytes().len() - 1].to_vec());
    let flipped = changed(sealed.as_bytes().len() - 1);
    let foreign = keyring(&SeededEntropy::new(4)).seal(&here, &secret("value"), &entropy);

    assert!(matches!(ours.open_sealed(&elsewhere, &sealed), Err(Error::Moved)));
    assert!(matches!(ours.open_sealed(&here, &cut), Err(Error::Truncated)));
    assert!(matches!(ours.open_sealed(&here, &flipped), Err(Error::Tampered)));
    assert!(matches!(ours.open_sealed(&here, &foreign), Err(Error::UnknownKey(_))));
    assert!(matches!(ours.open_sealed(&here, &changed(0)), Err(Error::UnknownFormat(0))));
    assert!(matches!(ours.open_sealed(&here, &Sealed::from_stored(Vec::new())), Err(Error::Truncated)));
}

#[test]
fn a_value_does_not_open_as_parameters_or_as_another_type() {
    let entropy = SeededEntropy::new(5);
    let keyring = keyring(&entropy);
    let (credential, version) = (CredentialId::new(&entropy), VersionId::new(&entropy));
    let sealed = keyring.seal(&Place::version(credential, version, CredentialType::Value), &secret("value"), &entropy);
    for other in [
        Place::parameters(credential, version, CredentialType::Value),
        Place::version(credential, version, CredentialType::Json),
    ] {
        assert!(matches!(keyring.open_sealed(&other, &sealed), Err(Error::Moved)));
    }
}

#[test]
fn a_missing_master_key_is_named() {
    let entropy = SeededEntropy::new(6);
    let (_, opening) = block_on(Keyring::open(&[master(1)], Vec::new(), &entropy)).unwrap();
    let error = block_on(Keyring::open(&[master(2)], opening.made, &entropy)).unwrap_err();
    let Error::MissingMasterKey(id) = &error else { panic!("{error}") };
    assert_eq!(id.as_str(), MasterKey::new("file", zeroize::Zeroizing::new([1; 32])).id().as_str());
    assert!(error.to_string().contains("add it to `keys` again"), "{error}");
}

#[test]
fn a_damaged_wrapping_and_a_foreign_data_key_differ() {
    let entropy = SeededEntropy::new(7);
    let open = |rows| block_on(Keyring::open(&[master(1)], rows, &entropy)).map(|_| ());
    let (_, opening) = block_on(Keyring::open(&[master(1)], Vec::new(), &entropy)).unwrap();
    let (_, other) = block_on(Keyring::open(&[master(1)], Vec::new(), &SeededEntropy::new(8))).unwrap();

    let mut damaged = opening.made.clone();
    *damaged[0].wrapped.bytes.last_mut().unwrap() ^= 1;
    assert!(matches!(open(damaged), Err(Error::DamagedKey(..))));

    let mut swapped = opening.made.clone();
    swapped[0].wrapped = other.made[0].wrapped.clone();
    assert!(matches!(open(swapped), Err(Error::WrongKey(_))));
}

#[test]
fn a_new_first_key_wraps_the_data_keys_again_and_nothing_else_changes() {
    let entropy = SeededEntropy::new(9);
    let (before, opening) = block_on(Keyring::open(&[master(1)], Vec::new(), &entropy)).unwrap();
    let place = place(&entropy);
    let sealed = before.seal(&place, &secret("value"), &entropy);

    let (after, again) = block_on(Keyring::open(&[master(2), master(1)], opening.made.clone(), &entropy)).unwrap();
    assert_eq!(again.made, []);
    assert_eq!(again.rewrapped.len(), 2);
    assert_eq!(after.open_sealed(&place, &sealed).unwrap().expose(), b"value");
    assert_eq!(after.fingerprint(b"x"), before.fingerprint(b"x"));

    let rows: Vec<_> = again.rewrapped.into_iter().map(|(row, wrapped)| DataKeyRow { wrapped, ..row }).collect();
    let (alone, none) = block_on(Keyring::open(&[master(2)], rows, &entropy)).unwrap();
    assert!(none.made.is_empty() && none.rewrapped.is_empty());
    assert_eq!(alone.open_sealed(&place, &sealed).unwrap().expose(), b"value");
}

#[test]
fn a_passphrase_goes_on_with_its_salt() {
    let entropy = SeededEntropy::new(10);
    let provider =
        |text: &str| -> Box<dyn KeyProvider> { Box::new(Passphrase::new(SecretText::new(text.to_owned())).unwrap()) };
    let (_, opening) = block_on(Keyring::open(&[provider("correct horse battery")], Vec::new(), &entropy)).unwrap();
    let (_, again) =
        block_on(Keyring::open(&[provider("correct horse battery")], opening.made.clone(), &entropy)).unwrap();
    assert!(again.made.is_empty() && again.rewrapped.is_empty());
    let error = block_on(Keyring::open(&[provider("incorrect horse battery")], opening.made, &entropy)).unwrap_err();
    assert!(matches!(error, Error::MissingMasterKey(_)), "{error}");
    assert!(Passphrase::new(SecretText::new("short".into())).is_err());
}

#[test]
fn a_master_key_is_read_as_base64_or_as_raw_bytes() {
    let entropy = SeededEntropy::new(11);
    let text = master_key::fresh(&entropy);
    let read = |bytes: &[u8]| MasterKey::read("file", "the file k", &SecretBytes::new(bytes.to_vec()));
    assert_eq!(text.expose().len(), 44);
    let with_newline = format!("{}\n", text.expose());
    assert_eq!(read(with_newline.as_bytes()).unwrap().id(), read(text.expose().as_bytes()).unwrap().id());
    assert!(read(&[7; 32]).is_ok());
    let error = read(b"short").unwrap_err().to_string();
    assert!(error.contains("the file k does not hold a master key"), "{error}");
}

#[test]
fn no_key_is_printed() {
    let entropy = SeededEntropy::new(12);
    let keyring = keyring(&entropy);
    let printed = format!("{keyring:?} {:?} {:?}", master(0x41), DataKey::new(&entropy));
    assert!(!printed.contains("AAAA") && !printed.contains("65, 65"), "{printed}");
}

proptest! {
    #[test]
    fn what_was_sealed_opens(plain in proptest::collection::vec(any::<u8>(), 0..200), seed in any::<u64>()) {
        let entropy = SeededEntropy::new(seed);
        let keyring = keyring(&entropy);
        let place = place(&entropy);
        let sealed = keyring.seal(&place, &SecretBytes::new(plain.clone()), &entropy);
        let opened = keyring.open_sealed(&place, &sealed).unwrap();
        prop_assert_eq!(opened.expose(), plain.as_slice());
    }

    #[test]
    fn with_any_bit_flipped_it_does_not_open(bit in 0_usize..(41 + 5 + 16) * 8) {
        let entropy = SeededEntropy::new(13);
        let keyring = keyring(&entropy);
        let place = place(&entropy);
        let mut bytes = keyring.seal(&place, &secret("value"), &entropy).as_bytes().to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(keyring.open_sealed(&place, &Sealed::from_stored(bytes)).is_err());
    }

    #[test]
    fn no_bytes_make_opening_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        let entropy = SeededEntropy::new(14);
        let keyring = keyring(&entropy);
        prop_assert!(keyring.open_sealed(&place(&entropy), &Sealed::from_stored(bytes)).is_err());
    }
}

const KNOWN: &str = "01a4c03c073f654b49bc2df55e1912fca1b2b3c059dbdf35ce0000002910646e177ed7e4154cdb0fe4c5261a8fc809c8935c632bcf6138711ec12c9195865d7a277ff7bda7d4";
