//! Thirty-two bytes that are published: a hash, a root, a score, a key after the draw.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::hex;

/// An output of SHA-256 or HMAC-SHA256; written as 64 hexadecimal digits, ordered as a big-endian number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hash([u8; 32]);

/// Why a text is not a [`Hash`](struct@Hash).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 64 hexadecimal digits")]
pub struct InvalidHash;

impl Hash {
    /// SHA-256 of these bytes, one part after the other.
    pub(super) fn of(parts: &[&[u8]]) -> Self {
        let mut hasher = Sha256::new();
        for part in parts {
            hasher.update(part);
        }
        Self(hasher.finalize().into())
    }

    /// Reads 64 hexadecimal digits.
    ///
    /// # Errors
    /// If the text is anything else.
    pub fn parse(hex: &str) -> Result<Self, InvalidHash> {
        hex::decode(hex).and_then(|bytes| bytes.try_into().ok()).map(Self).ok_or(InvalidHash)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<[u8; 32]> for Hash {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl TryFrom<String> for Hash {
    type Error = InvalidHash;
    fn try_from(hex: String) -> Result<Self, InvalidHash> {
        Self::parse(&hex)
    }
}

impl From<Hash> for String {
    fn from(hash: Hash) -> Self {
        hex::encode(&hash.0)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_written_as_it_is_read() {
        let hex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let hash = Hash::of(&[]);
        assert_eq!(Hash::parse(hex), Ok(hash));
        assert_eq!(format!("{hash} {hash:?}"), format!("{hex} {hex}"));
        assert_eq!(serde_json::to_string(&hash).expect("a string"), format!("\"{hex}\""));
        assert_eq!(serde_json::from_str::<Hash>(&format!("\"{hex}\"")).expect("a hash"), hash);
    }

    #[test]
    fn what_is_no_hash_is_refused() {
        for text in ["", "e3", &"0".repeat(63), &"0".repeat(66), &"g".repeat(64)] {
            assert_eq!(Hash::parse(text), Err(InvalidHash), "{text}");
        }
    }
}
