//! Names of credentials: the only parser, and the only folding.

use std::{fmt, str::FromStr};

/// `/a/b/c`: one leading slash, no empty segment, at most [`MAX_CHARACTERS`] characters (spec section 2.1).
///
/// Two names are equal without regard to case; each keeps the spelling it was made with. Everything that compares names
/// (look-ups, finds, decisions about access) compares [`folded`](Self::folded), so there is one canonical form.
#[derive(Clone)]
pub struct CredentialName {
    spelling: Box<str>,
    folded: Box<str>,
}

impl CredentialName {
    /// As the first writer typed it, leading slash included.
    pub fn as_str(&self) -> &str {
        &self.spelling
    }

    /// The form that look-ups and decisions use.
    pub fn folded(&self) -> &str {
        &self.folded
    }

    /// The first segment, folded: the Kubernetes namespace whose rules govern the name.
    pub fn namespace(&self) -> &str {
        first_segment(&self.folded)
    }

    /// Whether the name lies below `/<namespace>/`.
    pub fn is_within(&self, namespace: &str) -> bool {
        self.folded[1..].split_once('/').is_some_and(|(first, _)| first == fold(namespace))
    }
}

/// The one folding of the product. Names are ASCII, so lower-casing ASCII is all of it.
pub fn fold(text: &str) -> String {
    text.to_ascii_lowercase()
}

/// The first segment of a folded name.
pub fn first_segment(folded: &str) -> &str {
    let rest = folded.strip_prefix('/').unwrap_or(folded);
    rest.split_once('/').map_or(rest, |(first, _)| first)
}

/// Why a text is no name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Nothing, or only a slash.
    #[error("a credential name is missing: give one such as /team/database")]
    Missing,
    /// Something that is neither a letter, a digit nor one of the allowed signs.
    #[error(
        "the name holds {character:?} at position {position}: only letters, digits and - _ / . : , ( ) [ ] + may stand in a name"
    )]
    Character { character: char, position: usize },
    /// `//` or a slash at the end.
    #[error("the name has an empty segment: it must not hold // nor end with a slash")]
    Slash,
    /// Longer than [`MAX_CHARACTERS`].
    #[error("the name has {0} characters, at most 1024 are allowed")]
    Length(usize),
}

impl FromStr for CredentialName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let spelling = if text.starts_with('/') { text.to_owned() } else { format!("/{text}") };
        if spelling.len() == 1 {
            return Err(Error::Missing);
        }
        let length = spelling.chars().count();
        if length > MAX_CHARACTERS {
            return Err(Error::Length(length));
        }
        if let Some((position, character)) = spelling.chars().enumerate().find(|(_, c)| !is_allowed(*c)) {
            return Err(Error::Character { character, position });
        }
        if spelling.ends_with('/') || spelling.contains("//") {
            return Err(Error::Slash);
        }
        Ok(Self { folded: fold(&spelling).into(), spelling: spelling.into() })
    }
}

impl PartialEq for CredentialName {
    fn eq(&self, other: &Self) -> bool {
        self.folded == other.folded
    }
}
impl Eq for CredentialName {}
impl std::hash::Hash for CredentialName {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.folded.hash(state);
    }
}
impl fmt::Display for CredentialName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.spelling)
    }
}
impl fmt::Debug for CredentialName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.spelling)
    }
}

/// What a find asks for (spec section 2.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// Names below this path: folded, with a slash at both ends.
    Below(String),
    /// Names that hold this text anywhere: folded, taken literally.
    Containing(String),
}

impl Pattern {
    /// `path=P`: a slash is added to both ends where absent, so that `/a` finds `/a/b` but neither `/a` nor `/ab`.
    pub fn below(path: &str) -> Self {
        let start = if path.starts_with('/') { "" } else { "/" };
        let end = if path.is_empty() || path.ends_with('/') { "" } else { "/" };
        Self::Below(format!("{start}{}{end}", fold(path)))
    }

    /// `name-like=S`.
    pub fn containing(text: &str) -> Self {
        Self::Containing(fold(text))
    }

    /// Whether a folded name is found.
    pub fn matches(&self, folded: &str) -> bool {
        match self {
            Self::Below(prefix) => folded.starts_with(prefix.as_str()),
            Self::Containing(text) => folded.contains(text.as_str()),
        }
    }
}

fn is_allowed(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_/.:,()[]+".contains(c)
}

/// Including the leading slash.
pub const MAX_CHARACTERS: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_leading_slash_is_added_and_the_spelling_kept() {
        let name: CredentialName = "Shop/Orders-DB".parse().unwrap();
        assert_eq!(name.as_str(), "/Shop/Orders-DB");
        assert_eq!(name.folded(), "/shop/orders-db");
        assert_eq!(name, "/shop/ORDERS-db".parse().unwrap());
    }

    #[test]
    fn each_broken_rule_has_its_own_error() {
        let parse = |text: &str| text.parse::<CredentialName>().map(|_| ()).unwrap_err();
        assert_eq!(parse(""), Error::Missing);
        assert_eq!(parse("/"), Error::Missing);
        assert_eq!(parse("/a b"), Error::Character { character: ' ', position: 2 });
        assert_eq!(parse("/a\u{212a}"), Error::Character { character: '\u{212a}', position: 2 });
        assert_eq!(parse("/a*"), Error::Character { character: '*', position: 2 });
        assert_eq!(parse("//a"), Error::Slash);
        assert_eq!(parse("/a/"), Error::Slash);
        assert_eq!(parse(&format!("/{}", "x".repeat(1024))), Error::Length(1025));
        assert!(format!("/{}", "x".repeat(1023)).parse::<CredentialName>().is_ok());
    }

    #[test]
    fn every_allowed_sign_is_allowed() {
        assert!("/a-_/.:,()[]+9".parse::<CredentialName>().is_ok());
    }

    #[test]
    fn a_name_lies_within_its_first_segment_only() {
        let name: CredentialName = "/Shop/a/b".parse().unwrap();
        assert!(name.is_within("shop"));
        assert!(!name.is_within("sho"));
        assert_eq!(name.namespace(), "shop");
        let bare: CredentialName = "/shop".parse().unwrap();
        assert!(!bare.is_within("shop"));
        assert_eq!(bare.namespace(), "shop");
    }

    #[test]
    fn a_path_finds_what_lies_below_it_and_not_its_neighbours() {
        for path in ["/a", "a", "a/", "/A/"] {
            let pattern = Pattern::below(path);
            assert!(pattern.matches("/a/b"), "{path}");
            assert!(!pattern.matches("/a"), "{path}");
            assert!(!pattern.matches("/ab/c"), "{path}");
        }
        assert!(Pattern::below("").matches("/anything"));
        assert!(Pattern::below("/").matches("/anything"));
        assert!(!Pattern::below("a//").matches("/a/b"));
        assert!(Pattern::containing("").matches("/anything"));
        assert!(Pattern::containing("B/c").matches("/ab/cd"));
        assert!(!Pattern::containing("%").matches("/ab"));
    }

    proptest! {
        #[test]
        fn parsing_what_was_displayed_gives_the_same_name(text in "[ -~]{0,40}") {
            if let Ok(name) = text.parse::<CredentialName>() {
                let again: CredentialName = name.to_string().parse().unwrap();
                prop_assert_eq!(again.as_str(), name.as_str());
            }
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in ".{0,60}") {
            let _ = text.parse::<CredentialName>();
        }

        #[test]
        fn folding_twice_changes_nothing(text in ".{0,60}") {
            prop_assert_eq!(fold(&fold(&text)), fold(&text));
        }
    }
}
