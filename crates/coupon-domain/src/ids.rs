//! Identifiers. A value of one of these types is valid; `parse` is the only way in.

use std::fmt;
use std::str::FromStr;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

/// Why a text is not an identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidId {
    /// Nothing was given.
    #[error("is required")]
    Empty,
    /// More than 128 bytes.
    #[error("is longer than 128 bytes")]
    TooLong,
    /// A byte outside the alphabet.
    #[error("has a character outside A-Z a-z 0-9 . _ : @ -")]
    BadCharacter,
    /// Not of the form of a round's or coupon's id.
    #[error("is not of the form {0}")]
    BadForm(&'static str),
}

fn check(raw: &str) -> Result<(), InvalidId> {
    match raw.len() {
        0 => return Err(InvalidId::Empty),
        1..=128 => {}
        _ => return Err(InvalidId::TooLong),
    }
    let allowed = |b: &u8| b.is_ascii_alphanumeric() || b"._:@-".contains(b);
    if raw.as_bytes().iter().all(allowed) { Ok(()) } else { Err(InvalidId::BadCharacter) }
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "CompactString", into = "CompactString")]
        pub struct $name(CompactString);

        impl $name {
            /// The only way in.
            ///
            /// # Errors
            /// If the text is empty, longer than 128 bytes or has a byte outside `[A-Za-z0-9._:@-]`.
            pub fn parse(raw: &str) -> Result<Self, InvalidId> {
                check(raw)?;
                Ok(Self(CompactString::new(raw)))
            }

            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(raw: &str) -> Result<Self, InvalidId> {
                Self::parse(raw)
            }
        }

        impl TryFrom<CompactString> for $name {
            type Error = InvalidId;
            fn try_from(raw: CompactString) -> Result<Self, InvalidId> {
                check(&raw)?;
                Ok(Self(raw))
            }
        }

        impl From<$name> for CompactString {
            fn from(id: $name) -> Self {
                id.0
            }
        }
    };
}

text_id! {
    /// A user as the calling backend knows them: 1 to 128 bytes of `[A-Za-z0-9._:@-]`, compared byte for byte.
    UserId
}
text_id! {
    /// A campaign: 1 to 128 bytes of `[A-Za-z0-9._:@-]`, given by the service.
    CampaignId
}
text_id! {
    /// An order of the shop, unique in a campaign: 1 to 128 bytes of `[A-Za-z0-9._:@-]`.
    OrderId
}
text_id! {
    /// Who made an operator's call: 1 to 128 bytes of `[A-Za-z0-9._:@-]`.
    Actor
}
text_id! {
    /// A reader of the feed of events that keeps its place: 1 to 128 bytes of `[A-Za-z0-9._:@-]`.
    SubscriberName
}

/// A round, by its number, which is unique in the installation; written `r-7`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RoundId(u32);

impl RoundId {
    /// The largest number: a code has 28 bits for it.
    pub const MAX: u32 = (1 << 28) - 1;

    /// The round with this number, if it is from 1 to [`RoundId::MAX`].
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        (1..=Self::MAX).contains(&number).then_some(Self(number))
    }

    /// Its number in the installation.
    #[must_use]
    pub fn number(self) -> u32 {
        self.0
    }

    /// Reads `r-7`.
    ///
    /// # Errors
    /// If the text is empty or of another form.
    pub fn parse(raw: &str) -> Result<Self, InvalidId> {
        if raw.is_empty() {
            return Err(InvalidId::Empty);
        }
        raw.strip_prefix("r-")
            .and_then(canonical_number)
            .and_then(Self::from_number)
            .ok_or(InvalidId::BadForm("r-<number>"))
    }
}

impl fmt::Display for RoundId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "r-{}", self.0)
    }
}

/// A coupon's public id: its round and its serial, written `r-7-12`. It may be logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CouponId {
    /// The round that issued it.
    pub round: RoundId,
    /// Its number in the round: 0, 1, 2 ...
    pub serial: u32,
}

impl CouponId {
    /// The largest serial: a code has 28 bits for it.
    pub const MAX_SERIAL: u32 = (1 << 28) - 1;

    /// Reads `r-7-12`.
    ///
    /// # Errors
    /// If the text is empty or of another form.
    pub fn parse(raw: &str) -> Result<Self, InvalidId> {
        const FORM: InvalidId = InvalidId::BadForm("r-<number>-<serial>");
        if raw.is_empty() {
            return Err(InvalidId::Empty);
        }
        let (round, serial) = raw.rsplit_once('-').ok_or(FORM)?;
        let round = RoundId::parse(round).map_err(|_| FORM)?;
        let serial = canonical_number(serial).filter(|s| *s <= Self::MAX_SERIAL).ok_or(FORM)?;
        Ok(Self { round, serial })
    }
}

impl fmt::Display for CouponId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.round, self.serial)
    }
}

/// Digits without sign or leading zero, so that an id has one spelling.
fn canonical_number(raw: &str) -> Option<u32> {
    let plain = raw.bytes().all(|b| b.is_ascii_digit()) && (raw == "0" || !raw.starts_with('0'));
    plain.then(|| raw.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_any_shape_that_callers_use_are_kept_byte_for_byte() {
        for raw in ["0", "4294967296", "9223372036854775807", "ada@example.com", "a:b_c.d-e", &"x".repeat(128)] {
            assert_eq!(UserId::parse(raw).map(|id| id.to_string()), Ok(raw.to_owned()));
        }
    }

    #[test]
    fn what_is_not_an_id_is_refused_with_the_reason() {
        assert_eq!(UserId::parse(""), Err(InvalidId::Empty));
        assert_eq!(UserId::parse(&"x".repeat(129)), Err(InvalidId::TooLong));
        for raw in ["a b", "a\0", "'; --", "{}", "a\r\n", "é", "🎟"] {
            assert_eq!(UserId::parse(raw), Err(InvalidId::BadCharacter), "{raw:?}");
        }
    }

    #[test]
    fn a_round_and_a_coupon_have_one_spelling() {
        assert_eq!(RoundId::parse("r-7").map(RoundId::number), Ok(7));
        assert_eq!(CouponId::parse("r-7-0").map(|c| c.to_string()), Ok("r-7-0".to_owned()));
        for raw in ["r-0", "r-07", "r-+7", "7", "r-268435456", "r-"] {
            assert!(RoundId::parse(raw).is_err(), "{raw}");
        }
        for raw in ["r-7", "r-7-", "r-7-01", "r-7-268435456", "r-7--1"] {
            assert!(CouponId::parse(raw).is_err(), "{raw}");
        }
    }
}
