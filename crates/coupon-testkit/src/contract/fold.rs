//! What a ledger should hold after a run of entries, in memory: the way back into a gate, and what ledgers are compared with.

use std::collections::{BTreeMap, HashMap};

use coupon_domain::answer::{Issued, Place};
use coupon_domain::audit::CREATE;
use coupon_domain::campaign::{CampaignState, Rules};
use coupon_domain::draw::Hash;
use coupon_domain::ids::{RoundId, UserId};
use coupon_domain::journal::Entry;
use coupon_domain::model::{CampaignHead, LoadChunk, RoundHead, RoundView, Seat};
use coupon_domain::ports::{NewCampaign, Snapshot};
use coupon_domain::position::Position;
use coupon_domain::recording::{CampaignChange, CouponRow, Cursor, NotRecordable, Recording, RoundChange};
use coupon_domain::round::{Phase, RoundSpec};
use uuid::Uuid;

use crate::build::keys;

/// One campaign, folded from the recordings of its journal.
#[derive(Debug, Clone)]
pub struct Fold {
    /// How far it has come.
    pub cursor: Cursor,
    /// Where the campaign stands.
    pub state: CampaignState,
    /// What it offers.
    pub rules: Rules,
    /// Changes of rules and state so far, and the creation.
    pub revision: u64,
    /// What operators' requests did.
    pub requests: BTreeMap<Uuid, String>,
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
    /// The leaves of drawn places, by ticket.
    pub leaves: Vec<Hash>,
    /// Who won, if it is drawn; no journal tells, see [`Fold::won`].
    pub winners: Vec<u8>,
    /// What the total limit left when reservation closed.
    pub left_at_close: Option<u64>,
    /// Whether it has left the gate.
    pub retired: bool,
}

impl Fold {
    /// Before the first decision.
    #[must_use]
    pub fn new(rules: Rules, state: CampaignState) -> Self {
        Self {
            cursor: Cursor::default(),
            state,
            rules,
            revision: 1,
            requests: BTreeMap::new(),
            coupons: Vec::new(),
            rounds: BTreeMap::new(),
        }
    }

    /// The campaign that was just created.
    #[must_use]
    pub fn created(new: &NewCampaign) -> Self {
        let requests = new.by.request.map(|id| (id, CREATE.to_owned())).into_iter().collect();
        Self { requests, ..Self::new(new.rules.clone(), new.state) }
    }

    /// Keeps who won a round, which a ledger knows from its draws.
    pub fn won(&mut self, round: RoundId, winners: &[u8]) {
        self.rounds.get_mut(&round).expect("a round that was opened is drawn").winners = winners.to_vec();
    }

    /// All of these entries, folded.
    ///
    /// # Errors
    /// See [`Recording::of`].
    pub fn of(rules: Rules, state: CampaignState, entries: &[Entry]) -> Result<Self, NotRecordable> {
        let mut fold = Self::new(rules, state);
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
        Recording::of(self.cursor, entries, &known, &keys())
    }

    /// Takes a recording in, in the order in which a ledger writes it.
    pub fn apply(&mut self, recording: &Recording) {
        for row in &recording.rounds {
            let head = RoundHead { view: RoundView::planned(row.spec.clone()), last_n: row.n };
            let (seats, leaves, winners) = (BTreeMap::new(), Vec::new(), Vec::new());
            let round = FoldedRound { head, seats, leaves, winners, left_at_close: None, retired: false };
            self.rounds.insert(row.spec.id, round);
        }
        for (round, change) in &recording.changes {
            self.change(*round, change);
        }
        for row in &recording.places {
            let place = Place { ticket: row.ticket, reserved_at: row.reserved_at };
            let round = self.rounds.get_mut(&row.round).expect("a place is in a round that was opened");
            round.seats.entry(row.user.clone()).or_default().place = Some(place);
            round.leaves.extend(row.leaf);
        }
        for row in &recording.coupons {
            let coupon = Issued { serial: row.serial, claimed_at: row.claimed_at };
            let round = self.rounds.get_mut(&row.round).expect("a coupon is of a round that was opened");
            round.seats.entry(row.user.clone()).or_default().coupon = Some(coupon);
            self.coupons.push(row.clone());
        }
        let CampaignChange { state, rules, total_limit, revisions } = recording.campaign.clone();
        self.state = state.unwrap_or(self.state);
        self.rules = rules.map_or_else(|| self.rules.clone(), |rules| *rules);
        self.rules.total_limit = total_limit.or(self.rules.total_limit);
        self.revision += u64::from(revisions);
        for (request, verb) in recording.requests() {
            self.requests.entry(request).or_insert_with(|| verb.to_owned());
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

    fn change(&mut self, id: RoundId, change: &RoundChange) {
        let round = self.rounds.get_mut(&id).expect("a decision is about a round that was opened");
        let RoundHead { view, last_n } = &mut round.head;
        if view.phase <= Phase::Reserving {
            round.left_at_close = change.left_at_close.unwrap_or(round.left_at_close);
        }
        view.phase = change.phase.unwrap_or(view.phase);
        view.supply = change.supply.unwrap_or(view.supply);
        view.added = change.added.unwrap_or(view.added);
        view.drawn |= change.drawn.is_some();
        view.delay = change.drawn.unwrap_or(view.delay);
        view.places += change.places;
        view.issued += change.issued;
        *last_n = change.last_n;
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
            rules: self.rules.clone(),
            revision: self.revision,
            requests: self.requests.iter().map(|(id, verb)| (*id, verb.clone())).collect(),
            issued: self.coupons.len() as u64,
            rounds: self.in_gate().map(|round| round.head.clone()).collect(),
        }
    }

    /// What loads a gate in this epoch, so many users in a chunk at most; before its first decision the gate's time is that of `like`.
    #[must_use]
    pub fn chunks(&self, like: &CampaignHead, epoch: u64, size: usize) -> Vec<LoadChunk> {
        load_chunks(
            like,
            epoch,
            &self.snapshot(),
            size,
            |round| self.rounds[&round].seats.iter().map(|(user, seat)| (user.clone(), *seat)).collect(),
            |round| self.rounds[&round].winners.clone(),
            self.counts().into_iter().collect(),
        )
    }
}

/// What loads a gate in this epoch from what a ledger answers; before its first decision the gate's time is that of `like`.
pub fn load_chunks(
    like: &CampaignHead,
    epoch: u64,
    snapshot: &Snapshot,
    size: usize,
    seats: impl Fn(RoundId) -> Vec<(UserId, Seat)>,
    winners: impl Fn(RoundId) -> Vec<u8>,
    counts: Vec<(UserId, u32)>,
) -> Vec<LoadChunk> {
    let mut chunks = vec![LoadChunk::Head(CampaignHead {
        position: Position { epoch, n: snapshot.cursor.position.n },
        last_at: snapshot.cursor.last_at.unwrap_or(like.last_at),
        chain: snapshot.cursor.chain,
        state: snapshot.state,
        revision: snapshot.revision,
        total_limit: snapshot.rules.total_limit,
        max_per_user: snapshot.rules.coupons_per_user(),
        counts_users: snapshot.rules.schedule.recurs(),
        issued: snapshot.issued,
    })];
    for head in &snapshot.rounds {
        let id = head.view.spec.id;
        chunks.push(LoadChunk::Round(head.clone()));
        chunks.extend(seats(id).chunks(size).map(|some| LoadChunk::Seats(id, some.to_vec())));
        let parts = (0..).step_by(size);
        let winners = winners(id);
        chunks
            .extend(winners.chunks(size).zip(parts).map(|(part, first)| LoadChunk::Winners(id, first, part.to_vec())));
    }
    chunks.extend(snapshot.requests.chunks(size).map(|some| LoadChunk::Requests(some.to_vec())));
    chunks.extend(counts.chunks(size).map(|some| LoadChunk::Counts(some.to_vec())));
    chunks.push(LoadChunk::Open);
    chunks
}
