//! What a ledger should hold after a run of entries, in memory: the way back into a gate, and what ledgers are compared with.

use std::collections::{BTreeMap, HashMap};

use coupon_domain::answer::{Issued, Place};
use coupon_domain::campaign::CampaignState;
use coupon_domain::ids::{RoundId, UserId};
use coupon_domain::journal::Entry;
use coupon_domain::model::{CampaignHead, LoadChunk, RoundHead, RoundView, Seat};
use coupon_domain::ports::Snapshot;
use coupon_domain::position::Position;
use coupon_domain::recording::{CouponRow, Cursor, NotRecordable, Recording};
use coupon_domain::round::{Phase, RoundSpec};

/// One campaign, folded from the recordings of its journal.
#[derive(Debug, Clone)]
pub struct Fold {
    /// How far it has come.
    pub cursor: Cursor,
    /// Where the campaign stands.
    pub state: CampaignState,
    /// All coupons, in order of the decisions.
    pub coupons: Vec<CouponRow>,
    /// Rounds in the gate or used, and their seats.
    pub rounds: BTreeMap<RoundId, FoldedRound>,
}

/// One round of a [`Fold`].
#[derive(Debug, Clone)]
pub struct FoldedRound {
    /// All but its seats.
    pub head: RoundHead,
    /// By user.
    pub seats: BTreeMap<UserId, Seat>,
    /// Whether it has left the gate.
    pub retired: bool,
}

impl Fold {
    /// Before the first decision.
    #[must_use]
    pub fn new(state: CampaignState) -> Self {
        Self { cursor: Cursor::default(), state, coupons: Vec::new(), rounds: BTreeMap::new() }
    }

    /// All of these entries, folded.
    ///
    /// # Errors
    /// See [`Recording::of`].
    pub fn of(state: CampaignState, entries: &[Entry]) -> Result<Self, NotRecordable> {
        let mut fold = Self::new(state);
        let recording = fold.recording(entries)?;
        fold.apply(&recording);
        Ok(fold)
    }

    /// What these entries bring behind the cursor.
    ///
    /// # Errors
    /// See [`Recording::of`].
    pub fn recording(&self, entries: &[Entry]) -> Result<Recording, NotRecordable> {
        let known: HashMap<RoundId, RoundSpec> =
            self.rounds.iter().map(|(id, round)| (*id, round.head.view.spec.clone())).collect();
        Recording::of(self.cursor, entries, &known)
    }

    /// Takes a recording in, in the order in which a ledger writes it.
    pub fn apply(&mut self, recording: &Recording) {
        for row in &recording.rounds {
            let spec = row.spec.clone();
            let supply = spec.supply.known_at_start();
            let view = RoundView { phase: Phase::Planned, supply, places: 0, issued: 0, spec };
            let head = RoundHead { view, last_n: row.n };
            self.rounds.insert(row.spec.id, FoldedRound { head, seats: BTreeMap::new(), retired: false });
        }
        for row in &recording.places {
            let place = Place { ticket: row.ticket, reserved_at: row.reserved_at };
            self.change(row.round, row.n, |round| {
                round.head.view.places += 1;
                round.seats.entry(row.user.clone()).or_default().place = Some(place);
            });
        }
        for row in &recording.coupons {
            let coupon = Issued { serial: row.serial, claimed_at: row.claimed_at };
            self.change(row.round, row.n, |round| {
                round.head.view.issued += 1;
                round.seats.entry(row.user.clone()).or_default().coupon = Some(coupon);
            });
            self.coupons.push(row.clone());
        }
        for row in &recording.phases {
            self.change(row.round, row.n, |round| {
                round.head.view.phase = row.phase;
                round.head.view.supply = row.supply;
            });
        }
        for row in &recording.states {
            self.state = row.state;
        }
        for row in &recording.retired {
            if row.used {
                self.rounds.entry(row.round).and_modify(|round| round.retired = true);
            } else {
                self.rounds.remove(&row.round);
            }
        }
        self.cursor = recording.to;
    }

    fn change(&mut self, id: RoundId, n: u64, change: impl FnOnce(&mut FoldedRound)) {
        let round = self.rounds.get_mut(&id).expect("a decision is about a round that was opened");
        round.head.last_n = round.head.last_n.max(n);
        change(round);
    }

    /// Coupons of each user over all rounds.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<UserId, u32> {
        let mut counts = BTreeMap::new();
        for coupon in &self.coupons {
            *counts.entry(coupon.user.clone()).or_default() += 1;
        }
        counts
    }

    /// The rounds that are in the gate.
    pub fn in_gate(&self) -> impl Iterator<Item = &FoldedRound> {
        self.rounds.values().filter(|round| !round.retired)
    }

    /// What a ledger answers, its rounds by number.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            cursor: self.cursor,
            state: self.state,
            issued: self.coupons.len() as u64,
            rounds: self.in_gate().map(|round| round.head.clone()).collect(),
        }
    }

    /// What loads a gate in this epoch, so many users in a chunk at most; `like` has the campaign's limits.
    #[must_use]
    pub fn chunks(&self, like: &CampaignHead, epoch: u64, size: usize) -> Vec<LoadChunk> {
        load_chunks(
            like,
            epoch,
            &self.snapshot(),
            size,
            |round| self.rounds[&round].seats.iter().map(|(user, seat)| (user.clone(), *seat)).collect(),
            self.counts().into_iter().collect(),
        )
    }
}

/// What loads a gate in this epoch from what a ledger answers; `like` has the campaign's limits and the time before its first decision.
pub fn load_chunks(
    like: &CampaignHead,
    epoch: u64,
    snapshot: &Snapshot,
    size: usize,
    seats: impl Fn(RoundId) -> Vec<(UserId, Seat)>,
    counts: Vec<(UserId, u32)>,
) -> Vec<LoadChunk> {
    let mut chunks = vec![LoadChunk::Head(CampaignHead {
        position: Position { epoch, n: snapshot.cursor.position.n },
        last_at: snapshot.cursor.last_at.unwrap_or(like.last_at),
        chain: snapshot.cursor.chain,
        state: snapshot.state,
        issued: snapshot.issued,
        ..like.clone()
    })];
    for head in &snapshot.rounds {
        let id = head.view.spec.id;
        chunks.push(LoadChunk::Round(head.clone()));
        chunks.extend(seats(id).chunks(size).map(|some| LoadChunk::Seats(id, some.to_vec())));
    }
    chunks.extend(counts.chunks(size).map(|some| LoadChunk::Counts(some.to_vec())));
    chunks.push(LoadChunk::Open);
    chunks
}
