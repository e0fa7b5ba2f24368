//! How many coupons a round has.

use serde::{Deserialize, Serialize};

/// What part of a coupon becomes when a ratio does not come out even.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Rounding {
    /// Down: one coupon per full share.
    #[default]
    Floor,
    /// Up: one for a begun share too.
    Ceil,
    /// To the nearest, half up.
    Nearest,
}

/// A fraction in (0, 1]; 20 % is 1/5.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawRatio", into = "RawRatio")]
pub struct Ratio {
    numerator: u32,
    denominator: u32,
    rounding: Rounding,
}

/// A ratio must lie in (0, 1] with a denominator of at most [`Ratio::MAX_DENOMINATOR`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be more than 0 and at most 1, with a denominator of at most 1000000")]
pub struct InvalidRatio;

impl Ratio {
    /// Keeps `places * numerator` exact in Lua's doubles.
    pub const MAX_DENOMINATOR: u32 = 1_000_000;

    /// The fraction `numerator / denominator`.
    ///
    /// # Errors
    /// If it does not lie in (0, 1] or the denominator is too large.
    pub fn new(numerator: u32, denominator: u32, rounding: Rounding) -> Result<Self, InvalidRatio> {
        let valid = numerator >= 1 && numerator <= denominator && denominator <= Self::MAX_DENOMINATOR;
        if valid { Ok(Self { numerator, denominator, rounding }) } else { Err(InvalidRatio) }
    }

    /// Coupons for so many places.
    #[must_use]
    pub fn of(self, places: u32) -> u32 {
        let (n, d) = (u64::from(self.numerator), u64::from(self.denominator));
        let share = u64::from(places) * n;
        let coupons = match self.rounding {
            Rounding::Floor => share / d,
            Rounding::Ceil => share.div_ceil(d),
            Rounding::Nearest => (2 * share + d) / (2 * d),
        };
        // At most `places`, since the ratio is at most 1.
        u32::try_from(coupons).unwrap_or(places)
    }

    /// Above the line.
    #[must_use]
    pub fn numerator(self) -> u32 {
        self.numerator
    }

    /// Below the line.
    #[must_use]
    pub fn denominator(self) -> u32 {
        self.denominator
    }

    /// What becomes of a part.
    #[must_use]
    pub fn rounding(self) -> Rounding {
        self.rounding
    }
}

#[derive(Serialize, Deserialize)]
struct RawRatio {
    numerator: u32,
    denominator: u32,
    rounding: Rounding,
}

impl TryFrom<RawRatio> for Ratio {
    type Error = InvalidRatio;
    fn try_from(raw: RawRatio) -> Result<Self, InvalidRatio> {
        Self::new(raw.numerator, raw.denominator, raw.rounding)
    }
}

impl From<Ratio> for RawRatio {
    fn from(Ratio { numerator, denominator, rounding }: Ratio) -> Self {
        Self { numerator, denominator, rounding }
    }
}

/// The rule of a round's supply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Supply {
    /// So many.
    Fixed(u32),
    /// A share of the places taken when reservation closes.
    RatioOfPlaces(Ratio),
    /// Whatever the campaign's total limit leaves: its rounds share one pool.
    SharedPool,
}

impl Supply {
    /// Coupons of one round at most.
    pub const MAX: u32 = 200_000_000;

    /// The round's own supply once reservation has closed with so many places; `None` if only the campaign's total limit bounds it.
    #[must_use]
    pub fn for_places(self, places: u32) -> Option<u32> {
        match self {
            Self::Fixed(n) => Some(n),
            Self::RatioOfPlaces(ratio) => Some(ratio.of(places)),
            Self::SharedPool => None,
        }
    }

    /// What is known of it before reservation closes.
    #[must_use]
    pub fn known_at_start(self) -> Option<u32> {
        match self {
            Self::Fixed(n) => Some(n),
            Self::RatioOfPlaces(_) | Self::SharedPool => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn a_fifth(rounding: Rounding) -> Vec<u32> {
        let ratio = Ratio::new(1, 5, rounding).expect("a fifth is a ratio");
        [0, 1, 4, 5, 6, 9, 10, 299, 301].map(|places| ratio.of(places)).to_vec()
    }

    #[test]
    fn a_fifth_of_the_places_in_all_roundings() {
        assert_eq!(a_fifth(Rounding::Floor), [0, 0, 0, 1, 1, 1, 2, 59, 60]);
        assert_eq!(a_fifth(Rounding::Ceil), [0, 1, 1, 1, 2, 2, 2, 60, 61]);
        assert_eq!(a_fifth(Rounding::Nearest), [0, 0, 1, 1, 1, 2, 2, 60, 60]);
    }

    proptest! {
        #[test]
        fn the_roundings_enclose_the_fraction(places in 0u32..=10_000_000, d in 1u32..=1_000_000, n in 1u32..=1_000_000) {
            let n = n.min(d);
            let of = |rounding| Ratio::new(n, d, rounding).expect("in range").of(places);
            let exact = f64::from(places) * f64::from(n) / f64::from(d);
            let (floor, ceil, nearest) = (of(Rounding::Floor), of(Rounding::Ceil), of(Rounding::Nearest));
            prop_assert!(floor <= nearest && nearest <= ceil && ceil <= places && ceil - floor <= 1);
            prop_assert!((f64::from(nearest) - exact).abs() <= 0.5 + 1e-6);
        }
    }
}
