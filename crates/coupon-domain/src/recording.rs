//! What the ledger has to write for a run of journal entries: the same rows for every ledger.

use std::collections::HashMap;

use uuid::Uuid;

use crate::campaign::CampaignState;
use crate::ids::{RoundId, UserId};
use crate::journal::{Entry, Row, UnreadableEntry};
use crate::position::{Chain, Position};
use crate::round::{Phase, RoundSpec};
use crate::time::Timestamp;

/// How far the ledger has come with a campaign's journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cursor {
    /// Of the last decision recorded.
    pub position: Position,
    /// The hash of the last entry recorded.
    pub chain: Chain,
    /// The gate's time of the last decision recorded.
    pub last_at: Option<Timestamp>,
}

/// Why a run of entries cannot be recorded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotRecordable {
    /// An entry does not begin behind the one before it: something is missing, or was recorded already.
    #[error("journal entry {found} does not follow decision {cursor}")]
    NotNext {
        /// Where the ledger is.
        cursor: Position,
        /// The entry.
        found: Position,
    },
    /// An entry was not written behind the one that the ledger has: there are two histories.
    #[error("journal entry {0} belongs to another history than the ledger")]
    Fork(Position),
    /// An entry cannot be read.
    #[error(transparent)]
    Unreadable(#[from] UnreadableEntry),
    /// A coupon's round is unknown.
    #[error("journal entry {0} issues coupons of a round that was never opened")]
    UnknownRound(Position),
}

/// A place to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaceRow {
    /// The round.
    pub round: RoundId,
    /// Its number in the round.
    pub ticket: u32,
    /// Whose.
    pub user: UserId,
    /// When it was taken.
    pub reserved_at: Timestamp,
    /// The number of the decision.
    pub n: u64,
}

/// A coupon to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CouponRow {
    /// The round.
    pub round: RoundId,
    /// Its number in the round.
    pub serial: u32,
    /// Whose.
    pub user: UserId,
    /// When it was issued.
    pub claimed_at: Timestamp,
    /// The first instant at which it cannot be redeemed.
    pub expires_at: Timestamp,
    /// The number of the decision.
    pub n: u64,
}

/// A round to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoundRow {
    /// As planned.
    pub spec: RoundSpec,
    /// When it was opened.
    pub at: Timestamp,
    /// The number of the decision.
    pub n: u64,
}

/// A change of phase to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhaseRow {
    /// The round.
    pub round: RoundId,
    /// Its phase from now on.
    pub phase: Phase,
    /// Places taken.
    pub places: u32,
    /// Its supply; `None` while unknown or unbounded.
    pub supply: Option<u32>,
    /// When.
    pub at: Timestamp,
    /// The number of the decision.
    pub n: u64,
}

/// A change of the campaign's state to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateRow {
    /// The new state.
    pub state: CampaignState,
    /// What the operator did.
    pub verb: String,
    /// The request that did it.
    pub request: Option<Uuid>,
    /// When.
    pub at: Timestamp,
    /// The number of the decision.
    pub n: u64,
}

/// A round's leaving the gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetiredRow {
    /// The round.
    pub round: RoundId,
    /// Whether it had a place or a coupon; one without is deleted from the ledger too, without an event.
    pub used: bool,
}

/// All that a run of entries brings, to be written in one transaction together with the cursor.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recording {
    /// Where the ledger must be for this to fit.
    pub from: Cursor,
    /// Where it is afterwards.
    pub to: Cursor,
    /// The epoch of the first entry. A ledger refuses what is older than the epoch in which the campaign is open: it was all drained
    /// before, so it must be of another history.
    pub epoch: u64,
    /// Rounds opened; written first.
    pub rounds: Vec<RoundRow>,
    /// Places taken.
    pub places: Vec<PlaceRow>,
    /// Coupons issued.
    pub coupons: Vec<CouponRow>,
    /// Phases, in order.
    pub phases: Vec<PhaseRow>,
    /// States, in order.
    pub states: Vec<StateRow>,
    /// Rounds that left the gate; written last.
    pub retired: Vec<RetiredRow>,
}

impl Recording {
    /// Reads a run of entries that begins behind the cursor. `known` holds the rounds opened before it whose coupons are in it.
    ///
    /// # Errors
    /// If an entry does not follow, does not fit, or cannot be read.
    pub fn of(from: Cursor, entries: &[Entry], known: &HashMap<RoundId, RoundSpec>) -> Result<Self, NotRecordable> {
        let epoch = entries.first().map_or(from.position.epoch, |entry| entry.epoch);
        let mut recording = Self { from, to: from, epoch, ..Self::default() };
        for entry in entries {
            recording.add(entry, known)?;
        }
        Ok(recording)
    }

    fn add(&mut self, entry: &Entry, known: &HashMap<RoundId, RoundSpec>) -> Result<(), NotRecordable> {
        let position = entry.position();
        if entry.first != self.to.position.n + 1 {
            return Err(NotRecordable::NotNext { cursor: self.to.position, found: position });
        }
        if entry.prev != self.to.chain || entry.epoch < self.to.position.epoch {
            return Err(NotRecordable::Fork(position));
        }
        let mut n = entry.first;
        for row in entry.parse()? {
            let decisions = row.decisions();
            self.add_row(row, n, entry, known)?;
            n += decisions;
        }
        self.to = Cursor { position, chain: entry.chain(), last_at: Some(entry.at) };
        Ok(())
    }

    fn add_row(
        &mut self,
        row: Row,
        n: u64,
        entry: &Entry,
        known: &HashMap<RoundId, RoundSpec>,
    ) -> Result<(), NotRecordable> {
        let at = entry.at;
        match row {
            Row::Places { round, first_ticket, users } => {
                let rows = users.into_iter().zip(first_ticket..).zip(n..);
                self.places.extend(rows.map(|((user, ticket), n)| PlaceRow {
                    round,
                    ticket,
                    user,
                    reserved_at: at,
                    n,
                }));
            }
            Row::Coupons { round, first_serial, users } => {
                let opened = self.rounds.iter().map(|r| &r.spec).find(|spec| spec.id == round);
                let spec = opened.or_else(|| known.get(&round));
                let validity = spec.ok_or(NotRecordable::UnknownRound(entry.position()))?.validity;
                let expires_at = validity.expires_at(at);
                let rows = users.into_iter().zip(first_serial..).zip(n..);
                self.coupons.extend(rows.map(|((user, serial), n)| CouponRow {
                    round,
                    serial,
                    user,
                    claimed_at: at,
                    expires_at,
                    n,
                }));
            }
            Row::Phase { round, phase, places, supply } => {
                self.phases.push(PhaseRow { round, phase, places, supply, at, n });
            }
            Row::State { state, verb, request } => self.states.push(StateRow { state, verb, request, at, n }),
            Row::Round(spec) => self.rounds.push(RoundRow { spec, at, n }),
            Row::Retired { round, used } => self.retired.push(RetiredRow { round, used }),
            Row::Lost { .. } => {}
        }
        Ok(())
    }
}
