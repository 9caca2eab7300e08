//! PEM (RFC 7468): labelled base64 with whatever text around it.

use base64::{
    Engine,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use zeroize::Zeroizing;

use crate::domain::SecretText;

/// A block that was found.
#[derive(Debug)]
pub struct Block<'a> {
    pub label: &'a str,
    /// Lines such as `Proc-Type: 4,ENCRYPTED` stand in front of its content.
    pub has_headers: bool,
    /// `None` where it is no base64, or there is no END line.
    pub content: Option<Zeroizing<Vec<u8>>>,
}

/// The blocks of a text in their order. An END line that is missing ends it.
pub fn blocks(text: &str) -> impl Iterator<Item = Block<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (_, after) = rest.split_once(BEGIN)?;
        let Some((label, body)) = after.split_once(DASHES) else {
            rest = "";
            return Some(Block { label: "", has_headers: false, content: None });
        };
        let end = format!("-----END {label}{DASHES}");
        let body = match body.split_once(&end) {
            Some((body, after)) => {
                rest = after;
                Some(body)
            }
            None => {
                rest = "";
                None
            }
        };
        let has_headers = body.is_some_and(|body| body.contains(':'));
        let content = body.filter(|_| !has_headers).and_then(decoded);
        Some(Block { label, has_headers, content })
    })
}

/// The first block with one of the labels.
pub fn first<'a>(text: &'a str, labels: &[&str]) -> Option<Block<'a>> {
    blocks(text).find(|block| labels.contains(&block.label))
}

/// A block, in lines of 64 characters, with a line break at its end.
pub fn encode(label: &str, content: &[u8]) -> SecretText {
    let mut base64 = Zeroizing::new(vec![0; content.len().div_ceil(3) * 4]);
    let length = STANDARD.encode_slice(content, &mut base64).expect("four characters for three bytes");
    let mut out = String::with_capacity(length + length / LINE + 2 * label.len() + 64);
    out.push_str(&format!("{BEGIN}{label}{DASHES}\n"));
    for line in base64[..length].chunks(LINE) {
        out.push_str(std::str::from_utf8(line).expect("base64 is ASCII"));
        out.push('\n');
    }
    out.push_str(&format!("-----END {label}{DASHES}\n"));
    SecretText::new(out)
}

fn decoded(body: &str) -> Option<Zeroizing<Vec<u8>>> {
    let dense: Zeroizing<Vec<u8>> =
        Zeroizing::new(body.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect::<Vec<u8>>());
    let mut out = Zeroizing::new(vec![0; dense.len() / 4 * 3 + 3]);
    let length = STANDARD.decode_slice(&dense[..], &mut out).ok()?;
    out.truncate(length);
    Some(out)
}

const BEGIN: &str = "-----BEGIN ";
const DASHES: &str = "-----";
/// Characters of a line.
const LINE: usize = 64;
const STANDARD: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn labels(text: &str) -> Vec<(String, bool, Option<usize>)> {
        let shown =
            |block: Block<'_>| (block.label.to_owned(), block.has_headers, block.content.map(|content| content.len()));
        blocks(text).map(shown).collect()
    }

    #[test]
    fn blocks_are_found_in_whatever_stands_around_them() {
        let text =
            "subject=x\n-----BEGIN A-----\r\nQUJD\r\n-----END A-----\r\nand\n-----BEGIN B-----QUI=-----END B-----";
        assert_eq!(labels(text), [("A".into(), false, Some(3)), ("B".into(), false, Some(2))]);
        assert_eq!(first(text, &["B", "C"]).unwrap().label, "B");
        assert!(first(text, &["C"]).is_none());
    }

    #[test]
    fn what_is_no_block_has_no_content() {
        assert_eq!(labels("-----BEGIN A-----\nQUJD\n"), [("A".into(), false, None)]);
        assert_eq!(labels("-----BEGIN A-----\n!!\n-----END A-----"), [("A".into(), false, None)]);
        assert_eq!(labels("-----BEGIN A"), [(String::new(), false, None)]);
        let encrypted = "-----BEGIN A-----\nProc-Type: 4,ENCRYPTED\n\nQUJD\n-----END A-----";
        assert_eq!(labels(encrypted), [("A".into(), true, None)]);
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_read(content in proptest::collection::vec(any::<u8>(), 0..300)) {
            let text = encode("A B", &content);
            let block = first(text.expose(), &["A B"]).unwrap();
            prop_assert_eq!(block.content.unwrap().to_vec(), content);
            prop_assert!(text.expose().ends_with("-----\n") && text.expose().lines().all(|line| line.len() <= 64));
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in "(-----BEGIN |-----END |A|-----|[ -~\n]{0,10}){0,8}") {
            let _ = blocks(&text).count();
        }
    }
}
