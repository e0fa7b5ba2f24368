//! The figures of a rush: what the callers were told, which is what the ledger has.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use coupon_domain::answer::Refusal;
use coupon_domain::campaign::Allocation;
use coupon_domain::choice::Verb;
use coupon_domain::ids::UserId;
use coupon_domain::ports::RoundRecord;
use coupon_domain::stats::{ArrivalBucket, Deciles, deciles};
use serde::Serialize;

use super::crowd::{Crowd, Network};
use super::rush::Told;

/// What a claim came to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Claim {
    /// Whose it was.
    pub(super) visitor: usize,
    /// When it arrived, since claims opened.
    pub(super) at: Duration,
    /// Whether it got a coupon.
    pub(super) won: bool,
}

/// See the module.
#[derive(Debug, Clone, Serialize)]
pub struct Figures {
    /// How coupons were given.
    pub allocation: Allocation,
    /// Users who got a place.
    pub places: u32,
    /// Coupons of the round.
    pub supply: u32,
    /// Users who claimed.
    pub claims: u64,
    /// Coupons that they got.
    pub issued: u32,
    /// What was refused.
    pub refusals: Vec<Refused>,
    /// Calls that ended in an error.
    pub errors: u64,
    /// The first of them.
    pub first_error: Option<String>,
    /// When the last coupon went, in seconds since claims opened; none if some were left.
    pub sold_out_after: Option<f64>,
    /// Tenths of the claims in order of arrival; none below ten claims.
    pub deciles: Vec<Share>,
    /// Claims from fast networks.
    pub fast: Share,
    /// Claims from slow networks.
    pub slow: Share,
    /// How uneven the tenths are: see [`Deciles::chi_square`].
    pub chi_square: Option<f64>,
    /// How likely chance alone is at least that uneven.
    pub p_value: Option<f64>,
    /// Who got a coupon, in order of arrival.
    pub winners: Vec<UserId>,
}

/// So many refusals of one kind.
#[derive(Debug, Clone, Serialize)]
pub struct Refused {
    /// RESERVE or CLAIM.
    pub call: &'static str,
    /// Why.
    pub reason: &'static str,
    /// How often.
    pub count: u64,
}

/// Some of the claims, and how many of them won.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Share {
    /// Claims.
    pub claims: u64,
    /// Those that got a coupon.
    pub won: u64,
    /// `won` over `claims`, 0 without claims.
    pub win_rate: f64,
}

impl Share {
    fn new(claims: u64, won: u64) -> Self {
        Self { claims, won, win_rate: if claims == 0 { 0.0 } else { won as f64 / claims as f64 } }
    }
}

impl Figures {
    /// Of a rush that is over and recorded.
    ///
    /// # Errors
    /// If callers were told otherwise than the ledger has it.
    pub(super) fn of(
        allocation: Allocation,
        crowd: &Crowd,
        told: Told,
        record: Option<&RoundRecord>,
    ) -> anyhow::Result<Self> {
        let view = &record.context("the ledger has no round")?.head.view;
        let won: Vec<_> = told.claims.iter().filter(|claim| claim.won).collect();
        ensure!(
            told.errors > 0 || (told.places, won.len()) == (u64::from(view.places), view.issued as usize),
            "told were {} places and {} coupons, the ledger has {} and {}",
            told.places,
            won.len(),
            view.places,
            view.issued
        );
        let supply = view.supply.context("the supply is not known")?;
        let deciles = by_arrival(&told.claims);
        let of_network = |network| {
            let claims = told.claims.iter().filter(|claim| crowd.visitors[claim.visitor].network == network);
            let (count, won) = claims.fold((0, 0), |(count, won), claim| (count + 1, won + u64::from(claim.won)));
            Share::new(count, won)
        };
        let refused = |((verb, refusal), count): ((Verb, Refusal), u64)| Refused {
            call: call(verb),
            reason: refusal.as_str(),
            count,
        };
        Ok(Self {
            allocation,
            places: view.places,
            supply,
            claims: told.claims.len() as u64,
            issued: view.issued,
            sold_out_after: won.last().filter(|_| view.issued == supply).map(|last| last.at.as_secs_f64()),
            deciles: shares(deciles.as_ref()),
            fast: of_network(Network::Fast),
            slow: of_network(Network::Slow),
            chi_square: deciles.as_ref().and_then(Deciles::chi_square),
            p_value: deciles.as_ref().and_then(Deciles::p_value),
            winners: won.iter().map(|claim| crowd.visitors[claim.visitor].user.clone()).collect(),
            refusals: told.refusals.into_iter().map(refused).collect(),
            errors: told.errors,
            first_error: told.first_error,
        })
    }
}

/// A bucket each, so that the tenths are exact.
fn by_arrival(claims: &[Claim]) -> Option<Deciles> {
    let bucket = |(bucket, claim): (u32, &Claim)| ArrivalBucket {
        bucket,
        won: u64::from(claim.won),
        lost: u64::from(!claim.won),
    };
    deciles(&(0..).zip(claims).map(bucket).collect::<Vec<_>>())
}

fn shares(deciles: Option<&Deciles>) -> Vec<Share> {
    deciles.iter().flat_map(|deciles| deciles.parts).map(|part| Share::new(part.claims, part.won)).collect()
}

fn call(verb: Verb) -> &'static str {
    match verb {
        Verb::Reserve => "RESERVE",
        Verb::Claim => "CLAIM",
    }
}

/// An allocation's word in the contract.
pub(super) fn name(allocation: Allocation) -> &'static str {
    match allocation {
        Allocation::FirstCome => "FIRST_COME",
        Allocation::Draw => "DRAW",
    }
}
