//! DER (X.690), as far as keys and certificates need it: values as bytes with their tag and length in front.

/// A value with its tag and its length.
pub fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(content.len() + 6);
    out.push(tag);
    match u8::try_from(content.len()) {
        Ok(short) if short < 0x80 => out.push(short),
        _ => {
            let length = content.len().to_be_bytes();
            let start = length.iter().position(|byte| *byte != 0).unwrap_or(length.len());
            out.push(0x80 | (length.len() - start) as u8);
            out.extend_from_slice(&length[start..]);
        }
    }
    out.extend_from_slice(content);
    out
}

/// SEQUENCE of values.
pub fn sequence<T: AsRef<[u8]>>(values: &[T]) -> Vec<u8> {
    tlv(SEQUENCE, &joined(values))
}

/// SET of one value, which is all that is written here: several would have to be sorted.
pub fn set_of_one(value: &[u8]) -> Vec<u8> {
    tlv(SET, value)
}

/// INTEGER, from the bytes of a number that is not negative.
pub fn integer(bytes: &[u8]) -> Vec<u8> {
    let start = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len());
    let mut content = Vec::with_capacity(bytes.len() + 1);
    if bytes.get(start).is_none_or(|first| first & 0x80 != 0) {
        content.push(0); // or the number would be negative; zero has one byte
    }
    content.extend_from_slice(&bytes[start..]);
    tlv(INTEGER, &content)
}

/// OBJECT IDENTIFIER, from its content.
pub fn oid(content: &[u8]) -> Vec<u8> {
    tlv(OID, content)
}

/// BIT STRING of whole bytes.
pub fn bit_string(bytes: &[u8]) -> Vec<u8> {
    tlv(BIT_STRING, &[&[0], bytes].concat())
}

/// BIT STRING of named bits, without the zeros at its end (X.690, section 11.2.2).
pub fn named_bits(bits: impl IntoIterator<Item = usize>) -> Vec<u8> {
    let mut content = vec![0];
    let mut last = 0;
    for bit in bits {
        if content.len() < bit / 8 + 2 {
            content.resize(bit / 8 + 2, 0);
        }
        content[bit / 8 + 1] |= 0x80 >> (bit % 8);
        last = last.max(bit);
    }
    content[0] = if content.len() > 1 { 7 - (last % 8) as u8 } else { 0 };
    tlv(BIT_STRING, &content)
}

/// OCTET STRING.
pub fn octets(bytes: &[u8]) -> Vec<u8> {
    tlv(OCTET_STRING, bytes)
}

pub fn joined<T: AsRef<[u8]>>(values: &[T]) -> Vec<u8> {
    values.iter().flat_map(|value| value.as_ref().iter().copied()).collect()
}

/// Reads values one after the other. Nothing is read past the end, and indefinite lengths are refused.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The content of the next value, which must have that tag.
    pub fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (found, content) = self.any()?;
        (found == tag).then_some(content)
    }

    /// The next value, which must be a number, without the zero that keeps it from being negative.
    pub fn number(&mut self) -> Option<&'a [u8]> {
        let content = self.take(INTEGER)?;
        let start = content.iter().position(|byte| *byte != 0).unwrap_or(content.len());
        Some(&content[start..])
    }

    /// A reader of the next value, which must be a sequence.
    pub fn sequence(&mut self) -> Option<Self> {
        self.take(SEQUENCE).map(Self)
    }

    /// Tag and content of the next value.
    pub fn any(&mut self) -> Option<(u8, &'a [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81..=0x84 => {
                let (length, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                (length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, content))
    }
}

pub const BOOLEAN: u8 = 0x01;
pub const INTEGER: u8 = 0x02;
pub const BIT_STRING: u8 = 0x03;
pub const OCTET_STRING: u8 = 0x04;
pub const NULL: u8 = 0x05;
pub const OID: u8 = 0x06;
pub const UTF8_STRING: u8 = 0x0c;
pub const PRINTABLE_STRING: u8 = 0x13;
pub const UTC_TIME: u8 = 0x17;
pub const GENERALIZED_TIME: u8 = 0x18;
pub const SEQUENCE: u8 = 0x30;
pub const SET: u8 = 0x31;

/// The tag of a value that only its place tells, with a number and without values inside.
pub const fn tagged(number: u8) -> u8 {
    0x80 | number
}

/// The same with values inside.
pub const fn constructed(number: u8) -> u8 {
    0xa0 | number
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lengths_are_as_short_as_they_can_be() {
        assert_eq!(tlv(4, &[0; 127])[..2], [4, 127]);
        assert_eq!(tlv(4, &[0; 128])[..3], [4, 0x81, 128]);
        assert_eq!(tlv(4, &[0; 256])[..4], [4, 0x82, 1, 0]);
    }

    #[test]
    fn numbers_are_positive_and_short() {
        assert_eq!(integer(&[0, 0, 0x7f]), [2, 1, 0x7f]);
        assert_eq!(integer(&[0x80]), [2, 2, 0, 0x80]);
        assert_eq!(integer(&[]), [2, 1, 0]);
    }

    #[test]
    fn named_bits_have_no_zeros_at_their_end() {
        assert_eq!(named_bits([5, 6]), [3, 2, 1, 0b0000_0110]);
        assert_eq!(named_bits([0]), [3, 2, 7, 0x80]);
        assert_eq!(named_bits([8]), [3, 3, 7, 0, 0x80]);
        assert_eq!(named_bits([]), [3, 1, 0]);
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(tag in any::<u8>(), content in proptest::collection::vec(any::<u8>(), 0..700)) {
            let written = tlv(tag, &content);
            let mut reader = Reader::new(&written);
            prop_assert_eq!(reader.any(), Some((tag, content.as_slice())));
            prop_assert_eq!(reader.any(), None);
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let mut reader = Reader::new(&bytes);
            while reader.any().is_some() {}
        }
    }
}
