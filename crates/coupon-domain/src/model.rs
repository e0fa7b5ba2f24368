//! The specification of a gate: one campaign's hot state and how it decides, without I/O and without a clock.
//!
//! The embedded gate runs this code; the Lua functions of the Redis gate restate it, and a differential test holds them equal.

mod load;
mod round;

use std::collections::{BTreeMap, HashMap};

use uuid::Uuid;

pub use self::load::{CampaignHead, LoadChunk, LoadError, RoundHead};
pub use self::round::{RoundModel, Seat};
use crate::answer::{Answer, Issued, Outcome, Place, Refusal, Witness};
use crate::campaign::{CampaignState, Transition};
use crate::ids::{RoundId, UserId};
use crate::journal::{Entry, Row, users_line};
use crate::position::{Chain, Position};
use crate::round::{Phase, RoundSpec};
use crate::time::Timestamp;

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
}

/// What became of a transition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transitioned {
    /// The campaign is now in this state.
    Done(CampaignState),
    /// It was there already.
    Unchanged(CampaignState),
    /// It cannot be done from this state.
    Refused(CampaignState),
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
}

/// What a gate tells of a campaign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CampaignView {
    /// Where it stands.
    pub state: CampaignState,
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
    total_limit: Option<u32>,
    max_per_user: u32,
    /// Coupons of each user over all rounds; kept only where there may be several.
    coupons_of: Option<HashMap<UserId, u32>>,
    issued: u64,
    rounds: BTreeMap<RoundId, RoundModel>,
}

impl CampaignModel {
    /// Decides reservations of one round, in order.
    ///
    /// # Errors
    /// If the round is not here.
    pub fn reserve(
        &mut self,
        round: RoundId,
        users: &[UserId],
        clock: Timestamp,
    ) -> Result<Decided<Vec<Answer<Place>>>, NoSuchRound> {
        self.decide(round, users, clock, "place", Self::reserve_one, |place| place.ticket)
    }

    /// Decides claims of one round, in order.
    ///
    /// # Errors
    /// If the round is not here.
    pub fn claim(
        &mut self,
        round: RoundId,
        users: &[UserId],
        clock: Timestamp,
    ) -> Result<Decided<Vec<Answer<Issued>>>, NoSuchRound> {
        self.decide(round, users, clock, "coupon", Self::claim_one, |coupon| coupon.serial)
    }

    fn reserve_one(&mut self, id: RoundId, user: &UserId, at: Timestamp) -> Option<Outcome<Place>> {
        let used_up = self.limit_reached(user);
        let state = self.state;
        let round = self.rounds.get_mut(&id)?;
        if let Some(place) = round.place_of(user) {
            return Some(Outcome::Replayed(place));
        }
        let refusal = round
            .reserve_window_refusal(state)
            .or(used_up.then_some(Refusal::LimitReached))
            .or(round.is_full().then_some(Refusal::Full));
        if let Some(refusal) = refusal {
            return Some(Outcome::Refused(refusal));
        }
        // From here on it must succeed.
        Some(Outcome::Granted(round.take_place(user, at)))
    }

    fn claim_one(&mut self, id: RoundId, user: &UserId, at: Timestamp) -> Option<Outcome<Issued>> {
        let used_up = self.limit_reached(user);
        let state = self.state;
        let total_gone = self.total_limit.is_some_and(|limit| self.issued >= u64::from(limit));
        let round = self.rounds.get_mut(&id)?;
        if let Some(coupon) = round.coupon_of(user) {
            return Some(Outcome::Replayed(coupon));
        }
        let refusal = round
            .claim_window_refusal(state)
            .or(round.lacks_place(user).then_some(Refusal::NotReserved))
            .or(used_up.then_some(Refusal::LimitReached))
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
        one: fn(&mut Self, RoundId, &UserId, Timestamp) -> Option<Outcome<T>>,
        number: fn(&T) -> u32,
    ) -> Result<Decided<Vec<Answer<T>>>, NoSuchRound> {
        let at = clock.max(self.last_at);
        let mut lines = Vec::new();
        let mut n = self.position.n;
        let round = self.rounds.get_mut(&id).ok_or(NoSuchRound(id))?;
        if let Some(row) = round.advance(at) {
            n += 1;
            lines.push(row.to_line());
        }
        let mut granted: Option<(u32, Vec<&UserId>)> = None;
        let mut answers = Vec::with_capacity(users.len());
        for user in users {
            let outcome = one(self, id, user, at).ok_or(NoSuchRound(id))?;
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
        let at = clock.max(self.last_at);
        let mut n = self.position.n;
        let mut lines = Vec::new();
        for round in self.rounds.values_mut() {
            if let Some(row) = round.advance(at) {
                n += 1;
                round.touch(n);
                lines.push(row.to_line());
            }
        }
        let entry = self.append(n, at, &lines);
        Decided { answers: self.view(), entry, position: self.position, at }
    }

    fn view(&self) -> CampaignView {
        CampaignView {
            state: self.state,
            issued: self.issued,
            total_limit: self.total_limit,
            rounds: self.rounds.values().map(RoundModel::view).collect(),
        }
    }

    /// Opens a round.
    pub fn open_round(&mut self, spec: &RoundSpec, clock: Timestamp) -> Decided<RoundOpening> {
        let same = |r: &RoundSpec| r.id == spec.id || r.claim.opens == spec.claim.opens;
        let mut specs = self.rounds.values().map(RoundModel::spec);
        let answer = if self.state == CampaignState::Ended {
            RoundOpening::CampaignEnded
        } else if let Some(there) = specs.clone().find(|r| same(r)) {
            RoundOpening::AlreadyThere(there.id)
        } else if let Some(other) = specs.find(|r| r.claim.overlaps(&spec.claim)) {
            RoundOpening::Overlaps(other.id)
        } else {
            RoundOpening::Opened
        };
        let row = (answer == RoundOpening::Opened).then(|| {
            self.rounds.insert(spec.id, RoundModel::planned(spec.clone(), self.position.n + 1));
            Row::Round(spec.clone())
        });
        self.decided(answer, row, clock)
    }

    /// Changes the campaign's state.
    pub fn transition(
        &mut self,
        transition: Transition,
        request: Option<Uuid>,
        clock: Timestamp,
    ) -> Decided<Transitioned> {
        let (from, to) = transition.from_to();
        let answer = match self.state {
            state if state == from => Transitioned::Done(to),
            state if state == to => Transitioned::Unchanged(state),
            state => Transitioned::Refused(state),
        };
        let row = (answer == Transitioned::Done(to)).then(|| {
            self.state = to;
            Row::State { state: to, verb: transition.as_str().to_owned(), request }
        });
        self.decided(answer, row, clock)
    }

    /// Lets a round leave the gate once it is over for long enough and the ledger, at `recorded`, has all of it.
    ///
    /// # Errors
    /// If the round is not here.
    pub fn retire(&mut self, id: RoundId, recorded: u64, clock: Timestamp) -> Result<Decided<Retirement>, NoSuchRound> {
        let at = clock.max(self.last_at);
        let round = self.rounds.get(&id).ok_or(NoSuchRound(id))?;
        let used = round.is_used();
        let kept = if used { USED_ROUND_KEPT } else { UNUSED_ROUND_KEPT };
        let over = round.phase() == Phase::Closed && at >= round.spec().claim.closes.plus(kept);
        let row = (over && round.last_n() <= recorded).then_some(Row::Retired { round: id, used });
        let answer = if row.is_some() { Retirement::Retired } else { Retirement::Kept };
        if row.is_some() {
            self.rounds.remove(&id);
        }
        Ok(self.decided(answer, row, clock))
    }

    fn decided<T>(&mut self, answers: T, row: Option<Row>, clock: Timestamp) -> Decided<T> {
        let at = clock.max(self.last_at);
        let lines: Vec<_> = row.iter().map(Row::to_line).collect();
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
