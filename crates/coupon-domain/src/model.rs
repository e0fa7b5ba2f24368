//! The specification of a gate: one campaign's hot state and how it decides, without I/O and without a clock.
//!
//! The embedded gate runs this code; the Lua functions of the Redis gate restate it, and a differential test holds them equal.

mod load;
mod operations;
mod round;

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use uuid::Uuid;

pub use self::load::{CampaignHead, LoadChunk, LoadError, RoundHead};
pub use self::operations::{ADD_SUPPLY, DrawConclusion, Revised, SupplyAdded, SupplyAddition, Transitioned, UPDATE};
pub use self::round::{RoundModel, Seat};
use crate::answer::{Answer, Issued, Outcome, Place, Refusal, Witness};
use crate::campaign::CampaignState;
use crate::ids::{RoundId, UserId};
use crate::journal::{Entry, Row, users_line};
use crate::position::{Chain, Position};
use crate::round::{Phase, RoundSpec};
use crate::time::{Timestamp, Window};

/// A round nobody used is forgotten so long after its close.
pub const UNUSED_ROUND_KEPT: std::time::Duration = std::time::Duration::from_secs(600);
/// A used round leaves the gate so long after its close, once the ledger has all of it.
pub const USED_ROUND_KEPT: std::time::Duration = std::time::Duration::from_secs(3600);

/// What a batch came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided<T> {
    /// The answers, in the order of the questions.
    pub answers: T,
    /// What the gate appended to its journal; `None` if nothing was decided.
    pub entry: Option<Entry>,
    /// The position after it.
    pub position: Position,
    /// The gate's time.
    pub at: Timestamp,
}

impl<T> Decided<T> {
    /// The same decision with other answers.
    pub fn map<U>(self, answers: impl FnOnce(T) -> U) -> Decided<U> {
        let Self { answers: old, entry, position, at } = self;
        Decided { answers: answers(old), entry, position, at }
    }
}

/// What became of opening a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoundOpening {
    /// It is open.
    Opened,
    /// A round with the same start was there before.
    AlreadyThere(RoundId),
    /// Its claim window would share an instant with this round's.
    Overlaps(RoundId),
    /// The campaign has ended.
    CampaignEnded,
    /// It was planned by rules of another revision than this, which the campaign has now.
    Outdated(u64),
}

/// What became of retiring a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retirement {
    /// It has left the gate.
    Retired,
    /// Too early, or the ledger does not have all of it yet.
    Kept,
}

/// The round is not in the gate: it never was, or it has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("round {0} is not in the gate")]
pub struct NoSuchRound(pub RoundId);

/// What a gate tells of a round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoundView {
    /// As planned.
    pub spec: RoundSpec,
    /// By the gate's clock.
    pub phase: Phase,
    /// Its supply; `None` while unknown or unbounded.
    pub supply: Option<u32>,
    /// Places taken.
    pub places: u32,
    /// Coupons issued.
    pub issued: u32,
    /// Coupons that the operator added to its supply.
    pub added: u32,
    /// Whether its winners are known to the gate.
    pub drawn: bool,
    /// By how much a late draw has moved the claim window.
    pub delay: Duration,
}

impl RoundView {
    /// A round of which nothing but its plan is known.
    #[must_use]
    pub fn planned(spec: RoundSpec) -> Self {
        let (phase, supply, delay) = (Phase::Planned, spec.supply.known_at_start(), Duration::ZERO);
        Self { spec, phase, supply, places: 0, issued: 0, added: 0, drawn: false, delay }
    }

    /// The plan as a call without `round_id` sees it: a draw that is awaited keeps the claim window open as long as it may move.
    #[must_use]
    pub fn spec_to_choose(&self) -> RoundSpec {
        let mut spec = self.delayed_spec();
        if spec.draw.is_some() && !self.drawn && self.phase != Phase::Closed {
            spec.claim.closes = spec.claim.closes.plus(RoundSpec::LONGEST_DELAY);
        }
        spec
    }

    /// The plan, its claim window moved by a late draw's delay.
    #[must_use]
    pub fn delayed_spec(&self) -> RoundSpec {
        RoundSpec { claim: self.claim(), ..self.spec.clone() }
    }

    /// When coupons are given, with a late draw's delay.
    #[must_use]
    pub fn claim(&self) -> Window {
        let Window { opens, closes } = self.spec.claim;
        Window { opens: opens.plus(self.delay), closes: closes.plus(self.delay) }
    }
}

/// What a gate tells of a campaign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CampaignView {
    /// Where it stands.
    pub state: CampaignState,
    /// Counts the changes of its rules and state.
    pub revision: u64,
    /// Coupons issued over all rounds.
    pub issued: u64,
    /// The most there may be over all rounds.
    pub total_limit: Option<u32>,
    /// The rounds in the gate, by number.
    pub rounds: Vec<RoundView>,
}

/// One campaign's hot state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CampaignModel {
    position: Position,
    last_at: Timestamp,
    chain: Chain,
    state: CampaignState,
    revision: u64,
    total_limit: Option<u32>,
    max_per_user: u32,
    /// Coupons of each user over all rounds; kept only where there may be several.
    coupons_of: Option<HashMap<UserId, u32>>,
    issued: u64,
    rounds: BTreeMap<RoundId, RoundModel>,
    /// What operators' requests did: their verbs.
    requests: HashMap<Uuid, String>,
}

impl CampaignModel {
    /// Decides reservations of one round, in order. `registered`: whether these users are in the registry.
    ///
    /// # Errors
    /// If the round is not here.
    pub fn reserve(
        &mut self,
        round: RoundId,
        users: &[UserId],
        registered: bool,
        clock: Timestamp,
    ) -> Result<Decided<Vec<Answer<Place>>>, NoSuchRound> {
        let one = |model: &mut Self, user: &UserId, at| model.reserve_one(round, user, registered, at);
        self.decide(round, users, clock, "place", one, |place| place.ticket)
    }

    /// Decides claims of one round, in order. `registered`: whether these users are in the registry.
    ///
    /// # Errors
    /// If the round is not here.
    pub fn claim(
        &mut self,
        round: RoundId,
        users: &[UserId],
        registered: bool,
        clock: Timestamp,
    ) -> Result<Decided<Vec<Answer<Issued>>>, NoSuchRound> {
        let one = |model: &mut Self, user: &UserId, at| model.claim_one(round, user, registered, at);
        self.decide(round, users, clock, "coupon", one, |coupon| coupon.serial)
    }

    fn reserve_one(&mut self, id: RoundId, user: &UserId, registered: bool, at: Timestamp) -> Option<Outcome<Place>> {
        let used_up = self.limit_reached(user);
        let state = self.state;
        let round = self.rounds.get_mut(&id)?;
        if let Some(place) = round.place_of(user) {
            return Some(Outcome::Replayed(place));
        }
        let refusal = round
            .reserve_window_refusal(state)
            .or((!round.admits(registered)).then_some(Refusal::UnknownUser))
            .or(used_up.then_some(Refusal::LimitReached))
            .or(round.is_full().then_some(Refusal::Full));
        if let Some(refusal) = refusal {
            return Some(Outcome::Refused(refusal));
        }
        // From here on it must succeed.
        Some(Outcome::Granted(round.take_place(user, at)))
    }

    fn claim_one(&mut self, id: RoundId, user: &UserId, registered: bool, at: Timestamp) -> Option<Outcome<Issued>> {
        let used_up = self.limit_reached(user);
        let state = self.state;
        let total_gone = self.total_limit.is_some_and(|limit| self.issued >= u64::from(limit));
        let round = self.rounds.get_mut(&id)?;
        if let Some(coupon) = round.coupon_of(user) {
            return Some(Outcome::Replayed(coupon));
        }
        let refusal = round
            .claim_window_refusal(state)
            .or((!round.admits(registered)).then_some(Refusal::UnknownUser))
            .or(round.lacks_place(user).then_some(Refusal::NotReserved))
            .or(used_up.then_some(Refusal::LimitReached))
            .or_else(|| round.draw_refusal(user))
            .or((total_gone || round.is_sold_out()).then_some(Refusal::SoldOut));
        if let Some(refusal) = refusal {
            return Some(Outcome::Refused(refusal));
        }
        // From here on it must succeed.
        let coupon = round.issue(user, at);
        self.issued += 1;
        if let Some(coupons_of) = &mut self.coupons_of {
            *coupons_of.entry(user.clone()).or_default() += 1;
        }
        Some(Outcome::Granted(coupon))
    }

    fn limit_reached(&self, user: &UserId) -> bool {
        let coupons = self.coupons_of.as_ref().and_then(|of| of.get(user)).copied().unwrap_or(0);
        coupons >= self.max_per_user
    }

    /// The shape of both batches: latch the phase, decide in order, append one entry.
    fn decide<T: Copy>(
        &mut self,
        id: RoundId,
        users: &[UserId],
        clock: Timestamp,
        kind: &str,
        one: impl Fn(&mut Self, &UserId, Timestamp) -> Option<Outcome<T>>,
        number: fn(&T) -> u32,
    ) -> Result<Decided<Vec<Answer<T>>>, NoSuchRound> {
        let at = clock.max(self.last_at);
        let mut lines = Vec::new();
        let mut n = self.position.n;
        let left = self.left_in_total();
        let round = self.rounds.get_mut(&id).ok_or(NoSuchRound(id))?;
        if let Some(row) = round.advance(at, left) {
            n += 1;
            lines.push(row.to_line());
        }
        let mut granted: Option<(u32, Vec<&UserId>)> = None;
        let mut answers = Vec::with_capacity(users.len());
        for user in users {
            let outcome = one(self, user, at).ok_or(NoSuchRound(id))?;
            if let Outcome::Granted(yes) = &outcome {
                n += 1;
                granted.get_or_insert_with(|| (number(yes), Vec::new())).1.push(user);
            }
            let position = Position { n, ..self.position };
            answers.push(Answer { outcome, witness: Witness { position, at } });
        }
        if let Some((first, users)) = granted {
            lines.push(users_line(kind, id, first, users));
        }
        let entry = self.append(n, at, &lines);
        if let (Some(entry), Some(round)) = (&entry, self.rounds.get_mut(&id)) {
            round.touch(entry.last);
        }
        Ok(Decided { answers, entry, position: self.position, at })
    }

    /// Latches the phases that the clock says and tells how things stand.
    pub fn tick(&mut self, clock: Timestamp) -> Decided<CampaignView> {
        let rows = self.advance_all(clock.max(self.last_at));
        self.decided((), rows, clock).map(|()| self.view())
    }

    fn advance_all(&mut self, at: Timestamp) -> Vec<Row> {
        let mut n = self.position.n;
        let mut rows = Vec::new();
        for id in self.rounds.keys().copied().collect::<Vec<_>>() {
            let left = self.left_in_total();
            let Some(round) = self.rounds.get_mut(&id) else { continue };
            if let Some(row) = round.advance(at, left) {
                n += 1;
                round.touch(n);
                rows.push(row);
            }
        }
        rows
    }

    /// What the total limit leaves to a round whose reservation closes: what winners of others may still claim is not left.
    fn left_in_total(&self) -> Option<u64> {
        let promised: u64 = self.rounds.values().map(RoundModel::promised).sum();
        self.total_limit.map(|limit| u64::from(limit).saturating_sub(self.issued + promised))
    }

    fn view(&self) -> CampaignView {
        CampaignView {
            state: self.state,
            revision: self.revision,
            issued: self.issued,
            total_limit: self.total_limit,
            rounds: self.rounds.values().map(RoundModel::view).collect(),
        }
    }

    /// Appends rows that count as one decision each.
    fn decided<T>(&mut self, answers: T, rows: impl IntoIterator<Item = Row>, clock: Timestamp) -> Decided<T> {
        let at = clock.max(self.last_at);
        let lines: Vec<_> = rows.into_iter().map(|row| row.to_line()).collect();
        let entry = self.append(self.position.n + lines.len() as u64, at, &lines);
        Decided { answers, entry, position: self.position, at }
    }

    fn append(&mut self, last: u64, at: Timestamp, lines: &[String]) -> Option<Entry> {
        if lines.is_empty() {
            return None;
        }
        let first = self.position.n + 1;
        let entry = Entry { epoch: self.position.epoch, first, last, at, prev: self.chain, rows: lines.join("\n") };
        self.position.n = last;
        self.last_at = at;
        self.chain = entry.chain();
        Some(entry)
    }

    /// The position of the last decision.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }

    /// The hash of the last journal entry.
    #[must_use]
    pub fn chain(&self) -> Chain {
        self.chain
    }

    /// Raises the epoch at a recovery that found nothing missing.
    pub fn raise_epoch(&mut self, epoch: u64) {
        self.position.epoch = epoch;
    }
}
