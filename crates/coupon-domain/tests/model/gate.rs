//! One campaign at a gate, asked at a second by one user or operator at a time.

use coupon_domain::answer::{Issued, Outcome, Place};
use coupon_domain::campaign::{Revision, Rules, Scope, Transition};
use coupon_domain::journal::{Entry, Row};
use coupon_domain::model::{
    CampaignModel, CampaignView, Decided, DrawConclusion, Retirement, Revised, RoundOpening, RoundView, SupplyAdded,
    SupplyAddition, Transitioned,
};
use coupon_domain::round::{Phase, RoundSpec};
use coupon_domain::time::Timestamp;
use uuid::Uuid;

use crate::build::{bitmap, head, round_id, second, user};

/// An ACTIVE campaign of revision 1.
pub(crate) struct Gate {
    model: CampaignModel,
    rules: Rules,
    now: Timestamp,
    /// The last entry.
    entry: Option<Entry>,
}

impl Gate {
    /// With these rounds, long before any of them.
    pub(crate) fn with(rules: Rules, rounds: impl IntoIterator<Item = RoundSpec>) -> Self {
        let model = CampaignModel::begin(&head(&rules));
        let mut gate = Self { model, rules, now: second(-1_000_000), entry: None };
        for spec in rounds {
            assert_eq!(gate.open(&spec), RoundOpening::Opened);
        }
        gate
    }

    pub(crate) fn at(&mut self, seconds: i64) -> &mut Self {
        self.now = second(seconds);
        self
    }

    fn told<T>(&mut self, decided: Decided<T>) -> T {
        self.entry = decided.entry;
        decided.answers
    }

    /// The rows of the last decision.
    pub(crate) fn rows(&self) -> Vec<Row> {
        self.entry.as_ref().map(|entry| entry.parse().expect("it can be read")).unwrap_or_default()
    }

    pub(crate) fn open(&mut self, spec: &RoundSpec) -> RoundOpening {
        let decided = self.model.open_round(spec, self.now);
        self.told(decided)
    }

    /// Of a registered user.
    pub(crate) fn reserve(&mut self, round: u32, name: &str) -> Outcome<Place> {
        self.reserve_as(round, name, true)
    }

    pub(crate) fn reserve_as(&mut self, round: u32, name: &str, registered: bool) -> Outcome<Place> {
        let decided = self.model.reserve(round_id(round), &[user(name)], registered, self.now).expect("it is here");
        self.told(decided)[0].outcome
    }

    /// So many users `u-0`, `u-1` ... get a place each, with the ticket of their number.
    pub(crate) fn reserve_many(&mut self, round: u32, count: u32) {
        for ticket in 0..count {
            let place = Outcome::Granted(Place { ticket, reserved_at: self.now });
            assert_eq!(self.reserve(round, &format!("u-{ticket}")), place);
        }
    }

    /// Of a registered user.
    pub(crate) fn claim(&mut self, round: u32, name: &str) -> Outcome<Issued> {
        self.claim_as(round, name, true)
    }

    pub(crate) fn claim_as(&mut self, round: u32, name: &str, registered: bool) -> Outcome<Issued> {
        let decided = self.model.claim(round_id(round), &[user(name)], registered, self.now).expect("it is here");
        self.told(decided)[0].outcome
    }

    /// How many of so many users `u-0`, `u-1` ... get a coupon now.
    pub(crate) fn coupons_for(&mut self, round: u32, users: u32) -> usize {
        let outcomes = (0..users).map(|number| self.claim(round, &format!("u-{number}")));
        outcomes.filter(|outcome| matches!(outcome, Outcome::Granted(_))).count()
    }

    /// These tickets win.
    pub(crate) fn conclude(&mut self, round: u32, tickets: &[u32]) -> DrawConclusion {
        let places = self.view(round).places;
        self.conclude_with(round, &bitmap(tickets.iter().copied(), places))
    }

    pub(crate) fn conclude_with(&mut self, round: u32, winners: &[u8]) -> DrawConclusion {
        let decided = self.model.conclude_draw(round_id(round), winners, self.now).expect("it is here");
        self.told(decided)
    }

    pub(crate) fn transition(&mut self, transition: Transition, request: Option<Uuid>) -> Transitioned {
        let decided = self.model.transition(transition, request, self.now);
        self.told(decided)
    }

    /// A change of the rules as they were when the gate was made, for the revision that the campaign has.
    pub(crate) fn revise(&mut self, change: impl FnOnce(&mut Rules), request: Option<Uuid>) -> Revised {
        let of = self.campaign().revision;
        self.revise_from(of, change, request)
    }

    pub(crate) fn revise_from(&mut self, of: u64, change: impl FnOnce(&mut Rules), request: Option<Uuid>) -> Revised {
        let mut rules = self.rules.clone();
        change(&mut rules);
        let revision = Revision { of, scope: Scope::of(&self.rules, &rules), rules, request };
        let decided = self.model.revise(&revision, self.now);
        self.told(decided)
    }

    pub(crate) fn add(&mut self, round: Option<u32>, amount: u32, request: Option<Uuid>) -> SupplyAdded {
        let addition = SupplyAddition { round: round.map(round_id), amount, request };
        let decided = self.model.add_supply(&addition, self.now).expect("it is here");
        self.told(decided)
    }

    /// With all of it in the ledger.
    pub(crate) fn retire(&mut self, round: u32) -> Retirement {
        let recorded = self.model.position().n;
        let decided = self.model.retire(round_id(round), recorded, self.now).expect("it is here");
        self.told(decided)
    }

    /// Latches the phases of now.
    pub(crate) fn tick(&mut self) {
        let decided = self.model.tick(self.now);
        self.told(decided);
    }

    /// What a tick would tell; nothing is decided.
    pub(crate) fn campaign(&self) -> CampaignView {
        self.model.clone().tick(self.now).answers
    }

    pub(crate) fn view(&self, round: u32) -> RoundView {
        let rounds = self.campaign().rounds;
        rounds.into_iter().find(|view| view.spec.id == round_id(round)).expect("it is here")
    }

    pub(crate) fn phase(&self, round: u32) -> Phase {
        self.view(round).phase
    }

    pub(crate) fn supply(&self, round: u32) -> Option<u32> {
        self.view(round).supply
    }

    /// The rounds in the gate, by number.
    pub(crate) fn rounds(&self) -> Vec<u32> {
        self.campaign().rounds.iter().map(|view| view.spec.id.number()).collect()
    }
}
