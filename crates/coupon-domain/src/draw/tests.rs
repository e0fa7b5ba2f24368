//! The draw as a whole, against figures that were worked out elsewhere.

mod fairness;
mod known_answers;
mod tampering;
mod winners;

use super::merkle::TreeBuilder;
use super::*;
use crate::ids::{CampaignId, RoundId};
use crate::supply::{Ratio, Rounding, Supply};

/// The seed of the known answers.
fn seed() -> Seed {
    Seed::from(std::array::from_fn(|at| at as u8))
}

fn user(ticket: u32) -> UserId {
    UserId::parse(&format!("user-{ticket}")).expect("an id")
}

fn receipt(ticket: u32) -> [u8; 16] {
    *Hash::of(&[format!("receipt-{ticket}").as_bytes()]).as_bytes().first_chunk().expect("32 bytes begin with 16")
}

fn leaves(places: u32) -> Vec<Hash> {
    (0..places).map(|ticket| leaf(ticket, &user(ticket), &receipt(ticket))).collect()
}

fn root(leaves: &[Hash]) -> Hash {
    leaves.iter().copied().collect::<TreeBuilder>().root()
}

fn ratio(numerator: u32, denominator: u32, rounding: Rounding) -> Supply {
    Supply::RatioOfPlaces(Ratio::new(numerator, denominator, rounding).expect("a ratio"))
}

/// The rules of round r-7.
fn params(supply: Supply, total_limit: Option<u32>) -> DrawParams {
    DrawParams::new(RoundId::parse("r-7").expect("a round"), supply, total_limit).expect("it can be drawn")
}

/// A draw of the known answers' users under these rules, as it is published.
fn publish(
    params: &DrawParams,
    places: u32,
    added: u32,
    remaining: Option<u64>,
    drand: Option<&[u8]>,
) -> PublishedDraw {
    let source = "drand:quicknet:1234567";
    let leaves = leaves(places);
    let root = root(&leaves);
    let key = DrawKey::of(&seed(), params, places, &root, &drand.map_or_else(Vec::new, |bytes| beacon(source, bytes)));
    let winners = params.winners(places, added, remaining);
    PublishedDraw {
        format: Format::V1,
        campaign_id: CampaignId::parse("spring").expect("an id"),
        round_id: params.round(),
        ratio: params.ratio(),
        cap: params.cap(),
        added,
        remaining_total: remaining,
        commit: params.commit(&seed()),
        places,
        root,
        beacon_source: drand.map(|_| source.to_owned()),
        beacon: drand.map(<[u8]>::to_vec),
        seed: Some(seed()),
        key: Some(key.reveal()),
        winners: Some(winners),
        last_score: rank(&key, places).last_score(&key, winners),
        leaves,
    }
}
