//! The file that lets anyone check a draw: the rules, every leaf and, after the claims, the secrets.

use serde::{Deserialize, Serialize};

use super::{DrawParams, Hash, Seed};
use crate::ids::{CampaignId, RoundId};
use crate::supply::Ratio;

/// A draw as it is published, in JSON; bytes are hexadecimal digits.
///
/// Every field is in the file: one that is lost must not look like one that is not published yet, which is null. Seed, key, number of
/// winners and the last winner's score are published together, after the claims close.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishedDraw {
    /// How the file is written and the draw worked out.
    pub format: Format,
    /// The campaign. No formula has it: a round's id says enough.
    pub campaign_id: CampaignId,
    /// The round.
    #[serde(with = "round_id_as_text")]
    pub round_id: RoundId,
    /// The share of the places that wins; null for a fixed supply.
    #[serde(deserialize_with = "present")]
    pub ratio: Option<Ratio>,
    /// With a ratio the most that can win, 0 = no such bound; without one the fixed supply.
    pub cap: u32,
    /// What operators added to the supply before reservation closed.
    pub added: u32,
    /// What the campaign's total limit left for this round; null without a limit.
    #[serde(deserialize_with = "present")]
    pub remaining_total: Option<u64>,
    /// The commit, known since before reservation opened.
    pub commit: Hash,
    /// N, the number of places.
    pub places: u32,
    /// The root over the leaves, known since reservation closed.
    pub root: Hash,
    /// Which public randomness was promised, named before reservation opened; null without.
    #[serde(deserialize_with = "present")]
    pub beacon_source: Option<String>,
    /// Its bytes; null without, or as long as they are not known.
    #[serde(with = "bytes_as_hex")]
    pub beacon: Option<Vec<u8>>,
    /// The seed.
    #[serde(with = "seed_as_hex")]
    pub seed: Option<Seed>,
    /// K, the key of the draw.
    #[serde(deserialize_with = "present")]
    pub key: Option<Hash>,
    /// W, the number of winners.
    #[serde(deserialize_with = "present")]
    pub winners: Option<u32>,
    /// The score of the last winner; null also if nobody won.
    #[serde(deserialize_with = "present")]
    pub last_score: Option<Hash>,
    /// The leaf of each place, by ticket.
    pub leaves: Vec<Hash>,
}

/// The formats of a published draw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Format {
    /// draw/v1, see [the formulas](super).
    #[default]
    #[serde(rename = "coupon/draw/v1")]
    V1,
}

/// A file that is no published draw: cut off, of another format, with a field missing, unknown or of the wrong kind.
#[derive(Debug, thiserror::Error)]
#[error("this is not the file of a draw: {0}")]
pub struct UnreadableDraw(#[from] serde_json::Error);

impl PublishedDraw {
    /// Reads the file. That it can be read says nothing about the draw: see [`PublishedDraw::verify`].
    ///
    /// # Errors
    /// If it is not JSON of this form, field by field.
    pub fn parse(json: &str) -> Result<Self, UnreadableDraw> {
        Ok(serde_json::from_str(json)?)
    }

    /// The file's text.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The rules of the draw.
    #[must_use]
    pub fn params(&self) -> DrawParams {
        DrawParams { round: self.round_id, ratio: self.ratio, cap: self.cap }
    }
}

/// Reads a field that may be null but not missing.
fn present<'de, T: Deserialize<'de>, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    Option::deserialize(deserializer)
}

mod round_id_as_text {
    use serde::{Deserialize as _, Deserializer, Serializer, de};

    use crate::ids::RoundId;

    pub(super) fn serialize<S: Serializer>(round: &RoundId, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(round)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<RoundId, D::Error> {
        RoundId::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

mod bytes_as_hex {
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer, de};

    use crate::draw::hex;

    pub(super) fn serialize<S: Serializer>(bytes: &Option<Vec<u8>>, serializer: S) -> Result<S::Ok, S::Error> {
        bytes.as_deref().map(hex::encode).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<u8>>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        let read = |text: String| hex::decode(&text).ok_or_else(|| de::Error::custom("must be hexadecimal digits"));
        text.map(read).transpose()
    }
}

/// The one place where a seed is written in the clear.
mod seed_as_hex {
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    use crate::draw::{Hash, Seed};

    pub(super) fn serialize<S: Serializer>(seed: &Option<Seed>, serializer: S) -> Result<S::Ok, S::Error> {
        seed.as_ref().map(|seed| Hash::from(seed.reveal())).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Seed>, D::Error> {
        let digits = Option::<Hash>::deserialize(deserializer)?;
        Ok(digits.map(|digits| Seed::from(*digits.as_bytes())))
    }
}
