//! What Kubernetes takes as labels, annotations and names. What it would refuse is refused before a value is made for it.

use std::collections::BTreeMap;

/// Refuses labels that the API server would refuse; the text begins with the name of the field and the key.
pub fn check_labels(field: &str, labels: &BTreeMap<String, String>) -> Result<(), String> {
    for (key, value) in labels {
        check_key(field, key, key)?;
        if !value.is_empty() && !is_word(value) {
            return Err(format!(
                "{field}: the value of {key} is no value of a label: use at most 63 letters, digits, - _ and . with a letter \
                 or digit at both ends"
            ));
        }
    }
    Ok(())
}

/// The same for annotations.
pub fn check_annotations(field: &str, annotations: &BTreeMap<String, String>) -> Result<(), String> {
    for key in annotations.keys() {
        check_key(field, key, &key.to_lowercase())?;
    }
    let size: usize = annotations.iter().map(|(key, value)| key.len() + value.len()).sum();
    if size > MOST_ANNOTATIONS {
        return Err(format!("{field}: they have {size} bytes, and {MOST_ANNOTATIONS} is the most: leave some out"));
    }
    Ok(())
}

/// The name of a Secret: labels of DNS with dots between them.
pub fn check_name(field: &str, name: &str) -> Result<(), String> {
    if is_subdomain(name) {
        return Ok(());
    }
    Err(format!("{field}: {name} is no name of a Secret: use at most 253 small letters, digits, - and ."))
}

/// A key of a Secret.
pub fn is_key(key: &str) -> bool {
    (1..=253).contains(&key.len())
        && key.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        && key != "."
        && !key.starts_with("..")
}

fn check_key(field: &str, key: &str, spelling: &str) -> Result<(), String> {
    let (prefix, name) = match spelling.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, spelling),
    };
    if prefix.is_none_or(is_subdomain) && is_word(name) {
        return Ok(());
    }
    Err(format!(
        "{field}: {key} is no key that Kubernetes takes: use at most 63 letters, digits, - _ and . with a letter or digit at \
         both ends, after a prefix such as example.com/ where you like"
    ))
}

fn is_word(text: &str) -> bool {
    let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    text.len() <= 63
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        && ends(text.chars().next())
        && ends(text.chars().next_back())
}

fn is_subdomain(text: &str) -> bool {
    let is_letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_label = |label: &str| {
        label.starts_with(is_letter) && label.ends_with(is_letter) && label.chars().all(|c| is_letter(c) || c == '-')
    };
    text.len() <= 253 && text.split('.').all(is_label)
}

/// The API server takes 256 KiB, ours among them: a path, an id and a hash.
const MOST_ANNOTATIONS: usize = 254 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn one(key: &str, value: &str) -> BTreeMap<String, String> {
        BTreeMap::from([(key.to_owned(), value.to_owned())])
    }

    #[test]
    fn what_kubernetes_takes_is_taken_and_nothing_else() {
        let (most, more) = ("x".repeat(63), "x".repeat(64));
        let good = ["a", "A-1_b.c", "example.com/a", "x.y-z/A", &most, &format!("{}/a", "x".repeat(253))];
        let bad = ["", "-a", "a-", "a b", "a/", "/a", "a/b/c", "X.com/a", "a_b/c", "\u{e4}", &more, "x..y/a", "-x/a"];
        for key in good {
            assert_eq!(check_labels("f", &one(key, "")), Ok(()), "{key}");
            assert_eq!(check_annotations("f", &one(key, "any\nthing")), Ok(()), "{key}");
        }
        for key in bad {
            assert!(check_labels("f", &one(key, "")).is_err(), "{key}");
        }
        // The API server asks about the key of an annotation in small letters.
        assert_eq!(check_annotations("f", &one("X.com/a", "")), Ok(()));
        for (value, taken) in
            [("", true), ("A-1_b.c", true), (&*most, true), (&*more, false), ("-a", false), ("a b", false)]
        {
            assert_eq!(check_labels("f", &one("a", value)).is_ok(), taken, "{value}");
        }
        assert!(check_annotations("f", &one("a", &"x".repeat(254 * 1024))).is_err());
        for (name, taken) in [("a", true), ("a-1.b", true), ("A", false), ("a_b", false), ("a.", false), ("", false)] {
            assert_eq!(check_name("f", name).is_ok(), taken, "{name}");
        }
        for (key, taken) in [("a", true), (".a", true), ("..", false), ("..a", false), (".", false), ("a/b", false)] {
            assert_eq!(is_key(key), taken, "{key}");
        }
    }
}
