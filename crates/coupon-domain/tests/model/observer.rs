//! Somebody who believes nothing: sees the calls, the answers and the entries, and holds each against all before.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;

use coupon_domain::answer::{Answer, Issued, Outcome, Place};
use coupon_domain::campaign::CampaignState;
use coupon_domain::ids::{RoundId, UserId};
use coupon_domain::journal::{Entry, Row};
use coupon_domain::model::{CampaignModel, Decided, RoundOpening};
use coupon_domain::position::Chain;
use coupon_domain::round::{Phase, RoundSpec};
use coupon_domain::time::Timestamp;

use crate::build::{second, user};
use crate::history::{History, Step};

/// What was seen.
pub(crate) struct Observer {
    pub(crate) entries: Vec<Entry>,
    pub(crate) places: HashMap<(RoundId, UserId), Place>,
    pub(crate) coupons: HashMap<(RoundId, UserId), Issued>,
    pub(crate) phases: BTreeMap<RoundId, (Phase, Option<u32>)>,
    specs: BTreeMap<RoundId, RoundSpec>,
    state: CampaignState,
    n: u64,
    last_at: Timestamp,
    chain: Chain,
}

/// Lets a history happen and watches.
pub(crate) fn observe(history: &History) -> (CampaignModel, Observer) {
    let mut model = CampaignModel::begin(&history.head);
    let mut observer = Observer {
        entries: Vec::new(),
        places: HashMap::new(),
        coupons: HashMap::new(),
        phases: BTreeMap::new(),
        specs: history.rounds.iter().map(|spec| (spec.id, spec.clone())).collect(),
        state: history.head.state,
        n: 0,
        last_at: Timestamp::EPOCH,
        chain: Chain::default(),
    };
    let mut now = 0;
    for spec in &history.rounds {
        let opening = model.open_round(spec, second(now));
        assert_eq!(opening.answers, RoundOpening::Opened);
        observer.see(second(now), &opening);
    }
    for step in &history.steps {
        let names = |users: &[u8]| users.iter().map(|i| user(&format!("u-{i}"))).collect::<Vec<_>>();
        let clock = second(now);
        match step {
            Step::Wait(seconds) => now += seconds,
            Step::Until(seconds) => now = *seconds,
            Step::Tick => observer.see(clock, &model.tick(clock)),
            Step::Transition(transition) => observer.see(clock, &model.transition(*transition, None, clock)),
            Step::Retire(round) => {
                let id = history.rounds[*round].id;
                let recorded = model.position().n;
                if let Ok(decided) = model.retire(id, recorded, clock) {
                    observer.see(clock, &decided);
                }
            }
            Step::Reserve(round, users) => {
                let (id, users) = (history.rounds[*round].id, names(users));
                if let Ok(decided) = model.reserve(id, &users, clock) {
                    observer.see(clock, &decided);
                    observer.see_places(id, &users, &decided);
                }
            }
            Step::Claim(round, users) => {
                let (id, users) = (history.rounds[*round].id, names(users));
                if let Ok(decided) = model.claim(id, &users, clock) {
                    observer.see(clock, &decided);
                    observer.see_coupons(id, &users, &decided);
                    observer.limits_hold(history);
                }
            }
        }
        assert_eq!((model.position().n, model.chain()), (observer.n, observer.chain));
    }
    (model, observer)
}

impl Observer {
    /// I3 and I7: decisions are dense, time does not go back, entries are chained and say what they count.
    fn see<T>(&mut self, clock: Timestamp, decided: &Decided<T>) {
        assert_eq!(decided.at, clock.max(self.last_at), "the gate's time");
        let Some(entry) = &decided.entry else {
            assert_eq!(decided.position.n, self.n, "no entry, no decision");
            return;
        };
        assert_eq!((entry.first, entry.prev), (self.n + 1, self.chain));
        assert_eq!((entry.position(), entry.at), (decided.position, decided.at));
        let rows = entry.parse().expect("an entry can be read");
        assert_eq!(rows.iter().map(Row::to_line).collect::<Vec<_>>().join("\n"), entry.rows, "one spelling");
        for row in rows {
            match row {
                Row::Phase { round, phase, places, supply } => self.see_phase(round, phase, places, supply),
                Row::State { state, .. } => self.state = state,
                Row::Lost { .. } => panic!("only a recovery declares a loss"),
                Row::Places { .. } | Row::Coupons { .. } | Row::Round(_) | Row::Retired { .. } => {}
            }
        }
        (self.n, self.last_at, self.chain) = (entry.last, entry.at, entry.chain());
        self.entries.push(entry.clone());
    }

    /// A phase is later than the one before, and the supply follows from the places once and for all.
    fn see_phase(&mut self, round: RoundId, phase: Phase, places: u32, supply: Option<u32>) {
        assert_eq!(places as usize, self.of_round(&self.places, round), "it counts the places");
        let rule = self.specs[&round].supply;
        let expected = if phase > Phase::Reserving { rule.for_places(places) } else { rule.known_at_start() };
        assert_eq!(supply, expected);
        if let Some((before, fixed)) = self.phases.insert(round, (phase, supply)) {
            assert!(before < phase, "{before} is latched");
            assert!(before <= Phase::Reserving || fixed == supply, "a supply does not change");
        }
    }

    fn of_round<T>(&self, rows: &HashMap<(RoundId, UserId), T>, round: RoundId) -> usize {
        rows.keys().filter(|(id, _)| *id == round).count()
    }

    fn phase(&self, round: RoundId) -> Phase {
        self.phases.get(&round).map_or(Phase::Planned, |(phase, _)| *phase)
    }

    /// I2 and I3: one place a user, dense tickets, the first answer for ever; only while reservation is open.
    fn see_places(&mut self, round: RoundId, users: &[UserId], decided: &Decided<Vec<Answer<Place>>>) {
        let mut ticket = u32::try_from(self.of_round(&self.places, round)).expect("few");
        self.see_answers(users, &decided.answers, decided);
        for (user, answer) in users.iter().zip(&decided.answers) {
            let key = (round, user.clone());
            match answer.outcome {
                Outcome::Granted(place) => {
                    assert_eq!(place, Place { ticket, reserved_at: decided.at });
                    assert_eq!((self.phase(round), self.state), (Phase::Reserving, CampaignState::Active));
                    assert_eq!(self.places.insert(key, place), None, "one place a user");
                    ticket += 1;
                }
                Outcome::Replayed(place) => assert_eq!(self.places.get(&key), Some(&place), "the first answer"),
                Outcome::Refused(_) => assert!(!self.places.contains_key(&key), "a repeat is answered"),
            }
        }
        assert!(ticket <= self.specs[&round].max_places);
    }

    /// I2, I3 and I6: one coupon a user and round, dense serials, a place where one is needed; only while claims are open.
    fn see_coupons(&mut self, round: RoundId, users: &[UserId], decided: &Decided<Vec<Answer<Issued>>>) {
        let mut serial = u32::try_from(self.of_round(&self.coupons, round)).expect("few");
        self.see_answers(users, &decided.answers, decided);
        for (user, answer) in users.iter().zip(&decided.answers) {
            let key = (round, user.clone());
            match answer.outcome {
                Outcome::Granted(coupon) => {
                    assert_eq!(coupon, Issued { serial, claimed_at: decided.at });
                    assert_eq!((self.phase(round), self.state), (Phase::Claiming, CampaignState::Active));
                    assert!(self.specs[&round].reserve.is_none() || self.places.contains_key(&key), "a place first");
                    assert_eq!(self.coupons.insert(key, coupon), None, "one coupon a user");
                    serial += 1;
                }
                Outcome::Replayed(coupon) => assert_eq!(self.coupons.get(&key), Some(&coupon), "the first answer"),
                Outcome::Refused(_) => assert!(!self.coupons.contains_key(&key), "a repeat is answered"),
            }
        }
    }

    /// Witnesses count the yeses of the batch, and nothing else.
    fn see_answers<T: Debug>(&self, users: &[UserId], answers: &[Answer<T>], decided: &Decided<Vec<Answer<T>>>) {
        assert_eq!(answers.len(), users.len(), "one answer a question");
        let yeses = answers.iter().filter(|a| matches!(a.outcome, Outcome::Granted(_))).count() as u64;
        let mut n = decided.position.n - yeses;
        for answer in answers {
            n += u64::from(matches!(answer.outcome, Outcome::Granted(_)));
            assert_eq!((answer.witness.position.n, answer.witness.at), (n, decided.at), "{answer:?}");
        }
    }

    /// I1 and I2: never more than the round's supply, the campaign's limit and the user's.
    fn limits_hold(&self, history: &History) {
        for (round, (_, supply)) in &self.phases {
            let issued = self.of_round(&self.coupons, *round);
            assert!(supply.is_none_or(|supply| issued <= supply as usize), "{round} issued {issued} of {supply:?}");
        }
        let total = history.head.total_limit;
        assert!(total.is_none_or(|limit| self.coupons.len() <= limit as usize), "{} of {total:?}", self.coupons.len());
        let mut of_user: HashMap<&UserId, u32> = HashMap::new();
        for (_, user) in self.coupons.keys() {
            let count = of_user.entry(user).or_default();
            *count += 1;
            assert!(*count <= history.head.max_per_user, "{user} has {count}");
        }
    }
}
