//! Somebody who believes nothing: sees the calls, the answers and the entries, and holds each against all before.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;
use std::time::Duration;

use coupon_domain::answer::{Answer, Issued, Outcome, Place, Refusal};
use coupon_domain::campaign::{CampaignState, Revision, Transition};
use coupon_domain::ids::{RoundId, UserId};
use coupon_domain::journal::{Entry, Row};
use coupon_domain::model::{
    CampaignModel, CampaignView, Decided, DrawConclusion, Retirement, Revised, RoundOpening, SupplyAdded,
    SupplyAddition, Transitioned,
};
use coupon_domain::position::Chain;
use coupon_domain::round::{Phase, RoundSpec};
use coupon_domain::time::Timestamp;
use uuid::Uuid;

use crate::build::head;
use crate::facts::{Facts, RoundFacts};
use crate::history::History;

/// What was seen.
pub(crate) struct Observer {
    pub(crate) entries: Vec<Entry>,
    pub(crate) facts: Facts,
    /// How often each answer was given.
    pub(crate) answers: BTreeMap<String, u32>,
    n: u64,
    last_at: Timestamp,
    chain: Chain,
}

impl Observer {
    pub(crate) fn new(history: &History) -> Self {
        let facts = Facts {
            state: history.state,
            rules: history.rules.clone(),
            revision: head(&history.rules).revision,
            rounds: BTreeMap::new(),
            places: HashMap::new(),
            coupons: HashMap::new(),
            requests: HashMap::new(),
        };
        let (entries, answers) = (Vec::new(), BTreeMap::new());
        Self { entries, facts, answers, n: 0, last_at: Timestamp::EPOCH, chain: Chain::default() }
    }

    /// I3 and I7: decisions are dense, time does not go back, entries are chained and say what they count. The boundaries that these
    /// rounds have passed come first, once each, and no others. What follows them is for the caller to judge.
    fn see<T>(&mut self, clock: Timestamp, rounds: &[RoundId], decided: &Decided<T>) -> Vec<Row> {
        let at = clock.max(self.last_at);
        assert_eq!(decided.at, at, "the gate's time");
        let passed = self.passed(rounds, at);
        let Some(entry) = &decided.entry else {
            assert_eq!((decided.position.n, passed), (self.n, Vec::new()), "no entry, no decision");
            return Vec::new();
        };
        assert_eq!((entry.first, entry.prev), (self.n + 1, self.chain));
        assert_eq!((entry.position(), entry.at), (decided.position, decided.at));
        let mut rows = entry.parse().expect("an entry can be read");
        assert_eq!(rows.iter().map(Row::to_line).collect::<Vec<_>>().join("\n"), entry.rows, "one spelling");
        let rest = rows.split_off(passed.len().min(rows.len()));
        assert_eq!(rows, passed);
        for (row, n) in rows.iter().zip(entry.first..) {
            self.latch(row, n);
        }
        assert!(!rest.iter().any(|row| matches!(row, Row::Phase { .. } | Row::Lost { .. })), "{rest:?}");
        (self.n, self.last_at, self.chain) = (entry.last, entry.at, entry.chain());
        self.entries.push(entry.clone());
        rest
    }

    /// The boundaries that the gate has to tell of now, each on what is known after the one before.
    fn passed(&self, rounds: &[RoundId], at: Timestamp) -> Vec<Row> {
        let mut then = self.facts.clone();
        let mut rows = Vec::new();
        for round in rounds {
            let (facts, left) = (&then.rounds[round], then.left_to_promise());
            let phase = facts.phase_at(at);
            if phase <= facts.phase {
                continue;
            }
            let closes = facts.phase <= Phase::Reserving && phase > Phase::Reserving;
            let supply = if closes { then.supply_at_close(*round) } else { facts.supply };
            let places = then.places_of(*round);
            let facts = then.rounds.get_mut(round).expect("it is open");
            (facts.phase, facts.supply) = (phase, supply);
            rows.push(Row::Phase { round: *round, phase, places, supply, left });
        }
        rows
    }

    fn latch(&mut self, row: &Row, n: u64) {
        let Row::Phase { round, phase, supply, left, .. } = row else { return };
        let facts = self.facts.rounds.get_mut(round).expect("it is open");
        if facts.phase <= Phase::Reserving && *phase > Phase::Reserving {
            facts.left_at_close = *left;
        }
        (facts.phase, facts.supply, facts.last_n) = (*phase, *supply, n);
    }

    /// Counts an answer by its name.
    fn tell(&mut self, call: &str, answer: impl Debug) {
        let answer = format!("{answer:?}");
        let name = answer.split('(').next().unwrap_or_default();
        self.count(&format!("{call} {name}"));
    }

    fn count(&mut self, what: &str) {
        *self.answers.entry(what.to_owned()).or_default() += 1;
    }

    fn round(&mut self, id: RoundId) -> &mut RoundFacts {
        self.facts.rounds.get_mut(&id).expect("it was opened")
    }

    fn keep(&mut self, request: Option<Uuid>, verb: &str) {
        if let Some(id) = request {
            assert_eq!(self.facts.requests.insert(id, verb.to_owned()), None, "a request does something once");
        }
    }

    pub(crate) fn see_opening(&mut self, clock: Timestamp, spec: &RoundSpec, decided: &Decided<RoundOpening>) {
        let rows = self.see(clock, &[], decided);
        assert_eq!(decided.answers, self.facts.opening(spec));
        self.tell("open", decided.answers);
        if decided.answers == RoundOpening::Opened {
            assert_eq!(rows, [Row::Round(spec.clone())]);
            self.facts.rounds.insert(spec.id, RoundFacts::planned(spec.clone(), self.n));
        } else {
            assert_eq!(rows, []);
        }
    }

    /// I2, I3 and I4: one place a user, dense tickets, the first answer for ever.
    pub(crate) fn see_places(
        &mut self,
        clock: Timestamp,
        (round, registered): (RoundId, bool),
        users: &[UserId],
        decided: &Decided<Vec<Answer<Place>>>,
    ) {
        let rows = self.see(clock, &[round], decided);
        let first_ticket = self.facts.places_of(round);
        let granted = self.see_answers("reserve", users, decided, |facts, user, answer| {
            let key = (round, user.clone());
            let place = Place { ticket: facts.places_of(round), reserved_at: decided.at };
            assert_eq!(answer, expected(facts.places.get(&key), facts.no_place(round, user, registered), place));
            if answer == Outcome::Granted(place) {
                assert_eq!((facts.rounds[&round].phase, facts.state), (Phase::Reserving, CampaignState::Active));
                facts.places.insert(key, place);
            }
        });
        let row = (!granted.is_empty()).then_some(Row::Places { round, first_ticket, users: granted });
        assert_eq!(rows, Vec::from_iter(row), "a row for every yes");
        self.touch(round, &rows);
    }

    /// I2, I3, I4 and I6: one coupon a user and round, dense serials, only for a place and a ticket that won where they are needed.
    pub(crate) fn see_coupons(
        &mut self,
        clock: Timestamp,
        (round, registered): (RoundId, bool),
        users: &[UserId],
        decided: &Decided<Vec<Answer<Issued>>>,
    ) {
        let rows = self.see(clock, &[round], decided);
        let first_serial = self.facts.coupons_of(round);
        let drawn = self.facts.rounds[&round].spec.draw.is_some();
        let granted = self.see_answers("claim", users, decided, |facts, user, answer| {
            let key = (round, user.clone());
            let coupon = Issued { serial: facts.coupons_of(round), claimed_at: decided.at };
            assert_eq!(answer, expected(facts.coupons.get(&key), facts.no_coupon(round, user, registered), coupon));
            if answer == Outcome::Granted(coupon) {
                let RoundFacts { spec, phase, delay, .. } = &facts.rounds[&round];
                assert_eq!((*phase, facts.state), (Phase::Claiming, CampaignState::Active));
                assert!(decided.at >= spec.claim.opens.plus(*delay), "not before the delayed window");
                facts.coupons.insert(key, coupon);
            }
        });
        granted.iter().filter(|_| drawn).for_each(|_| self.count("claim Granted to a winner"));
        let row = (!granted.is_empty()).then_some(Row::Coupons { round, first_serial, users: granted });
        assert_eq!(rows, Vec::from_iter(row), "a row for every yes");
        self.touch(round, &rows);
    }

    /// Judges the answers one by one, each on what was known by then. Witnesses count the yeses of the batch, and nothing else.
    fn see_answers<T: Copy + Debug>(
        &mut self,
        call: &str,
        users: &[UserId],
        decided: &Decided<Vec<Answer<T>>>,
        mut judge: impl FnMut(&mut Facts, &UserId, Outcome<T>),
    ) -> Vec<UserId> {
        assert_eq!(decided.answers.len(), users.len(), "one answer a question");
        let is_yes = |answer: &Answer<T>| matches!(answer.outcome, Outcome::Granted(_));
        let mut n = decided.position.n - decided.answers.iter().filter(|answer| is_yes(answer)).count() as u64;
        let mut granted = Vec::new();
        for (user, answer) in users.iter().zip(&decided.answers) {
            if is_yes(answer) {
                n += 1;
                granted.push(user.clone());
            }
            assert_eq!((answer.witness.position.n, answer.witness.at), (n, decided.at), "{answer:?}");
            judge(&mut self.facts, user, answer.outcome);
            match answer.outcome {
                Outcome::Refused(refusal) => self.tell(call, refusal),
                Outcome::Granted(_) | Outcome::Replayed(_) => self.tell(call, answer.outcome),
            }
        }
        granted
    }

    fn touch(&mut self, round: RoundId, rows: &[Row]) {
        if !rows.is_empty() {
            self.round(round).last_n = self.n;
        }
    }

    pub(crate) fn see_tick(&mut self, clock: Timestamp, decided: &Decided<CampaignView>) {
        let rounds: Vec<_> = self.facts.in_gate().map(|(id, _)| *id).collect();
        assert_eq!(self.see(clock, &rounds, decided), []);
        let view = &decided.answers;
        assert_eq!((view.state, view.revision), (self.facts.state, self.facts.revision));
        assert_eq!((view.issued, view.total_limit), (self.facts.coupons.len() as u64, self.facts.rules.total_limit));
        let told: Vec<_> = view.rounds.iter().map(|round| round.spec.id).collect();
        assert_eq!(told, rounds);
        for round in &view.rounds {
            let (id, facts) = (round.spec.id, &self.facts.rounds[&round.spec.id]);
            assert_eq!((&round.spec, round.phase, round.supply), (&facts.spec, facts.phase, facts.supply));
            assert_eq!((round.places, round.issued), (self.facts.places_of(id), self.facts.coupons_of(id)));
            assert_eq!((round.added, round.drawn, round.delay), (facts.added, facts.winners.is_some(), facts.delay));
        }
    }

    pub(crate) fn see_transition(
        &mut self,
        clock: Timestamp,
        transition: Transition,
        request: Option<Uuid>,
        decided: &Decided<Transitioned>,
    ) {
        let rows = self.see(clock, &[], decided);
        assert_eq!(decided.answers, self.facts.transitioned(transition, request));
        self.tell(transition.as_str(), decided.answers);
        if let Transitioned::Done(state) = decided.answers {
            let verb = transition.as_str().to_owned();
            assert_eq!(rows, [Row::State { state, verb, request }]);
            self.facts.state = state;
            self.facts.revision += 1;
            self.keep(request, transition.as_str());
        } else {
            assert_eq!(rows, [], "what does nothing changes nothing");
        }
    }

    /// Nothing that was used is dropped, and a change of rules counts as one.
    pub(crate) fn see_revision(&mut self, clock: Timestamp, revision: &Revision, decided: &Decided<Revised>) {
        let rounds: Vec<_> = self.facts.in_gate().map(|(id, _)| *id).collect();
        let rows = self.see(clock, &rounds, decided);
        assert_eq!(decided.answers, self.facts.revised(revision));
        self.tell(&format!("revise {}", revision.scope.as_str()), decided.answers);
        if let Revised::Done(number) = decided.answers {
            let dropped = self.facts.dropped(revision.scope);
            let (rules, request) = (Box::new(revision.rules.clone()), revision.request);
            let mut expected: Vec<_> = dropped.iter().map(|id| Row::Retired { round: *id, used: false }).collect();
            expected.push(Row::Rules { rules, request });
            assert_eq!(rows, expected);
            dropped.iter().for_each(|id| self.round(*id).in_gate = false);
            self.facts.rules = revision.rules.clone();
            self.facts.revision += 1;
            assert_eq!(number, self.facts.revision);
            self.keep(request, "UPDATE");
            if !dropped.is_empty() {
                self.count(&format!("revise {} Done with rounds dropped", revision.scope.as_str()));
            }
        } else {
            assert_eq!(rows, [], "what does nothing changes nothing");
        }
    }

    pub(crate) fn see_addition(&mut self, clock: Timestamp, addition: &SupplyAddition, decided: &Decided<SupplyAdded>) {
        let SupplyAddition { round, amount, request } = *addition;
        // A request that was seen before is answered without a look at the rounds.
        let known = request.is_some_and(|id| self.facts.requests.contains_key(&id));
        let looked_at = match round {
            _ if known => Vec::new(),
            Some(id) => vec![id],
            None => self.facts.in_gate().map(|(id, _)| *id).collect(),
        };
        let rows = self.see(clock, &looked_at, decided);
        assert_eq!(decided.answers, self.facts.added(round, amount, request));
        self.tell(if round.is_some() { "add to round" } else { "add to total" }, decided.answers);
        if decided.answers != SupplyAdded::Done {
            assert_eq!(rows, [], "what does nothing changes nothing");
            return;
        }
        if let Some(id) = round {
            let n = self.n;
            let facts = self.round(id);
            facts.added += amount;
            facts.supply = facts.supply.map(|supply| supply + amount);
            facts.last_n = n;
            assert_eq!(rows, [Row::Supply { round: id, amount, added: facts.added, supply: facts.supply, request }]);
        } else {
            let limit = self.facts.rules.total_limit.expect("there is one") + amount;
            assert_eq!(rows, [Row::Total { amount, limit, request }]);
            self.facts.rules.total_limit = Some(limit);
            self.facts.revision += 1;
        }
        self.keep(request, "ADD_SUPPLY");
    }

    /// A round is drawn once, by as many winners as its places and its supply make.
    pub(crate) fn see_conclusion(
        &mut self,
        clock: Timestamp,
        round: RoundId,
        winners: &[u8],
        decided: &Decided<DrawConclusion>,
    ) {
        let rows = self.see(clock, &[round], decided);
        assert_eq!(decided.answers, self.facts.conclusion(round, winners, decided.at));
        let DrawConclusion::Drawn(delay) = decided.answers else {
            assert_eq!(rows, [], "what does nothing changes nothing");
            self.tell("conclude", decided.answers);
            return;
        };
        let digest = Chain::of(&[winners]);
        let n = self.n;
        let facts = self.round(round);
        let count = facts.supply.expect("it is fixed");
        assert_eq!(rows, [Row::Drawn { round, winners: count, digest, delay }]);
        (facts.winners, facts.delay, facts.last_n) = (Some(winners.to_vec()), delay, n);
        let closed = facts.phase == Phase::Closed;
        let late = delay > Duration::ZERO;
        let when = if closed {
            "too late"
        } else if late {
            "late"
        } else {
            "in time"
        };
        self.count(&format!("conclude Drawn {when}"));
    }

    pub(crate) fn see_retirement(
        &mut self,
        clock: Timestamp,
        round: RoundId,
        recorded: u64,
        decided: &Decided<Retirement>,
    ) {
        let rows = self.see(clock, &[], decided);
        let used = self.facts.is_used(round);
        if self.facts.may_leave(round, recorded, decided.at) {
            assert_eq!((decided.answers, rows), (Retirement::Retired, vec![Row::Retired { round, used }]));
            self.round(round).in_gate = false;
        } else {
            assert_eq!((decided.answers, rows), (Retirement::Kept, vec![]));
        }
        self.tell(if used { "retire used" } else { "retire unused" }, decided.answers);
    }

    /// The model says the same of itself, and nothing has come to break the rules.
    pub(crate) fn agrees_with(&self, model: &CampaignModel) {
        assert_eq!((model.position().n, model.chain()), (self.n, self.chain));
        self.facts.invariants_hold();
    }
}

/// The first answer for ever, else the refusal, else a yes.
fn expected<T: Copy>(before: Option<&T>, refusal: Option<Refusal>, yes: T) -> Outcome<T> {
    let no = refusal.map_or(Outcome::Granted(yes), Outcome::Refused);
    before.map_or(no, |first| Outcome::Replayed(*first))
}
