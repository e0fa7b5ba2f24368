//! What operators and the scheduler have a gate decide.

use std::collections::HashMap;
use std::time::Duration;

use uuid::Uuid;

use super::{
    CampaignModel, CampaignView, Decided, NoSuchRound, Retirement, RoundModel, RoundOpening, UNUSED_ROUND_KEPT,
    USED_ROUND_KEPT,
};
use crate::campaign::{CampaignState, Revision, Scope, Transition};
use crate::ids::RoundId;
use crate::journal::Row;
use crate::position::Chain;
use crate::round::{Phase, RoundSpec};
use crate::supply::Supply;
use crate::time::Timestamp;

/// The verb of a request that changed the rules.
pub const UPDATE: &str = "UPDATE";
/// The verb of a request that added supply.
pub const ADD_SUPPLY: &str = "ADD_SUPPLY";

/// What became of a transition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transitioned {
    /// The campaign is now in this state.
    Done(CampaignState),
    /// It was there already.
    Unchanged(CampaignState),
    /// It cannot be done from this state.
    Refused(CampaignState),
    /// This request did it before.
    Repeated,
    /// This request did something else before.
    RequestUsed,
}

/// What became of a change of rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revised {
    /// The campaign now has this revision.
    Done(u64),
    /// The change was made for another revision than this, which the campaign has.
    Outdated(u64),
    /// This round has a place or a coupon.
    RoundInUse(RoundId),
    /// The campaign has issued coupons.
    CampaignInUse,
    /// The campaign has ended.
    Ended,
    /// This request did it before.
    Repeated,
    /// This request did something else before.
    RequestUsed,
}

/// Coupons to be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SupplyAddition {
    /// To this round; `None`: to the campaign's total limit.
    pub round: Option<RoundId>,
    /// How many.
    pub amount: u32,
    /// The request that adds them.
    pub request: Option<Uuid>,
}

/// What became of adding supply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SupplyAdded {
    /// They are there.
    Done,
    /// The round is over, or the campaign has ended.
    Closed,
    /// The round shares its campaign's pool: raise the total limit.
    NoOwnSupply,
    /// The campaign has no total limit.
    NoTotalLimit,
    /// Reservation has closed, so that the number of winners is fixed.
    WinnersFixed,
    /// More than there may be.
    TooMany,
    /// This request did it before.
    Repeated,
    /// This request did something else before.
    RequestUsed,
}

/// What became of telling the gate who won.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DrawConclusion {
    /// Winners may claim; the claim window has moved by so much.
    Drawn(Duration),
    /// They were known before.
    AlreadyDrawn,
    /// Reservation has not closed, or the round is not drawn.
    NotDue,
    /// These are not as many winners as there are coupons, or they are of other places than there are.
    NotWhole,
}

/// What a request that was seen before is answered.
enum Known {
    Repeated,
    Used,
}

impl CampaignModel {
    /// Opens a round.
    pub fn open_round(&mut self, spec: &RoundSpec, clock: Timestamp) -> Decided<RoundOpening> {
        let same = |r: &RoundSpec| r.id == spec.id || r.claim.opens == spec.claim.opens;
        let mut specs = self.rounds.values().map(RoundModel::spec);
        let answer = if self.state == CampaignState::Ended {
            RoundOpening::CampaignEnded
        } else if self.revision != spec.revision {
            RoundOpening::Outdated(self.revision)
        } else if let Some(there) = specs.clone().find(|r| same(r)) {
            RoundOpening::AlreadyThere(there.id)
        } else if let Some(other) = specs.find(|r| r.claim.overlaps(&spec.claim)) {
            RoundOpening::Overlaps(other.id)
        } else {
            RoundOpening::Opened
        };
        let row = (answer == RoundOpening::Opened).then(|| {
            self.rounds.insert(spec.id, RoundModel::planned(spec.clone(), self.position.n + 1));
            Row::Round(spec.clone())
        });
        self.decided(answer, row, clock)
    }

    /// Changes the campaign's state.
    pub fn transition(
        &mut self,
        transition: Transition,
        request: Option<Uuid>,
        clock: Timestamp,
    ) -> Decided<Transitioned> {
        let to = transition.to();
        let answer = match self.known(request, transition.as_str()) {
            Some(Known::Repeated) => Transitioned::Repeated,
            Some(Known::Used) => Transitioned::RequestUsed,
            None if transition.from().contains(&self.state) => Transitioned::Done(to),
            None if self.state == to => Transitioned::Unchanged(to),
            None => Transitioned::Refused(self.state),
        };
        let row = (answer == Transitioned::Done(to)).then(|| {
            self.state = to;
            self.revision += 1;
            self.keep(request, transition.as_str());
            Row::State { state: to, verb: transition.as_str().to_owned(), request }
        });
        self.decided(answer, row, clock)
    }

    /// Changes the rules; rounds ahead that nobody has used are dropped if the change reaches them, to be planned anew.
    pub fn revise(&mut self, revision: &Revision, clock: Timestamp) -> Decided<Revised> {
        let mut rows = self.advance_all(clock.max(self.last_at));
        let answer = match self.known(revision.request, UPDATE) {
            Some(Known::Repeated) => Revised::Repeated,
            Some(Known::Used) => Revised::RequestUsed,
            None => self.revision_refusal(revision).unwrap_or(Revised::Done(self.revision + 1)),
        };
        if matches!(answer, Revised::Done(_)) {
            // From here on it must succeed.
            if revision.scope >= Scope::Rounds {
                let ahead = |round: &RoundModel| !round.is_used() && round.phase() != Phase::Closed;
                let dropped = self.rounds.extract_if(.., |_, round| ahead(round));
                rows.extend(dropped.map(|(round, _)| Row::Retired { round, used: false }));
            }
            if revision.scope == Scope::Campaign {
                self.total_limit = revision.rules.total_limit;
                self.max_per_user = revision.rules.coupons_per_user();
                self.coupons_of = revision.rules.schedule.recurs().then(HashMap::new);
            }
            self.revision += 1;
            self.keep(revision.request, UPDATE);
            rows.push(Row::Rules { rules: Box::new(revision.rules.clone()), request: revision.request });
        }
        self.decided(answer, rows, clock)
    }

    fn revision_refusal(&self, revision: &Revision) -> Option<Revised> {
        let rounds = self.rounds.values().map(|round| (round.spec().id, round.is_used(), round.phase()));
        let Self { state, revision: now, issued, .. } = *self;
        revision_refusal(CampaignSummary { state, revision: now, issued }, rounds, revision.of, revision.scope)
    }

    /// Adds coupons to a round or to the campaign's total limit.
    ///
    /// # Errors
    /// If the round is not here.
    pub fn add_supply(
        &mut self,
        addition: &SupplyAddition,
        clock: Timestamp,
    ) -> Result<Decided<SupplyAdded>, NoSuchRound> {
        let answer = match self.known(addition.request, ADD_SUPPLY) {
            Some(Known::Repeated) => SupplyAdded::Repeated,
            Some(Known::Used) => SupplyAdded::RequestUsed,
            None => match addition.round {
                Some(round) => return self.add_to_round(round, addition, clock),
                None => return Ok(self.add_to_total(addition, clock)),
            },
        };
        Ok(self.decided(answer, None, clock))
    }

    fn add_to_total(&mut self, addition: &SupplyAddition, clock: Timestamp) -> Decided<SupplyAdded> {
        // A boundary that was passed before the addition comes before it: winners are as many as the limit left then.
        let mut rows = self.advance_all(clock.max(self.last_at));
        let raised = self.total_limit.map(|limit| limit.saturating_add(addition.amount));
        let answer = match raised {
            _ if self.state == CampaignState::Ended => SupplyAdded::Closed,
            None => SupplyAdded::NoTotalLimit,
            Some(limit) if limit > Supply::MAX => SupplyAdded::TooMany,
            Some(_) => SupplyAdded::Done,
        };
        rows.extend(raised.filter(|_| answer == SupplyAdded::Done).map(|limit| {
            self.total_limit = Some(limit);
            self.revision += 1;
            self.keep(addition.request, ADD_SUPPLY);
            Row::Total { amount: addition.amount, limit, request: addition.request }
        }));
        self.decided(answer, rows, clock)
    }

    fn add_to_round(
        &mut self,
        id: RoundId,
        addition: &SupplyAddition,
        clock: Timestamp,
    ) -> Result<Decided<SupplyAdded>, NoSuchRound> {
        let left = self.left_in_total();
        let at = clock.max(self.last_at);
        let n = self.position.n;
        let ended = self.state == CampaignState::Ended;
        let round = self.rounds.get_mut(&id).ok_or(NoSuchRound(id))?;
        let mut rows: Vec<_> = round.advance(at, left).into_iter().collect();
        let refusal = if ended { Some(SupplyAdded::Closed) } else { round.addition_refusal(addition.amount) };
        let answer = refusal.unwrap_or(SupplyAdded::Done);
        if answer == SupplyAdded::Done {
            rows.push(round.add(addition));
        }
        if !rows.is_empty() {
            round.touch(n + rows.len() as u64);
        }
        if answer == SupplyAdded::Done {
            self.keep(addition.request, ADD_SUPPLY);
        }
        Ok(self.decided(answer, rows, clock))
    }

    /// Tells who won a round: bit t, counted from the most significant bit of the first byte, is set if ticket t did.
    ///
    /// # Errors
    /// If the round is not here.
    pub fn conclude_draw(
        &mut self,
        id: RoundId,
        winners: &[u8],
        clock: Timestamp,
    ) -> Result<Decided<DrawConclusion>, NoSuchRound> {
        let left = self.left_in_total();
        let at = clock.max(self.last_at);
        let n = self.position.n;
        let round = self.rounds.get_mut(&id).ok_or(NoSuchRound(id))?;
        let mut rows: Vec<_> = round.advance(at, left).into_iter().collect();
        let answer = round.draw_conclusion(winners, at);
        if let DrawConclusion::Drawn(delay) = answer {
            round.conclude(winners, delay);
            let digest = Chain::of(&[winners]);
            rows.push(Row::Drawn { round: id, winners: round.supply().unwrap_or(0), digest, delay });
        }
        if !rows.is_empty() {
            round.touch(n + rows.len() as u64);
        }
        Ok(self.decided(answer, rows, clock))
    }

    fn known(&self, request: Option<Uuid>, verb: &str) -> Option<Known> {
        let done = self.requests.get(&request?)?;
        Some(if done == verb { Known::Repeated } else { Known::Used })
    }

    fn keep(&mut self, request: Option<Uuid>, verb: &str) {
        self.requests.extend(request.map(|id| (id, verb.to_owned())));
    }

    /// Lets a round leave the gate once it is over for long enough and the ledger, at `recorded`, has all of it.
    ///
    /// # Errors
    /// If the round is not here.
    pub fn retire(&mut self, id: RoundId, recorded: u64, clock: Timestamp) -> Result<Decided<Retirement>, NoSuchRound> {
        let at = clock.max(self.last_at);
        let round = self.rounds.get(&id).ok_or(NoSuchRound(id))?;
        let used = round.is_used();
        let kept = if used { USED_ROUND_KEPT } else { UNUSED_ROUND_KEPT };
        let closed = round.phase() == Phase::Closed && at >= round.closes().plus(kept);
        // Nothing will happen any more in a round that an ended campaign left unused.
        let over = closed || (self.state == CampaignState::Ended && !used);
        let row = (over && round.last_n() <= recorded).then_some(Row::Retired { round: id, used });
        let answer = if row.is_some() { Retirement::Retired } else { Retirement::Kept };
        if row.is_some() {
            self.rounds.remove(&id);
        }
        Ok(self.decided(answer, row, clock))
    }
}

/// What a change of the rules depends on beside the rounds.
#[derive(Debug, Clone, Copy)]
struct CampaignSummary {
    state: CampaignState,
    revision: u64,
    issued: u64,
}

/// Why rules that were read at revision `of` cannot be changed so far; of each round at the gate: whether it is used, and its phase.
fn revision_refusal(
    campaign: CampaignSummary,
    mut rounds: impl Iterator<Item = (RoundId, bool, Phase)>,
    of: u64,
    scope: Scope,
) -> Option<Revised> {
    if campaign.state == CampaignState::Ended {
        return Some(Revised::Ended);
    }
    if campaign.revision != of {
        return Some(Revised::Outdated(campaign.revision));
    }
    let in_the_way = |(_, used, phase): &(RoundId, bool, Phase)| match scope {
        Scope::Labels => false,
        Scope::Rounds => *used && *phase != Phase::Closed,
        Scope::Campaign => *used,
    };
    if let Some((round, ..)) = rounds.find(in_the_way) {
        return Some(Revised::RoundInUse(round));
    }
    (scope == Scope::Campaign && campaign.issued > 0).then_some(Revised::CampaignInUse)
}

impl CampaignView {
    /// What a gate that stands so would say to a change of the rules, if it would refuse it.
    #[must_use]
    pub fn revision_refusal(&self, of: u64, scope: Scope) -> Option<Revised> {
        let Self { state, revision, issued, .. } = *self;
        let rounds = self.rounds.iter().map(|round| (round.spec.id, round.places > 0 || round.issued > 0, round.phase));
        revision_refusal(CampaignSummary { state, revision, issued }, rounds, of, scope)
    }
}
