//! What the ledger has to write for a run of journal entries: the same rows for every ledger.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use uuid::Uuid;

use crate::campaign::{CampaignState, Rules};
use crate::code::MasterKeys;
use crate::draw::{Hash, leaf};
use crate::ids::{CampaignId, CouponId, RoundId, UserId};
use crate::journal::{Entry, Row, UnreadableEntry};
use crate::model::{ADD_SUPPLY, UPDATE};
use crate::ports::{Event, EventKind};
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
    /// A place's or coupon's round is unknown.
    #[error("journal entry {0} is about a round that was never opened")]
    UnknownRound(Position),
    /// The leaves of a draw need a master key that is not here.
    #[error("master key {id}, which round {round} uses, is not among the keys")]
    MissingKey {
        /// Its id.
        id: u8,
        /// The round.
        round: RoundId,
    },
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
    /// The leaf of the round's tree, if the round is drawn.
    pub leaf: Option<Hash>,
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

/// What a run of entries does to one round: the values it has afterwards, where they change, and what is added to its counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RoundChange {
    /// Its phase.
    pub phase: Option<Phase>,
    /// Its supply, `Some(None)` if it is unknown or unbounded.
    pub supply: Option<Option<u32>>,
    /// Coupons that the campaign's total limit left when reservation closed; `Some(None)` without one. It counts only for a round that the
    /// ledger has in a phase up to RESERVING: later ones bring it again.
    pub left_at_close: Option<Option<u64>>,
    /// Coupons that were added to its supply, in all.
    pub added: Option<u32>,
    /// Its winners came to the gate, so late.
    pub drawn: Option<Duration>,
    /// Places more.
    pub places: u32,
    /// Coupons more.
    pub issued: u32,
    /// The number of the last decision in it.
    pub last_n: u64,
}

/// What a run of entries does to the campaign: the values it has afterwards, where they change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CampaignChange {
    /// Its state.
    pub state: Option<CampaignState>,
    /// Its rules; a total limit that was raised behind them is in them.
    pub rules: Option<Box<Rules>>,
    /// Its total limit, if the rules do not change otherwise.
    pub total_limit: Option<u32>,
    /// By how much its revision grows.
    pub revisions: u32,
}

/// A change that its event tells of, beside places and coupons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Happening {
    /// What.
    pub kind: EventKind,
    /// In which round.
    pub round: Option<RoundId>,
    /// The new state or phase, where that is what changed.
    pub state: Option<&'static str>,
    /// When.
    pub at: Timestamp,
    /// The number of the decision.
    pub n: u64,
}

/// A change that an operator asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// The operator's verb.
    pub verb: String,
    /// The operator's request; none if the service did it by itself.
    pub request: Option<Uuid>,
    /// When.
    pub at: Timestamp,
    /// What is different now.
    pub change: OperationChange,
}

/// What an operation changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OperationChange {
    /// The campaign's state.
    State(CampaignState),
    /// The campaign's rules.
    Rules(Box<Rules>),
    /// The campaign's total limit.
    TotalLimit(u32),
    /// Coupons that were added to a round's supply, in all.
    Added {
        /// The round.
        round: RoundId,
        /// In all.
        added: u32,
    },
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
    /// What becomes of rounds, those that were opened here too.
    pub changes: BTreeMap<RoundId, RoundChange>,
    /// What becomes of the campaign.
    pub campaign: CampaignChange,
    /// What operators did, in order.
    pub operations: Vec<Operation>,
    /// What events tell of, beside places and coupons, in order.
    pub happenings: Vec<Happening>,
    /// Rounds that left the gate; written last.
    pub retired: Vec<RetiredRow>,
}

impl Recording {
    /// Reads a run of entries that begins behind the cursor. `known` holds the rounds opened before it whose places and coupons are in
    /// it; of places that are drawn the leaves are made with the master keys.
    ///
    /// # Errors
    /// If an entry does not follow, does not fit, or cannot be read.
    pub fn of(
        from: Cursor,
        entries: &[Entry],
        known: &HashMap<RoundId, RoundSpec>,
        keys: &MasterKeys,
    ) -> Result<Self, NotRecordable> {
        let epoch = entries.first().map_or(from.position.epoch, |entry| entry.epoch);
        let mut recording = Self { from, to: from, epoch, ..Self::default() };
        for entry in entries {
            recording.add(entry, &Background { known, keys })?;
        }
        Ok(recording)
    }

    /// What operators' requests did: their verbs.
    pub fn requests(&self) -> impl Iterator<Item = (Uuid, &str)> {
        self.operations.iter().filter_map(|operation| Some((operation.request?, operation.verb.as_str())))
    }

    /// All its events, in order; places and coupons each have their own.
    #[must_use]
    pub fn events(&self, campaign: &CampaignId) -> Vec<Event> {
        let event =
            |kind, n, at| Event { id: Event::id_of_decision(campaign, n), ..Event::new(kind, campaign.clone(), at) };
        let places = self.places.iter().map(|row| {
            let user = Some(row.user.clone());
            (row.n, Event { round: Some(row.round), user, ..event(EventKind::PlaceReserved, row.n, row.reserved_at) })
        });
        let coupons = self.coupons.iter().map(|row| {
            let (user, id) = (Some(row.user.clone()), CouponId { round: row.round, serial: row.serial });
            let plain = event(EventKind::CouponIssued, row.n, row.claimed_at);
            (row.n, Event { round: Some(row.round), coupon: Some(id), user, ..plain })
        });
        let others = self.happenings.iter().map(|row| {
            let state = row.state.map(ToOwned::to_owned);
            (row.n, Event { round: row.round, state, ..event(row.kind, row.n, row.at) })
        });
        let mut events: Vec<_> = places.chain(coupons).chain(others).collect();
        events.sort_by_key(|(n, _)| *n);
        events.into_iter().map(|(_, event)| event).collect()
    }

    fn add(&mut self, entry: &Entry, background: &Background<'_>) -> Result<(), NotRecordable> {
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
            self.add_row(row, n, entry, background)?;
            n += decisions;
        }
        self.to = Cursor { position, chain: entry.chain(), last_at: Some(entry.at) };
        Ok(())
    }

    fn add_row(&mut self, row: Row, n: u64, entry: &Entry, background: &Background<'_>) -> Result<(), NotRecordable> {
        let at = entry.at;
        match row {
            Row::Places { round, first_ticket, users } => {
                let spec = self.spec(round, entry, background)?;
                let leaf =
                    |ticket, user: &UserId| spec.draw.as_ref().map(|_| background.leaf(spec, ticket, user)).transpose();
                let rows = users.into_iter().zip(first_ticket..).zip(n..).map(|((user, ticket), n)| {
                    let leaf = leaf(ticket, &user)?;
                    Ok(PlaceRow { round, ticket, user, leaf, reserved_at: at, n })
                });
                let rows = rows.collect::<Result<Vec<_>, NotRecordable>>()?;
                self.changed(round, rows.last().map_or(n, |row| row.n)).places += row_count(&rows);
                self.places.extend(rows);
            }
            Row::Coupons { round, first_serial, users } => {
                let expires_at = self.spec(round, entry, background)?.validity.expires_at(at);
                let rows = users.into_iter().zip(first_serial..).zip(n..);
                let rows: Vec<_> = rows
                    .map(|((user, serial), n)| CouponRow { round, serial, user, claimed_at: at, expires_at, n })
                    .collect();
                self.changed(round, rows.last().map_or(n, |row| row.n)).issued += row_count(&rows);
                self.coupons.extend(rows);
            }
            Row::Phase { round, phase, supply, left, .. } => {
                let change = self.changed(round, n);
                // A round without reservation goes from PLANNED to CLAIMING, so it is the first phase behind RESERVING that counts.
                if phase > Phase::Reserving && change.left_at_close.is_none() {
                    change.left_at_close = Some(left);
                }
                (change.phase, change.supply) = (Some(phase), Some(supply));
                self.happened(EventKind::RoundPhaseChanged, Some(round), Some(phase.as_str()), at, n);
            }
            Row::Drawn { round, delay, .. } => {
                self.changed(round, n).drawn = Some(delay);
                self.happened(EventKind::RoundDrawn, Some(round), None, at, n);
            }
            Row::Supply { round, added, supply, request, .. } => {
                let change = self.changed(round, n);
                (change.added, change.supply) = (Some(added), Some(supply));
                self.operated(ADD_SUPPLY, request, at, OperationChange::Added { round, added });
                self.happened(EventKind::RoundSupplyAdded, Some(round), None, at, n);
            }
            Row::Total { limit, request, .. } => {
                match &mut self.campaign.rules {
                    Some(rules) => rules.total_limit = Some(limit),
                    None => self.campaign.total_limit = Some(limit),
                }
                self.campaign.revisions += 1;
                self.operated(ADD_SUPPLY, request, at, OperationChange::TotalLimit(limit));
                self.happened(EventKind::CampaignUpdated, None, None, at, n);
            }
            Row::Rules { rules, request } => {
                self.operated(UPDATE, request, at, OperationChange::Rules(rules.clone()));
                self.campaign.rules = Some(rules);
                self.campaign.total_limit = None;
                self.campaign.revisions += 1;
                self.happened(EventKind::CampaignUpdated, None, None, at, n);
            }
            Row::State { state, verb, request } => {
                self.campaign.state = Some(state);
                self.campaign.revisions += 1;
                self.operated(&verb, request, at, OperationChange::State(state));
                self.happened(EventKind::CampaignStateChanged, None, Some(state.as_str()), at, n);
            }
            Row::Round(spec) => {
                self.happened(EventKind::RoundOpened, Some(spec.id), None, at, n);
                self.rounds.push(RoundRow { spec, at, n });
            }
            Row::Retired { round, used } => self.retired.push(RetiredRow { round, used }),
            Row::Lost { .. } => {}
        }
        Ok(())
    }

    fn spec<'a>(
        &'a self,
        round: RoundId,
        entry: &Entry,
        background: &Background<'a>,
    ) -> Result<&'a RoundSpec, NotRecordable> {
        let opened = self.rounds.iter().map(|row| &row.spec).find(|spec| spec.id == round);
        opened.or_else(|| background.known.get(&round)).ok_or(NotRecordable::UnknownRound(entry.position()))
    }

    fn changed(&mut self, round: RoundId, n: u64) -> &mut RoundChange {
        let change = self.changes.entry(round).or_default();
        change.last_n = n;
        change
    }

    fn operated(&mut self, verb: &str, request: Option<Uuid>, at: Timestamp, change: OperationChange) {
        self.operations.push(Operation { verb: verb.to_owned(), request, at, change });
    }

    fn happened(
        &mut self,
        kind: EventKind,
        round: Option<RoundId>,
        state: Option<&'static str>,
        at: Timestamp,
        n: u64,
    ) {
        self.happenings.push(Happening { kind, round, state, at, n });
    }
}

/// What is known beside the entries.
struct Background<'a> {
    known: &'a HashMap<RoundId, RoundSpec>,
    keys: &'a MasterKeys,
}

impl Background<'_> {
    fn leaf(&self, spec: &RoundSpec, ticket: u32, user: &UserId) -> Result<Hash, NotRecordable> {
        let receipt = self.keys.receipt(spec.key_id, spec.id, ticket, user);
        let receipt = receipt.ok_or(NotRecordable::MissingKey { id: spec.key_id, round: spec.id })?;
        Ok(leaf(ticket, user, &receipt))
    }
}

fn row_count<T>(rows: &[T]) -> u32 {
    u32::try_from(rows.len()).unwrap_or(u32::MAX)
}
