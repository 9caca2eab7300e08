//! Private keys as texts to look for: whole, and line by line, as a log that breaks lines would show them.

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::STANDARD},
};

/// What is searched of a private key. `public` are the parts that everybody may have: a private key of RSA or on a curve
/// holds them too, so a line of it that says nothing else is left out.
pub fn texts(private: &str, public: &[&str]) -> Vec<String> {
    let lines: Vec<_> = private.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let body: Vec<_> = lines.iter().copied().filter(|line| line.len() >= SHORTEST && is_base64(line)).collect();
    if body.is_empty() || lines.len() < 3 {
        return vec![private.to_owned()];
    }
    let known: Vec<Vec<u8>> = public.iter().flat_map(|text| contents(text)).collect();
    let is_public = |inside: &[u8]| known.iter().any(|known| known.windows(inside.len()).any(|part| part == inside));
    let joined = body.concat();
    let mut texts = vec![private.to_owned(), private.trim().to_owned(), joined.clone()];
    let content = ANY_END.decode(&joined).unwrap_or_default();
    let mut from = 0;
    for line in body {
        let to = from + line.len();
        // The bytes of which the line has every bit.
        let inside = content.get((from * 6).div_ceil(8)..to * 6 / 8).unwrap_or_default();
        if inside.is_empty() || !is_public(inside) {
            texts.push(line.to_owned());
        }
        from = to;
    }
    texts
}

/// What stands in PEM blocks, or in a line of OpenSSH.
fn contents(text: &str) -> Vec<Vec<u8>> {
    if !text.contains("-----BEGIN") {
        return text.split(' ').nth(1).and_then(|blob| STANDARD.decode(blob.trim()).ok()).into_iter().collect();
    }
    let blocks = text.split("-----BEGIN").skip(1);
    let body = |block: &str| block.lines().skip(1).take_while(|line| !line.starts_with("-----")).collect::<String>();
    blocks.filter_map(|block| STANDARD.decode(body(block)).ok()).collect()
}

fn is_base64(line: &str) -> bool {
    line.chars().all(|c| c.is_ascii_alphanumeric() || "+/=".contains(c))
}

/// A body whose last line was too short to count has no proper end.
const ANY_END: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);
/// Shorter lines occur by chance.
const SHORTEST: usize = 12;

#[cfg(test)]
mod tests {
    use super::{
        super::search::{Sink, Wanted, search},
        *,
    };

    fn pem(bytes: &[u8]) -> String {
        let text = STANDARD.encode(bytes);
        let lines: Vec<_> = text.as_bytes().chunks(64).map(|line| String::from_utf8(line.to_vec()).unwrap()).collect();
        format!("-----BEGIN KEY-----\n{}\n-----END KEY-----\n", lines.join("\n"))
    }

    #[test]
    fn a_line_that_is_public_is_left_out_and_every_other_is_searched() {
        let bytes: Vec<u8> = (0..=180).collect();
        let (secret, public) = (pem(&bytes), pem(&bytes[40..110]));
        let lines: Vec<_> = secret.lines().filter(|line| !line.starts_with('-')).collect();
        assert_eq!(lines.len(), 4);
        let all = texts(&secret, &[]);
        assert!(lines.iter().all(|line| all.iter().any(|text| text == line)), "{all:?}");
        let without = texts(&secret, &[&public]);
        // The second line is bytes 48 to 96.
        let has = |nth: usize| without.iter().any(|text| text == lines[nth]);
        assert!(has(0) && !has(1) && has(2) && has(3), "{without:?}");
        assert!(without.contains(&secret) && without.contains(&lines.concat()));
    }

    #[test]
    fn a_key_is_found_however_it_is_broken_up() {
        let bytes: Vec<u8> = (0..=180).rev().collect();
        let secret = pem(&bytes);
        let wanted: Vec<_> =
            texts(&secret, &[]).into_iter().map(|text| Wanted { text, about: "a key".into() }).collect();
        let json = serde_json::json!({"private_key": secret}).to_string();
        let written = [
            secret.clone(),
            secret.replace('\n', "\r\n"),
            serde_json::json!({"body": json}).to_string(),
            format!("{secret:?}"),
            STANDARD.encode(format!("xy{secret}")),
            secret.replace('\n', "%0A").replace('+', "%2B").replace('/', "%2F"),
            STANDARD.encode(&bytes),
            secret.lines().nth(2).unwrap().to_owned(),
            secret.replace('\n', " | "),
        ];
        for (nth, text) in written.into_iter().enumerate() {
            let (hits, _) = search(&wanted, "planted", &[Sink::texts("here", vec![format!("before {text} after")])]);
            assert!(!hits.is_empty(), "spelling {nth} is not found");
        }
    }

    #[test]
    fn any_other_text_is_searched_as_it_is() {
        assert_eq!(texts("a key of words", &["p"]), ["a key of words"]);
    }
}
