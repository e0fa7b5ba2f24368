//! The rules of a round's draw, as they are committed to before reservation opens.

use super::{Hash, Seed};
use crate::encoding::Encoder;
use crate::ids::RoundId;
use crate::supply::{Ratio, Rounding, Supply};

/// What decides how many of a round's places win.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DrawParams {
    pub(super) round: RoundId,
    pub(super) ratio: Option<Ratio>,
    pub(super) cap: u32,
}

impl DrawParams {
    /// The rules of a round with this supply, in a campaign with this total limit.
    ///
    /// `None` where nothing can be drawn: for a shared pool, which no round has to itself, and for a total limit of 0, which the
    /// encoding keeps for none.
    #[must_use]
    pub fn new(round: RoundId, supply: Supply, total_limit: Option<u32>) -> Option<Self> {
        match (supply, total_limit) {
            (Supply::SharedPool, _) | (_, Some(0)) => None,
            (Supply::Fixed(n), _) => Some(Self { round, ratio: None, cap: n }),
            (Supply::RatioOfPlaces(ratio), limit) => Some(Self { round, ratio: Some(ratio), cap: limit.unwrap_or(0) }),
        }
    }

    /// The round.
    #[must_use]
    pub fn round(&self) -> RoundId {
        self.round
    }

    /// The share of the places that wins; `None` for a fixed supply.
    #[must_use]
    pub fn ratio(&self) -> Option<Ratio> {
        self.ratio
    }

    /// With a ratio the most that can win, 0 = no such bound; without one the fixed supply.
    #[must_use]
    pub fn cap(&self) -> u32 {
        self.cap
    }

    /// `enc("coupon/draw/v1", round id, u32 numerator, u32 denominator, u8 rounding, u64 cap)`, see [the formulas](super).
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let (numerator, denominator, rounding) = self.ratio.map_or((0, 0, 0), |ratio| {
            let rounding = match ratio.rounding() {
                Rounding::Floor => 0,
                Rounding::Ceil => 1,
                Rounding::Nearest => 2,
            };
            (ratio.numerator(), ratio.denominator(), rounding)
        });
        Encoder::labelled("coupon/draw/v1")
            .field(self.round.to_string().as_bytes())
            .field(&numerator.to_be_bytes())
            .field(&denominator.to_be_bytes())
            .field(&[rounding])
            .number(u64::from(self.cap))
            .into_bytes()
    }

    /// `commit = H(enc("commit", params, seed))`, published with the round: neither can be changed afterwards.
    #[must_use]
    pub fn commit(&self, seed: &Seed) -> Hash {
        Hash::of(&[Encoder::labelled("commit").field(&self.encode()).field(&seed.reveal()).bytes()])
    }

    /// `W = min(rounding(N * numerator / denominator), cap if any) + added`, at most N and the remaining total: how many win.
    ///
    /// `added` is what operators added to the round's supply, `remaining_total` what the campaign's total limit leaves (`None` = no limit).
    #[must_use]
    pub fn winners(&self, places: u32, added: u32, remaining_total: Option<u64>) -> u32 {
        let supply = match (self.ratio, self.cap) {
            (None, supply) => supply,
            (Some(ratio), 0) => ratio.of(places),
            (Some(ratio), cap) => ratio.of(places).min(cap),
        };
        let remaining = remaining_total.map_or(u32::MAX, |total| u32::try_from(total).unwrap_or(u32::MAX));
        // Where the sum saturates, the places are fewer anyway.
        supply.saturating_add(added).min(places).min(remaining)
    }
}
