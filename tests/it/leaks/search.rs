//! Looking for many texts, each in every spelling, in a lot of bytes.

use std::{collections::BTreeSet, fmt, fs::File, io::BufReader, path::PathBuf};

use aho_corasick::AhoCorasick;
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};

/// A place where no value belongs.
#[derive(Debug)]
pub struct Sink {
    pub name: &'static str,
    pub files: Vec<PathBuf>,
    pub texts: Vec<String>,
}

impl Sink {
    pub fn files(name: &'static str, files: Vec<PathBuf>) -> Self {
        Self { name, files, texts: Vec::new() }
    }

    pub fn texts(name: &'static str, texts: Vec<String>) -> Self {
        Self { name, files: Vec::new(), texts }
    }

    pub fn size(&self) -> u64 {
        let files = self.files.iter().filter_map(|file| file.metadata().ok()).map(|file| file.len());
        files.chain(self.texts.iter().map(|text| text.len() as u64)).sum()
    }
}

/// Where something was found, and in which spelling; never what.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hit {
    pub sink: &'static str,
    pub place: String,
    /// What the text is, such as the path and the part of a version.
    pub about: String,
    pub spelling: &'static str,
}

impl fmt::Debug for Hit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} in {} ({})", self.spelling, self.about, self.sink, self.place)
    }
}

/// A text to look for, and what to call it.
pub struct Wanted {
    pub text: String,
    pub about: String,
}

/// The hits, and the sinks in which the planted text was found.
pub fn search(wanted: &[Wanted], planted: &str, sinks: &[Sink]) -> (BTreeSet<Hit>, BTreeSet<&'static str>) {
    let mut needles: Vec<(Vec<u8>, usize, &'static str)> = Vec::new();
    for (nth, wanted) in wanted.iter().enumerate() {
        needles.extend(spellings(&wanted.text).into_iter().map(|(spelling, bytes)| (bytes, nth, spelling)));
    }
    let control = needles.len();
    needles.push((planted.as_bytes().to_vec(), 0, "planted"));
    let machine = AhoCorasick::new(needles.iter().map(|(bytes, _, _)| bytes)).expect("the texts fit in memory");
    let (mut hits, mut found) = (BTreeSet::new(), BTreeSet::new());
    for sink in sinks {
        let mut hit = |pattern: usize, place: &str| {
            if pattern == control {
                found.insert(sink.name);
            } else {
                let (_, nth, spelling) = &needles[pattern];
                let about = wanted[*nth].about.clone();
                hits.insert(Hit { sink: sink.name, place: place.to_owned(), about, spelling });
            }
        };
        for file in &sink.files {
            // A file may have gone since it was listed, as a store's log does when its process ends.
            let Ok(open) = File::open(file) else { continue };
            for found in machine.stream_find_iter(BufReader::with_capacity(1 << 20, open)) {
                hit(found.expect("the file can be read").pattern().as_usize(), &file.display().to_string());
            }
        }
        for text in &sink.texts {
            for found in machine.find_iter(text) {
                hit(found.pattern().as_usize(), "a text");
            }
        }
    }
    (hits, found)
}

/// The ways in which a text may be written down, each once.
fn spellings(text: &str) -> Vec<(&'static str, Vec<u8>)> {
    let bytes = text.as_bytes();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let quoted = serde_json::to_string(text).expect("a text is always JSON");
    let escaped = quoted[1..quoted.len() - 1].to_owned();
    let mut all = vec![
        ("raw", text.to_owned()),
        ("hex", hex.clone()),
        ("HEX", hex.to_uppercase()),
        ("URL", url_escaped(text)),
        ("JSON", escaped.clone()),
        // Inside of a text that is JSON in JSON.
        ("JSON twice", serde_json::to_string(&escaped).expect("a text is always JSON").trim_matches('"').to_owned()),
    ];
    for before in 0..3 {
        all.push(("base64", inner(&STANDARD_NO_PAD, bytes, before)));
        all.push(("base64 for URLs", inner(&URL_SAFE_NO_PAD, bytes, before)));
    }
    let mut seen = BTreeSet::new();
    all.into_iter()
        .map(|(name, text)| (name, text.into_bytes()))
        .filter(|(_, text)| seen.insert(text.clone()))
        .collect()
}

/// The characters that stand for nothing but this text, where so many bytes stand before it in what is encoded.
fn inner(engine: &impl base64::Engine, bytes: &[u8], before: usize) -> String {
    let padded = [&vec![0; before], bytes].concat();
    let text = engine.encode(&padded);
    // The first characters hold bits of what stands before, the last one bits of what comes after.
    let (from, to) = ((before * 4).div_ceil(3), padded.len() * 4 / 3);
    text[from..to].to_owned()
}

fn url_escaped(text: &str) -> String {
    let escape = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_is_found_wherever_it_stands() {
        let text = "p\"w/ä?5 hunter2>>";
        let wanted = [Wanted { text: text.into(), about: "it".into() }];
        let url = "p%22w%2F%C3%A4%3F5%20hunter2%3E%3E";
        let json = serde_json::json!({"value": text}).to_string();
        let mut written = vec![
            ("raw", format!("before {text} after")),
            ("URL", format!("/data?value={url}&x=1")),
            ("JSON", json.clone()),
            ("JSON twice", serde_json::json!({"body": json}).to_string()),
            ("hex", "0070227c".to_owned() + &text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>()),
            ("HEX", text.bytes().map(|byte| format!("{byte:02X}")).collect()),
        ];
        for before in ["", "x", "xy", "xyz", "wxyz"] {
            for after in ["", "z", "zz"] {
                let whole = format!("{before}{text}{after}");
                written.push(("base64", STANDARD_NO_PAD.encode(&whole)));
                written.push(("base64 for URLs", URL_SAFE_NO_PAD.encode(&whole)));
            }
        }
        for (spelling, text) in written {
            let (hits, _) = search(&wanted, "planted", &[Sink::texts("here", vec![text.clone()])]);
            let same = |hit: &Hit| {
                hit.spelling == spelling || spelling.starts_with("base64") && hit.spelling.starts_with("base64")
            };
            assert!(hits.iter().any(same), "{spelling} is not found in {text}: {hits:?}");
        }
        let (hits, control) = search(&wanted, "planted", &[Sink::texts("here", vec!["nothing, planted".into()])]);
        assert!(hits.is_empty() && control.contains("here"));
    }
}
