//! What is known to have happened in a campaign, and what the rules make of it: their text written down once more, over plain facts.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use coupon_domain::answer::{Issued, Place, Refusal};
use coupon_domain::campaign::{CampaignState, Rules};
use coupon_domain::campaign::{Revision, Scope, Transition};
use coupon_domain::ids::{RoundId, UserId};
use coupon_domain::model::{DrawConclusion, Revised, RoundOpening, SupplyAdded, Transitioned};
use coupon_domain::round::{Phase, RoundSpec};
use coupon_domain::supply::{Ratio, Rounding, Supply};
use coupon_domain::time::Timestamp;
use uuid::Uuid;

const HOUR: Duration = Duration::from_secs(3600);
const TEN_MINUTES: Duration = Duration::from_secs(600);
const MOST: u64 = 200_000_000;

/// A round, also one that has left.
#[derive(Debug, Clone)]
pub(crate) struct RoundFacts {
    pub(crate) spec: RoundSpec,
    pub(crate) phase: Phase,
    pub(crate) supply: Option<u32>,
    /// What the total limit left when reservation closed.
    pub(crate) left_at_close: Option<u64>,
    pub(crate) added: u32,
    /// By ticket; none until it is drawn.
    pub(crate) winners: Option<Vec<u8>>,
    pub(crate) delay: Duration,
    pub(crate) last_n: u64,
    pub(crate) in_gate: bool,
}

/// All that has happened.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    pub(crate) state: CampaignState,
    pub(crate) rules: Rules,
    pub(crate) revision: u64,
    pub(crate) rounds: BTreeMap<RoundId, RoundFacts>,
    pub(crate) places: HashMap<(RoundId, UserId), Place>,
    pub(crate) coupons: HashMap<(RoundId, UserId), Issued>,
    pub(crate) requests: HashMap<Uuid, String>,
}

impl RoundFacts {
    pub(crate) fn planned(spec: RoundSpec, n: u64) -> Self {
        let supply = if let Supply::Fixed(n) = spec.supply { Some(n) } else { None };
        let (phase, left_at_close, added, winners, delay) = (Phase::Planned, None, 0, None, Duration::ZERO);
        Self { spec, phase, supply, left_at_close, added, winners, delay, last_n: n, in_gate: true }
    }

    /// When claims end: a late draw moves them by its delay, and they wait an hour for one that has not come.
    fn closes(&self) -> Timestamp {
        let awaited = self.spec.draw.is_some() && self.winners.is_none();
        self.spec.claim.closes.plus(if awaited { HOUR } else { self.delay })
    }

    /// The last boundary that this instant has reached.
    pub(crate) fn phase_at(&self, at: Timestamp) -> Phase {
        let reserve = self.spec.reserve;
        let boundaries = [
            (reserve.map(|window| window.opens), Phase::Reserving),
            (reserve.map(|window| window.closes), Phase::Waiting),
            (Some(self.spec.claim.opens.plus(self.delay)), Phase::Claiming),
            (Some(self.closes()), Phase::Closed),
        ];
        let reached = boundaries.iter().rfind(|(boundary, _)| boundary.is_some_and(|boundary| boundary <= at));
        reached.map_or(Phase::Planned, |(_, phase)| *phase)
    }

    pub(crate) fn won(&self, ticket: u32) -> bool {
        self.winners.as_ref().is_some_and(|bytes| is_winner(bytes, ticket))
    }
}

/// Whether the bitmap has this ticket; the first one is the most significant bit of the first byte.
fn is_winner(bytes: &[u8], ticket: u32) -> bool {
    bytes.get(ticket as usize / 8).is_some_and(|byte| (byte >> (7 - ticket % 8)) % 2 == 1)
}

/// Every ticket in the bitmap, those that nobody has too.
fn tickets_in(bytes: &[u8]) -> Vec<u32> {
    (0..8 * u32::try_from(bytes.len()).expect("few")).filter(|ticket| is_winner(bytes, *ticket)).collect()
}

/// A ratio's share of the places: whole coupons, and what becomes of the rest.
fn share(ratio: Ratio, places: u32) -> u64 {
    let (places, n, d) = (u64::from(places), u64::from(ratio.numerator()), u64::from(ratio.denominator()));
    let (whole, rest) = (places * n / d, places * n % d);
    let one_more = match ratio.rounding() {
        Rounding::Floor => false,
        Rounding::Ceil => rest > 0,
        Rounding::Nearest => 2 * rest >= d,
    };
    whole + u64::from(one_more)
}

fn first_that_holds<T>(cases: impl IntoIterator<Item = (bool, T)>) -> Option<T> {
    cases.into_iter().find(|(holds, _)| *holds).map(|(_, case)| case)
}

impl Facts {
    pub(crate) fn places_of(&self, round: RoundId) -> u32 {
        u32::try_from(self.places.keys().filter(|(id, _)| *id == round).count()).expect("few")
    }

    pub(crate) fn coupons_of(&self, round: RoundId) -> u32 {
        u32::try_from(self.coupons.keys().filter(|(id, _)| *id == round).count()).expect("few")
    }

    pub(crate) fn coupons_of_user(&self, user: &UserId) -> u32 {
        u32::try_from(self.coupons.keys().filter(|(_, of)| of == user).count()).expect("few")
    }

    pub(crate) fn is_used(&self, round: RoundId) -> bool {
        self.places_of(round) + self.coupons_of(round) > 0
    }

    pub(crate) fn in_gate(&self) -> impl Iterator<Item = (&RoundId, &RoundFacts)> {
        self.rounds.iter().filter(|(_, round)| round.in_gate)
    }

    fn limit_of_user(&self) -> u32 {
        self.rules.max_per_user.unwrap_or(1)
    }

    /// What the total limit leaves.
    pub(crate) fn left(&self) -> Option<u64> {
        self.rules.total_limit.map(|limit| u64::from(limit) - self.coupons.len() as u64)
    }

    /// What it leaves to a round whose reservation closes: nothing that winners of other rounds may still claim.
    pub(crate) fn left_to_promise(&self) -> Option<u64> {
        let open = |round: &RoundFacts| round.phase > Phase::Reserving && round.phase < Phase::Closed;
        let drawn = self.in_gate().filter(|(_, round)| round.spec.draw.is_some() && open(round));
        let promised: u64 = drawn.map(|(id, round)| u64::from(round.supply.unwrap_or(0) - self.coupons_of(*id))).sum();
        self.left().map(|left| left.saturating_sub(promised))
    }

    /// The supply of a round whose reservation closes now. Drawn, it is the number of winners: no more than places, nor than is left.
    pub(crate) fn supply_at_close(&self, id: RoundId) -> Option<u32> {
        let round = &self.rounds[&id];
        let places = self.places_of(id);
        let planned = match (round.spec.supply, &round.spec.draw) {
            (Supply::Fixed(n), _) => u64::from(n),
            (Supply::RatioOfPlaces(ratio), None) => share(ratio, places),
            (Supply::RatioOfPlaces(ratio), Some(plan)) => {
                plan.total_limit.map_or(share(ratio, places), |cap| share(ratio, places).min(u64::from(cap)))
            }
            (Supply::SharedPool, _) => return None,
        };
        let supply = planned + u64::from(round.added);
        let most = if round.spec.draw.is_some() {
            self.left_to_promise().unwrap_or(MOST).min(u64::from(places))
        } else {
            MOST
        };
        Some(u32::try_from(supply.min(most)).expect("few"))
    }

    /// What the table of answers says to somebody without a place.
    pub(crate) fn no_place(&self, id: RoundId, user: &UserId, registered: bool) -> Option<Refusal> {
        let round = &self.rounds[&id];
        let never = round.spec.reserve.is_none();
        first_that_holds([
            (self.state == CampaignState::Draft, Refusal::NotOpenYet),
            (self.state == CampaignState::Ended, Refusal::Closed),
            (never || round.phase > Phase::Reserving, Refusal::Closed),
            (round.phase < Phase::Reserving, Refusal::NotOpenYet),
            (self.state == CampaignState::Paused, Refusal::Paused),
            (round.spec.registered_users_only && !registered, Refusal::UnknownUser),
            (self.coupons_of_user(user) >= self.limit_of_user(), Refusal::LimitReached),
            (self.places_of(id) >= round.spec.max_places, Refusal::Full),
        ])
    }

    /// What it says to somebody without a coupon in the round.
    pub(crate) fn no_coupon(&self, id: RoundId, user: &UserId, registered: bool) -> Option<Refusal> {
        let round = &self.rounds[&id];
        let place = self.places.get(&(id, user.clone()));
        let drawn = round.spec.draw.is_some();
        first_that_holds([
            (self.state == CampaignState::Draft, Refusal::NotOpenYet),
            (self.state == CampaignState::Ended, Refusal::Closed),
            (round.phase < Phase::Claiming, Refusal::NotOpenYet),
            (round.phase == Phase::Closed, Refusal::Closed),
            (self.state == CampaignState::Paused, Refusal::Paused),
            (round.spec.registered_users_only && !registered, Refusal::UnknownUser),
            (round.spec.reserve.is_some() && place.is_none(), Refusal::NotReserved),
            (self.coupons_of_user(user) >= self.limit_of_user(), Refusal::LimitReached),
            (drawn && round.winners.is_none(), Refusal::DrawPending),
            (drawn && !place.is_some_and(|place| round.won(place.ticket)), Refusal::NotDrawn),
            (round.supply.is_some_and(|supply| self.coupons_of(id) >= supply), Refusal::SoldOut),
            (self.left() == Some(0), Refusal::SoldOut),
        ])
    }

    /// Whether a request id was used before, by this verb or by another one.
    fn known<T>(&self, request: Option<Uuid>, verb: &str, repeated: T, used: T) -> Option<T> {
        let done = self.requests.get(&request?)?;
        Some(if done == verb { repeated } else { used })
    }

    pub(crate) fn opening(&self, spec: &RoundSpec) -> RoundOpening {
        let other = |same: &dyn Fn(&RoundSpec) -> bool| self.in_gate().find(|(_, there)| same(&there.spec));
        let share_an_instant =
            |there: &RoundSpec| there.claim.opens.max(spec.claim.opens) < there.claim.closes.min(spec.claim.closes);
        if self.state == CampaignState::Ended {
            RoundOpening::CampaignEnded
        } else if spec.revision != self.revision {
            RoundOpening::Outdated(self.revision)
        } else if let Some((id, _)) = other(&|there| there.claim.opens == spec.claim.opens) {
            RoundOpening::AlreadyThere(*id)
        } else if let Some((id, _)) = other(&share_an_instant) {
            RoundOpening::Overlaps(*id)
        } else {
            RoundOpening::Opened
        }
    }

    pub(crate) fn transitioned(&self, transition: Transition, request: Option<Uuid>) -> Transitioned {
        use CampaignState::{Active, Draft, Ended, Paused};
        let known = self.known(request, transition.as_str(), Transitioned::Repeated, Transitioned::RequestUsed);
        known.unwrap_or(match (transition, self.state) {
            (Transition::Activate, Draft) | (Transition::Resume, Paused) => Transitioned::Done(Active),
            (Transition::Pause, Active) => Transitioned::Done(Paused),
            (Transition::End, Draft | Active | Paused) => Transitioned::Done(Ended),
            (Transition::Activate | Transition::Resume, Active)
            | (Transition::Pause, Paused)
            | (Transition::End, Ended) => Transitioned::Unchanged(self.state),
            (Transition::Activate, Paused | Ended)
            | (Transition::Pause, Draft | Ended)
            | (Transition::Resume, Draft | Ended) => Transitioned::Refused(self.state),
        })
    }

    /// Rules change only where nobody has relied on them.
    pub(crate) fn revised(&self, revision: &Revision) -> Revised {
        let relied_on = |round: &RoundFacts| match revision.scope {
            Scope::Labels => false,
            Scope::Rounds => round.phase != Phase::Closed,
            Scope::Campaign => true,
        };
        let in_use = self.in_gate().find(|(id, round)| self.is_used(**id) && relied_on(round));
        let refusal = first_that_holds([
            (self.state == CampaignState::Ended, Revised::Ended),
            (revision.of != self.revision, Revised::Outdated(self.revision)),
        ]);
        self.known(revision.request, "UPDATE", Revised::Repeated, Revised::RequestUsed)
            .or(refusal)
            .or(in_use.map(|(id, _)| Revised::RoundInUse(*id)))
            .or((revision.scope == Scope::Campaign && !self.coupons.is_empty()).then_some(Revised::CampaignInUse))
            .unwrap_or(Revised::Done(self.revision + 1))
    }

    /// Rounds that a change of this scope takes away: nobody has used them, and they are not over.
    pub(crate) fn dropped(&self, scope: Scope) -> Vec<RoundId> {
        let ahead = self.in_gate().filter(|(id, round)| !self.is_used(**id) && round.phase != Phase::Closed);
        if scope == Scope::Labels { Vec::new() } else { ahead.map(|(id, _)| *id).collect() }
    }

    pub(crate) fn added(&self, round: Option<RoundId>, amount: u32, request: Option<Uuid>) -> SupplyAdded {
        let ended = self.state == CampaignState::Ended;
        let too_many = |before: u32| u64::from(before) + u64::from(amount) > MOST;
        let refusal = match round.map(|id| &self.rounds[&id]) {
            None => first_that_holds([
                (ended, SupplyAdded::Closed),
                (self.rules.total_limit.is_none(), SupplyAdded::NoTotalLimit),
                (too_many(self.rules.total_limit.unwrap_or(0)), SupplyAdded::TooMany),
            ]),
            Some(round) => first_that_holds([
                (ended || round.phase == Phase::Closed, SupplyAdded::Closed),
                (round.spec.supply == Supply::SharedPool, SupplyAdded::NoOwnSupply),
                (round.spec.draw.is_some() && round.phase > Phase::Reserving, SupplyAdded::WinnersFixed),
                (too_many(round.supply.unwrap_or(round.added)), SupplyAdded::TooMany),
            ]),
        };
        let known = self.known(request, "ADD_SUPPLY", SupplyAdded::Repeated, SupplyAdded::RequestUsed);
        known.or(refusal).unwrap_or(SupplyAdded::Done)
    }

    pub(crate) fn conclusion(&self, id: RoundId, winners: &[u8], at: Timestamp) -> DrawConclusion {
        let round = &self.rounds[&id];
        let tickets = tickets_in(winners);
        let places = self.places_of(id);
        let whole = winners.len() == (places as usize).div_ceil(8)
            && tickets.iter().all(|ticket| *ticket < places)
            && Some(tickets.len()) == round.supply.map(|w| w as usize);
        let refusal = first_that_holds([
            (round.spec.draw.is_none() || round.phase <= Phase::Reserving, DrawConclusion::NotDue),
            (round.winners.is_some(), DrawConclusion::AlreadyDrawn),
            (!whole, DrawConclusion::NotWhole),
        ]);
        refusal.unwrap_or(DrawConclusion::Drawn(at.since(round.spec.claim.opens).min(HOUR)))
    }

    /// Whether a round may leave: long over, or left unused by a campaign that has ended; and the ledger has all of it.
    pub(crate) fn may_leave(&self, id: RoundId, recorded: u64, at: Timestamp) -> bool {
        let round = &self.rounds[&id];
        let kept = if self.is_used(id) { HOUR } else { TEN_MINUTES };
        let long_over = round.phase == Phase::Closed && at >= round.closes().plus(kept);
        let never_used = self.state == CampaignState::Ended && !self.is_used(id);
        (long_over || never_used) && round.last_n <= recorded
    }

    /// I1, I2, I3 and I6 over all rounds, those that have left too.
    pub(crate) fn invariants_hold(&self) {
        let total = self.rules.total_limit;
        assert!(total.is_none_or(|limit| self.coupons.len() <= limit as usize), "{} of {total:?}", self.coupons.len());
        for (_, user) in self.coupons.keys() {
            let count = self.coupons_of_user(user);
            assert!(count <= self.limit_of_user(), "{user} has {count}");
        }
        for (id, round) in &self.rounds {
            let tickets = numbers(&self.places, *id, |place| place.ticket);
            let serials = numbers(&self.coupons, *id, |coupon| coupon.serial);
            assert!(tickets.iter().copied().eq(0..self.places_of(*id)), "{id}: tickets {tickets:?}");
            assert!(serials.iter().copied().eq(0..self.coupons_of(*id)), "{id}: serials {serials:?}");
            assert!(tickets.len() <= round.spec.max_places as usize);
            assert!(round.supply.is_none_or(|supply| serials.len() <= supply as usize), "{id}: {:?}", round.supply);
            if let Some(winners) = &round.winners {
                assert_eq!(Some(tickets_in(winners).len()), round.supply.map(|w| w as usize), "{id}: exactly W win");
            }
        }
        for (round, user) in self.coupons.keys() {
            let facts = &self.rounds[round];
            let place = self.places.get(&(*round, user.clone()));
            assert!(facts.spec.reserve.is_none() || place.is_some(), "{user} has a coupon of {round} and no place");
            let won = place.is_some_and(|place| facts.won(place.ticket));
            assert!(facts.spec.draw.is_none() || won, "{user} has a coupon of {round} and did not win");
        }
    }
}

fn numbers<T>(rows: &HashMap<(RoundId, UserId), T>, round: RoundId, number: impl Fn(&T) -> u32) -> Vec<u32> {
    let mut numbers: Vec<_> = rows.iter().filter(|((id, _), _)| *id == round).map(|(_, row)| number(row)).collect();
    numbers.sort_unstable();
    numbers
}
