//! How an RSA key is made (spec section 3.4; custom resources, section 4.4).

use serde::{Deserialize, Serialize};

use super::refusal::Refusal;

/// What is kept of the wish for an `rsa` credential.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RsaParameters {
    /// Absent: 2048 bits.
    pub key_length: Option<RsaSize>,
}

impl RsaParameters {
    /// With the default of `model` filled in.
    pub fn size(&self, _model: u16) -> RsaSize {
        self.key_length.unwrap_or_default()
    }
}

/// The sizes of RSA keys that are made. Kept as its number of bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "u16", try_from = "u16")]
pub enum RsaSize {
    #[default]
    Rsa2048,
    Rsa3072,
    Rsa4096,
}

impl RsaSize {
    pub const ALL: [Self; 3] = [Self::Rsa2048, Self::Rsa3072, Self::Rsa4096];

    pub fn bits(self) -> u16 {
        match self {
            Self::Rsa2048 => 2048,
            Self::Rsa3072 => 3072,
            Self::Rsa4096 => 4096,
        }
    }

    /// [`Refusal::KeyLength`] for every other number.
    pub fn from_bits(bits: i64) -> Result<Self, Refusal> {
        Self::ALL.into_iter().find(|size| i64::from(size.bits()) == bits).ok_or(Refusal::KeyLength(bits))
    }
}

impl From<RsaSize> for u16 {
    fn from(size: RsaSize) -> Self {
        size.bits()
    }
}

impl TryFrom<u16> for RsaSize {
    type Error = Refusal;

    fn try_from(bits: u16) -> Result<Self, Refusal> {
        Self::from_bits(bits.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_sizes_are_made_and_no_other() {
        for size in RsaSize::ALL {
            assert_eq!(RsaSize::from_bits(size.bits().into()), Ok(size));
        }
        for bits in [i64::MIN, -1, 0, 1024, 2047, 2049, 8192, 65536 + 2048] {
            assert_eq!(RsaSize::from_bits(bits), Err(Refusal::KeyLength(bits)));
        }
    }
}
