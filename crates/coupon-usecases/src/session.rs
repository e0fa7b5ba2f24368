//! One campaign as this instance knows it: what it has seen of the gate, and what it gave away that the ledger does not have yet.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use coupon_domain::answer::{Answer, Issued, Place};
use coupon_domain::campaign::{Campaign, CampaignState, Rules};
use coupon_domain::choice::{self, Choice, Verb};
use coupon_domain::ids::{CampaignId, RoundId, UserId};
use coupon_domain::journal::Entry;
use coupon_domain::model::{CampaignView, Decided, RoundView};
use coupon_domain::ports::Standing;
use coupon_domain::position::Position;
use coupon_domain::recording::Cursor;
use coupon_domain::round::RoundSpec;
use coupon_domain::time::Timestamp;
use tokio::sync::{Notify, watch};

use crate::coalescer::Coalescer;

/// Whether a campaign can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Condition {
    /// Not asked yet since this instance started.
    New,
    /// Being opened for the first time; callers wait.
    Opening,
    /// The gate answers in the epoch that this instance knows.
    Open,
    /// The gate, or the epoch, is not what it was.
    Recovering,
    /// Two histories: a person has to look.
    Halted,
}

/// See [`Session::compare`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compared {
    /// It is the campaign's epoch still.
    Confirmed,
    /// The campaign has another epoch, or is being recovered.
    Outdated,
    /// The session has learned more since it was asked for.
    Older,
}

/// What the gate last told of the rounds.
#[derive(Debug, Clone)]
pub(crate) struct Rounds {
    pub(crate) state: CampaignState,
    /// Their claim windows moved by the delay of a late draw.
    pub(crate) specs: Vec<Arc<RoundSpec>>,
    /// Their starts as planned, in the same order.
    pub(crate) starts: Vec<Timestamp>,
    /// What the choice of a round goes by: as `specs`, but open as long as a draw is awaited.
    to_choose: Vec<RoundSpec>,
}

/// What a campaign offers, by a revision.
#[derive(Debug)]
pub(crate) struct Terms {
    pub(crate) rules: Rules,
    pub(crate) revision: u64,
}

impl Rounds {
    pub(crate) fn get(&self, id: RoundId) -> Option<&Arc<RoundSpec>> {
        self.specs.iter().find(|spec| spec.id == id)
    }

    /// When a round's claims were to open, whatever a late draw has made of it.
    pub(crate) fn planned_start(&self, id: RoundId) -> Option<Timestamp> {
        self.specs.iter().zip(&self.starts).find(|(spec, _)| spec.id == id).map(|(_, start)| *start)
    }

    /// At least the revision that a round was planned by, as far as it matters: one that has left the gate was planned by rules that all
    /// have heard of; one beyond all that the gate has told of here may have been planned by rules that nobody has told of.
    pub(crate) fn planned_by(&self, id: RoundId) -> u64 {
        match self.get(id) {
            Some(spec) => spec.revision,
            None if self.specs.iter().any(|spec| spec.id > id) => 0,
            None => u64::MAX,
        }
    }

    pub(crate) fn choose(&self, verb: Verb, at: Timestamp) -> Option<Choice> {
        choice::choose(&self.to_choose, verb, at)
    }

    pub(crate) fn next_opening(&self, verb: Verb, at: Timestamp) -> Option<Timestamp> {
        choice::next_opening(&self.to_choose, verb, at)
    }
}

/// A lane per round, and in rounds for registered users one for those who are and one for those who are not.
pub(crate) type Lanes<T> = Mutex<HashMap<(RoundId, bool), Coalescer<UserId, Answer<T>>>>;

/// See the module.
pub(crate) struct Session {
    pub(crate) id: CampaignId,
    /// One opening or recovery at a time in this instance.
    pub(crate) opening: tokio::sync::Mutex<()>,
    /// One recorder at a time in this instance.
    pub(crate) recording: tokio::sync::Mutex<()>,
    /// Wakes the recorder.
    pub(crate) decided: Notify,
    /// What the gate last told of the campaign.
    pub(crate) told: watch::Sender<Option<Arc<Decided<CampaignView>>>>,
    /// One draw at a time.
    pub(crate) drawing: tokio::sync::Mutex<()>,
    condition: watch::Sender<Condition>,
    pub(crate) reserve_lanes: Lanes<Place>,
    pub(crate) claim_lanes: Lanes<Issued>,
    live: Mutex<Live>,
}

struct Live {
    terms: Arc<Terms>,
    seen: Position,
    /// When the ledger last said that this epoch is the campaign's.
    confirmed: Option<Instant>,
    cursor: Cursor,
    /// The epoch that this instance raised last.
    raised: Option<u64>,
    /// Whether the recorder has said that it cannot go on.
    recording_halted: bool,
    rounds: Arc<Rounds>,
    /// The position at which the gate told of them.
    rounds_at: Position,
    /// The gate's time, and when it was told.
    gate_time: Option<(Timestamp, Instant)>,
    /// What the gate decided for this instance and the ledger does not have yet, in order. An emptied gate gets it back from here.
    tail: VecDeque<Entry>,
}

impl Session {
    pub(crate) fn new(campaign: Campaign) -> Self {
        let Campaign { id, rules, state, revision, .. } = campaign;
        Self {
            id,
            told: watch::Sender::new(None),
            drawing: tokio::sync::Mutex::default(),
            opening: tokio::sync::Mutex::default(),
            recording: tokio::sync::Mutex::default(),
            decided: Notify::new(),
            condition: watch::Sender::new(Condition::New),
            reserve_lanes: Lanes::default(),
            claim_lanes: Lanes::default(),
            live: Mutex::new(Live {
                terms: Arc::new(Terms { rules, revision }),
                seen: Position::default(),
                confirmed: None,
                cursor: Cursor::default(),
                raised: None,
                recording_halted: false,
                rounds: Arc::new(Rounds { state, specs: Vec::new(), starts: Vec::new(), to_choose: Vec::new() }),
                rounds_at: Position::default(),
                gate_time: None,
                tail: VecDeque::new(),
            }),
        }
    }

    fn live(&self) -> MutexGuard<'_, Live> {
        // Nothing panics while holding it; if something did, the state is still whole.
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn condition(&self) -> Condition {
        *self.condition.borrow()
    }

    pub(crate) fn set_condition(&self, condition: Condition) {
        self.condition.send_replace(condition);
    }

    /// Goes from one condition to another; false if it was not in the first.
    pub(crate) fn change_condition(&self, from: Condition, to: Condition) -> bool {
        self.condition.send_if_modified(|condition| {
            let there = *condition == from;
            if there {
                *condition = to;
            }
            there
        })
    }

    /// Waits while it is being opened for the first time.
    pub(crate) async fn settled(&self) -> Condition {
        let mut condition = self.condition.subscribe();
        // The sender lives as long as the session.
        let settled = condition.wait_for(|condition| !matches!(condition, Condition::New | Condition::Opening)).await;
        settled.map_or(Condition::Recovering, |condition| *condition)
    }

    /// Highest position seen, and when the ledger last confirmed its epoch.
    pub(crate) fn admission(&self) -> (Position, Option<Instant>) {
        let live = self.live();
        (live.seen, live.confirmed)
    }

    pub(crate) fn seen(&self) -> Position {
        self.live().seen
    }

    /// Takes over what the ledger said at `asked` of an open campaign. What was seen stays seen; what was told in an epoch that is over
    /// is recorded by now, or can never be.
    pub(crate) fn adopt(&self, standing: &Standing, asked: Instant) {
        let mut live = self.live();
        live.tail.retain(|entry| entry.epoch >= standing.epoch);
        let n = standing.cursor.position.n.max(live.seen.n);
        live.seen = Position { epoch: standing.epoch, n };
        live.confirmed = Some(asked);
        live.recording_halted = false;
    }

    /// What a standing that the ledger gave at `asked` says about what this session knows.
    pub(crate) fn compare(&self, standing: &Standing, asked: Instant) -> Compared {
        let live = self.live();
        let known = live.seen.epoch;
        if standing.epoch < known || live.confirmed.is_some_and(|confirmed| confirmed >= asked) {
            Compared::Older
        } else if standing.open && standing.epoch == known {
            Compared::Confirmed
        } else {
            Compared::Outdated
        }
    }

    /// The gate was loaded from the ledger: whatever was seen beyond it is gone or recorded.
    pub(crate) fn reloaded(&self, position: Position) {
        self.live().seen = position;
    }

    pub(crate) fn set_raised(&self, epoch: u64) {
        self.live().raised = Some(epoch);
    }

    pub(crate) fn raised(&self) -> Option<u64> {
        self.live().raised
    }

    pub(crate) fn is_recording_halted(&self) -> bool {
        self.live().recording_halted
    }

    /// Notes that recording cannot go on; answers whether that is news.
    pub(crate) fn halt_recording(&self) -> bool {
        !std::mem::replace(&mut self.live().recording_halted, true)
    }

    pub(crate) fn confirm(&self, asked: Instant) {
        self.live().confirmed = Some(asked);
    }

    /// Takes note of what the gate decided.
    pub(crate) fn observe<T>(&self, decided: &Decided<T>) {
        let mut live = self.live();
        live.seen = live.seen.max(decided.position);
        live.gate_time = Some((decided.at, Instant::now()));
        if let Some(entry) = &decided.entry {
            if entry.last > live.cursor.position.n {
                let at = live.tail.partition_point(|earlier| earlier.first < entry.first);
                live.tail.insert(at, entry.clone());
            }
            drop(live);
            self.decided.notify_one();
        }
    }

    /// What the campaign offers, as far as this instance has heard.
    pub(crate) fn terms(&self) -> Arc<Terms> {
        Arc::clone(&self.live().terms)
    }

    /// Takes over what the ledger says that the campaign offers, unless something later is known.
    pub(crate) fn set_terms(&self, rules: Rules, revision: u64) {
        let mut live = self.live();
        if revision > live.terms.revision {
            live.terms = Arc::new(Terms { rules, revision });
        }
    }

    /// Takes over the rounds that the gate told of, unless it has told more since.
    pub(crate) fn set_rounds(&self, decided: &Decided<CampaignView>) {
        if decided.position < self.live().rounds_at {
            return;
        }
        self.told.send_replace(Some(Arc::new(decided.clone())));
        let (view, known) = (&decided.answers, self.rounds());
        let spec = |round: &RoundView| {
            let known = known.get(round.spec.id).filter(|spec| spec.claim == round.claim()).cloned();
            known.unwrap_or_else(|| Arc::new(round.delayed_spec()))
        };
        let specs = view.rounds.iter().map(spec).collect();
        let starts = view.rounds.iter().map(|round| round.spec.claim.opens).collect();
        let to_choose = view.rounds.iter().map(RoundView::spec_to_choose).collect();
        let rounds = Rounds { state: view.state, specs, starts, to_choose };
        let still_there = |id: &RoundId| rounds.get(*id).is_some();
        lock(&self.reserve_lanes).retain(|(id, _), _| still_there(id));
        lock(&self.claim_lanes).retain(|(id, _), _| still_there(id));
        let mut live = self.live();
        if decided.position >= live.rounds_at {
            live.rounds = Arc::new(rounds);
            live.rounds_at = decided.position;
        }
    }

    pub(crate) fn rounds(&self) -> Arc<Rounds> {
        Arc::clone(&self.live().rounds)
    }

    /// What the gate's clock says about now: a hint for the choice of the round, never a decision.
    pub(crate) fn gate_time(&self) -> Option<Timestamp> {
        self.live().gate_time.map(|(at, told)| at.plus(told.elapsed()))
    }

    pub(crate) fn cursor(&self) -> Cursor {
        self.live().cursor
    }

    /// The ledger has come so far.
    pub(crate) fn recorded(&self, cursor: Cursor) {
        let mut live = self.live();
        if cursor.position.n >= live.cursor.position.n {
            live.cursor = cursor;
        }
        while live.tail.front().is_some_and(|entry| entry.last <= cursor.position.n) {
            live.tail.pop_front();
        }
    }

    /// Entries of the tail that follow decision `n` without a gap: whole ones with at most so many decisions, but at least one.
    pub(crate) fn tail_after(&self, n: u64, decisions: usize) -> Vec<Entry> {
        let mut next = n + 1;
        let end = n.saturating_add(decisions as u64);
        let live = self.live();
        let follows = |entry: &&Entry| {
            let fits = entry.first == next && (entry.last <= end || entry.first == n + 1);
            next = entry.last + 1;
            fits
        };
        live.tail.iter().skip_while(|entry| entry.last <= n).take_while(follows).cloned().collect()
    }

    /// Whether this instance was told something that the ledger does not have.
    pub(crate) fn has_tail(&self) -> bool {
        !self.live().tail.is_empty()
    }

    /// Decisions that this instance knows of and the ledger does not have.
    pub(crate) fn lag(&self) -> u64 {
        let live = self.live();
        live.seen.n.saturating_sub(live.cursor.position.n)
    }
}

/// The lanes, whatever happened to a thread that held them.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
