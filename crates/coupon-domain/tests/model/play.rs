//! Lets a history happen to a model under the observer's eyes.

use coupon_domain::campaign::{Revision, Scope};
use coupon_domain::ids::RoundId;
use coupon_domain::model::{CampaignHead, CampaignModel, NoSuchRound, SupplyAddition};
use coupon_domain::round::{Phase, RoundSpec};

use crate::build::{bitmap, head, request, round_id, second, user};
use crate::facts::Facts;
use crate::history::{Ballot, History, Step};
use crate::observer::Observer;

/// The head of a campaign before the history.
pub(crate) fn head_of(history: &History) -> CampaignHead {
    CampaignHead { state: history.state, ..head(&history.rules) }
}

/// What came of it.
pub(crate) fn observe(history: &History) -> (CampaignModel, Observer) {
    let mut play = Play {
        model: CampaignModel::begin(&head_of(history)),
        observer: Observer::new(history),
        plans: &history.plans,
        ids: vec![None; history.plans.len()],
        opened: 0,
        now: 0,
    };
    for step in &history.steps {
        play.step(step);
        play.observer.agrees_with(&play.model);
    }
    (play.model, play.observer)
}

struct Play<'a> {
    model: CampaignModel,
    observer: Observer,
    plans: &'a [RoundSpec],
    /// The round that was last asked to be opened by each plan.
    ids: Vec<Option<RoundId>>,
    opened: u32,
    now: i64,
}

impl Play<'_> {
    fn step(&mut self, step: &Step) {
        let clock = second(self.now);
        match step {
            Step::Wait(seconds) => self.now += seconds,
            Step::Until(seconds) => self.now = *seconds,
            Step::Open { plan, outdated } => self.open(*plan, *outdated),
            Step::Tick => self.observer.see_tick(clock, &self.model.tick(clock)),
            Step::Transition { transition, request: id } => {
                let id = id.map(request);
                self.observer.see_transition(clock, *transition, id, &self.model.transition(*transition, id, clock));
            }
            Step::Revise { change, outdated, request: id } => {
                let facts = &self.observer.facts;
                let rules = change.of(&facts.rules);
                let (of, scope) = (facts.revision - u64::from(*outdated), Scope::of(&facts.rules, &rules));
                let revision = Revision { of, scope, rules, request: id.map(request) };
                self.observer.see_revision(clock, &revision, &self.model.revise(&revision, clock));
            }
            Step::AddSupply { round, amount, request: id } => {
                let round = round.map(|plan| self.ids[plan]);
                if round == Some(None) {
                    return;
                }
                let addition = SupplyAddition { round: round.flatten(), amount: *amount, request: id.map(request) };
                match self.model.add_supply(&addition, clock) {
                    Ok(decided) => self.observer.see_addition(clock, &addition, &decided),
                    Err(no_such_round) => self.has_left(no_such_round),
                }
            }
            Step::Reserve { round, users, registered } => {
                let (Some(id), users) = (self.ids[*round], names(users)) else { return };
                match self.model.reserve(id, &users, *registered, clock) {
                    Ok(decided) => self.observer.see_places(clock, (id, *registered), &users, &decided),
                    Err(no_such_round) => self.has_left(no_such_round),
                }
            }
            Step::Claim { round, users, registered } => {
                let (Some(id), users) = (self.ids[*round], names(users)) else { return };
                match self.model.claim(id, &users, *registered, clock) {
                    Ok(decided) => self.observer.see_coupons(clock, (id, *registered), &users, &decided),
                    Err(no_such_round) => self.has_left(no_such_round),
                }
            }
            Step::Conclude { round, first, ballot } => {
                let Some(id) = self.ids[*round].filter(|id| self.observer.facts.rounds.contains_key(id)) else {
                    return;
                };
                let winners = winners(&self.observer.facts, id, *first, *ballot);
                match self.model.conclude_draw(id, &winners, clock) {
                    Ok(decided) => self.observer.see_conclusion(clock, id, &winners, &decided),
                    Err(no_such_round) => self.has_left(no_such_round),
                }
            }
            Step::Retire { round, recorded } => {
                let Some(id) = self.ids[*round] else { return };
                let last_n = self.observer.facts.rounds.get(&id).map_or(0, |round| round.last_n);
                let recorded = if *recorded { self.model.position().n } else { last_n.saturating_sub(1) };
                match self.model.retire(id, recorded, clock) {
                    Ok(decided) => self.observer.see_retirement(clock, id, recorded, &decided),
                    Err(no_such_round) => self.has_left(no_such_round),
                }
            }
        }
    }

    fn open(&mut self, plan: usize, outdated: bool) {
        let clock = second(self.now);
        self.opened += 1;
        let revision = self.observer.facts.revision - u64::from(outdated);
        let spec = RoundSpec { id: round_id(self.opened), revision, ..self.plans[plan].clone() };
        let decided = self.model.open_round(&spec, clock);
        self.observer.see_opening(clock, &spec, &decided);
        if self.observer.facts.rounds.contains_key(&spec.id) {
            self.ids[plan] = Some(spec.id);
        }
    }

    /// A round that is not there was opened once and has left.
    fn has_left(&self, NoSuchRound(id): NoSuchRound) {
        assert!(!self.observer.facts.rounds[&id].in_gate, "{id} is not there");
    }
}

fn names(users: &[u8]) -> Vec<coupon_domain::ids::UserId> {
    users.iter().map(|number| user(&format!("u-{number}"))).collect()
}

/// As many winners as there should be if reservation closes now at the latest, from this ticket on and round again; or not quite.
fn winners(facts: &Facts, id: RoundId, first: u32, ballot: Ballot) -> Vec<u8> {
    let (round, places) = (&facts.rounds[&id], facts.places_of(id));
    let supply = if round.phase > Phase::Reserving { round.supply } else { facts.supply_at_close(id) };
    let count = supply.unwrap_or(0).min(places);
    let tickets = |count: u32| (0..count).map(move |i| (first + i) % places);
    let right = bitmap(tickets(count), places);
    match ballot {
        Ballot::Right => right,
        Ballot::OneMore => bitmap(tickets((count + 1).min(places)), places),
        Ballot::OneLess => bitmap(tickets(count.saturating_sub(1)), places),
        Ballot::Beyond => bitmap(tickets(count.saturating_sub(1)).chain([places]), places + 1),
        Ballot::Longer => [right, vec![0]].concat(),
        Ballot::Shorter => right.split_last().map_or_else(Vec::new, |(_, shorter)| shorter.to_vec()),
    }
}
