//! What a ledger does with recordings, in memory and without a doubt.

use std::collections::{BTreeMap, HashMap};

use coupon_domain::answer::{Issued, Place};
use coupon_domain::campaign::{CampaignState, Rules};
use coupon_domain::ids::{RoundId, UserId};
use coupon_domain::journal::Entry;
use coupon_domain::model::{CampaignHead, LoadChunk, RoundHead, RoundView, Seat};
use coupon_domain::recording::{Cursor, NotRecordable, Recording, RoundChange};
use coupon_domain::round::{Phase, RoundSpec};
use uuid::Uuid;

use crate::build::keys;
use crate::history::History;
use crate::play::head_of;

/// A round, also one that has left the gate.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LedgerRound {
    pub(crate) head: RoundHead,
    pub(crate) left_at_close: Option<u64>,
    pub(crate) seats: BTreeMap<UserId, Seat>,
    pub(crate) retired: bool,
}

/// All that is recorded of a campaign.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Ledger {
    pub(crate) cursor: Cursor,
    pub(crate) rules: Rules,
    pub(crate) state: CampaignState,
    pub(crate) revision: u64,
    pub(crate) requests: BTreeMap<Uuid, String>,
    pub(crate) rounds: BTreeMap<RoundId, LedgerRound>,
    begin: CampaignHead,
}

impl Ledger {
    pub(crate) fn new(history: &History) -> Self {
        Self {
            cursor: Cursor::default(),
            rules: history.rules.clone(),
            state: history.state,
            revision: head_of(history).revision,
            requests: BTreeMap::new(),
            rounds: BTreeMap::new(),
            begin: head_of(history),
        }
    }

    pub(crate) fn specs(&self) -> HashMap<RoundId, RoundSpec> {
        self.rounds.iter().map(|(id, round)| (*id, round.head.view.spec.clone())).collect()
    }

    pub(crate) fn read(&self, entries: &[Entry]) -> Result<Recording, NotRecordable> {
        Recording::of(self.cursor, entries, &self.specs(), &keys())
    }

    /// Writes it all, and checks what a ledger's constraints check.
    pub(crate) fn record(&mut self, recording: &Recording) {
        assert_eq!(recording.from, self.cursor);
        for row in &recording.rounds {
            let head = RoundHead { view: RoundView::planned(row.spec.clone()), last_n: row.n };
            let round = LedgerRound { head, left_at_close: None, seats: BTreeMap::new(), retired: false };
            assert_eq!(self.rounds.insert(row.spec.id, round), None, "a round is opened once");
        }
        for row in &recording.places {
            let place = Place { ticket: row.ticket, reserved_at: row.reserved_at };
            let seat = self.round(row.round).seats.entry(row.user.clone()).or_default();
            assert_eq!(seat.place.replace(place), None, "one place a user");
        }
        for row in &recording.coupons {
            let coupon = Issued { serial: row.serial, claimed_at: row.claimed_at };
            let seat = self.round(row.round).seats.entry(row.user.clone()).or_default();
            assert_eq!(seat.coupon.replace(coupon), None, "one coupon a user");
        }
        for (id, change) in &recording.changes {
            self.round(*id).change(change);
        }
        let campaign = &recording.campaign;
        self.state = campaign.state.unwrap_or(self.state);
        if let Some(rules) = &campaign.rules {
            assert_eq!(campaign.total_limit, None, "it is in the rules");
            self.rules = rules.as_ref().clone();
        }
        self.rules.total_limit = campaign.total_limit.or(self.rules.total_limit);
        self.revision += u64::from(campaign.revisions);
        for (id, verb) in recording.requests() {
            assert_eq!(self.requests.insert(id, verb.to_owned()), None, "a request does something once");
        }
        for row in &recording.retired {
            let round = self.round(row.round);
            assert_eq!(row.used, !round.seats.is_empty());
            if row.used {
                round.retired = true;
            } else {
                self.rounds.remove(&row.round);
            }
        }
        self.cursor = recording.to;
        self.constraints_hold();
    }

    fn round(&mut self, id: RoundId) -> &mut LedgerRound {
        self.rounds.get_mut(&id).expect("it was opened")
    }

    pub(crate) fn issued(&self) -> u64 {
        self.rounds.values().map(|round| u64::from(round.head.view.issued)).sum()
    }

    /// Rounds that have not left the gate.
    pub(crate) fn in_gate(&self) -> impl Iterator<Item = (&RoundId, &LedgerRound)> {
        self.rounds.iter().filter(|(_, round)| !round.retired)
    }

    fn constraints_hold(&self) {
        let (issued, limit) = (self.issued(), self.rules.total_limit);
        assert!(limit.is_none_or(|limit| issued <= u64::from(limit)), "{issued} coupons of {limit:?}");
        for (id, LedgerRound { head: RoundHead { view, .. }, .. }) in &self.rounds {
            assert!(
                view.supply.is_none_or(|supply| view.issued <= supply),
                "{id}: {} of {:?}",
                view.issued,
                view.supply
            );
            assert!(view.places <= view.spec.max_places, "{id}: {} places", view.places);
        }
    }

    /// What loads a gate, a few users at a time. Winners are those of the ledger's draws, which no journal tells.
    pub(crate) fn chunks(&self, winners: &BTreeMap<RoundId, Vec<u8>>) -> Vec<LoadChunk> {
        let mut chunks = vec![LoadChunk::Head(CampaignHead {
            position: self.cursor.position,
            last_at: self.cursor.last_at.unwrap_or(self.begin.last_at),
            chain: self.cursor.chain,
            state: self.state,
            revision: self.revision,
            total_limit: self.rules.total_limit,
            max_per_user: self.rules.coupons_per_user(),
            counts_users: self.rules.schedule.recurs(),
            issued: self.issued(),
        })];
        for (id, round) in self.in_gate() {
            chunks.push(LoadChunk::Round(round.head.clone()));
            let seats: Vec<_> = round.seats.iter().map(|(user, seat)| (user.clone(), *seat)).collect();
            chunks.extend(seats.chunks(4).map(|some| LoadChunk::Seats(*id, some.to_vec())));
            let drawn = winners.get(id).filter(|_| round.head.view.drawn);
            let bytes = drawn.into_iter().flat_map(|bytes| bytes.chunks(1).zip(0..));
            chunks.extend(bytes.map(|(byte, first)| LoadChunk::Winners(*id, first, byte.to_vec())));
        }
        let requests: Vec<_> = self.requests.iter().map(|(id, verb)| (*id, verb.clone())).collect();
        chunks.extend(requests.chunks(4).map(|some| LoadChunk::Requests(some.to_vec())));
        let mut counts: BTreeMap<UserId, u32> = BTreeMap::new();
        let seats = self.rounds.values().flat_map(|round| &round.seats).filter(|(_, seat)| seat.coupon.is_some());
        seats.for_each(|(user, _)| *counts.entry(user.clone()).or_default() += 1);
        let counts: Vec<_> = counts.into_iter().collect();
        chunks.extend(counts.chunks(4).map(|some| LoadChunk::Counts(some.to_vec())));
        chunks.push(LoadChunk::Open);
        chunks
    }
}

impl LedgerRound {
    fn change(&mut self, change: &RoundChange) {
        let view = &mut self.head.view;
        // Once reservation has closed the ledger has it.
        if view.phase <= Phase::Reserving {
            self.left_at_close = change.left_at_close.unwrap_or(self.left_at_close);
        }
        view.phase = change.phase.unwrap_or(view.phase);
        view.supply = change.supply.unwrap_or(view.supply);
        view.added = change.added.unwrap_or(view.added);
        if let Some(delay) = change.drawn {
            assert!(!view.drawn, "drawn once");
            (view.drawn, view.delay) = (true, delay);
        }
        view.places += change.places;
        view.issued += change.issued;
        self.head.last_n = change.last_n;
    }
}
