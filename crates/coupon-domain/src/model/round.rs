//! One round of the model.

use std::collections::HashMap;

use super::RoundView;
use crate::answer::{Issued, Place, Refusal};
use crate::campaign::CampaignState;
use crate::ids::UserId;
use crate::journal::Row;
use crate::round::{Phase, RoundSpec};
use crate::time::Timestamp;

/// What a user has in a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Seat {
    /// The place, if any.
    pub place: Option<Place>,
    /// The coupon, if any.
    pub coupon: Option<Issued>,
}

/// A round's hot state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoundModel {
    spec: RoundSpec,
    phase: Phase,
    supply: Option<u32>,
    places: u32,
    issued: u32,
    last_n: u64,
    seats: HashMap<UserId, Seat>,
}

impl RoundModel {
    pub(super) fn planned(spec: RoundSpec, n: u64) -> Self {
        let supply = spec.supply.known_at_start();
        Self { spec, phase: Phase::Planned, supply, places: 0, issued: 0, last_n: n, seats: HashMap::new() }
    }

    pub(super) fn loaded(view: RoundView, last_n: u64) -> Self {
        let RoundView { spec, phase, supply, places, issued } = view;
        Self { spec, phase, supply, places, issued, last_n, seats: HashMap::new() }
    }

    pub(super) fn seat(&mut self, user: UserId, seat: Seat) {
        self.seats.insert(user, seat);
    }

    /// Whether its counts are those of its seats.
    pub(super) fn is_whole(&self) -> bool {
        let places = self.seats.values().filter(|s| s.place.is_some()).count();
        let issued = self.seats.values().filter(|s| s.coupon.is_some()).count();
        places == self.places as usize && issued == self.issued as usize
    }

    /// Latches the phase that the clock says; from then on it does not go back.
    pub(super) fn advance(&mut self, at: Timestamp) -> Option<Row> {
        let phase = self.spec.phase_at(at);
        if phase <= self.phase {
            return None;
        }
        if phase > Phase::Reserving && self.phase <= Phase::Reserving {
            self.supply = self.spec.supply.for_places(self.places);
        }
        self.phase = phase;
        Some(Row::Phase { round: self.spec.id, phase, places: self.places, supply: self.supply })
    }

    pub(super) fn touch(&mut self, n: u64) {
        self.last_n = n;
    }

    pub(super) fn place_of(&self, user: &UserId) -> Option<Place> {
        self.seats.get(user)?.place
    }

    pub(super) fn coupon_of(&self, user: &UserId) -> Option<Issued> {
        self.seats.get(user)?.coupon
    }

    pub(super) fn reserve_window_refusal(&self, state: CampaignState) -> Option<Refusal> {
        // A round that needs no places has no reservation to open.
        let closed = self.phase > Phase::Reserving || self.spec.reserve.is_none();
        window_refusal(state, self.phase < Phase::Reserving && !closed, closed)
    }

    pub(super) fn claim_window_refusal(&self, state: CampaignState) -> Option<Refusal> {
        window_refusal(state, self.phase < Phase::Claiming, self.phase > Phase::Claiming)
    }

    pub(super) fn is_full(&self) -> bool {
        self.places >= self.spec.max_places
    }

    pub(super) fn lacks_place(&self, user: &UserId) -> bool {
        self.spec.reserve.is_some() && self.place_of(user).is_none()
    }

    pub(super) fn is_sold_out(&self) -> bool {
        self.supply.is_some_and(|supply| self.issued >= supply)
    }

    pub(super) fn take_place(&mut self, user: &UserId, at: Timestamp) -> Place {
        let place = Place { ticket: self.places, reserved_at: at };
        self.places += 1;
        self.seats.entry(user.clone()).or_default().place = Some(place);
        place
    }

    pub(super) fn issue(&mut self, user: &UserId, at: Timestamp) -> Issued {
        let coupon = Issued { serial: self.issued, claimed_at: at };
        self.issued += 1;
        self.seats.entry(user.clone()).or_default().coupon = Some(coupon);
        coupon
    }

    pub(super) fn is_used(&self) -> bool {
        self.places > 0 || self.issued > 0
    }

    pub(super) fn spec(&self) -> &RoundSpec {
        &self.spec
    }

    pub(super) fn phase(&self) -> Phase {
        self.phase
    }

    pub(super) fn last_n(&self) -> u64 {
        self.last_n
    }

    pub(super) fn view(&self) -> RoundView {
        let Self { spec, phase, supply, places, issued, .. } = self;
        RoundView { spec: spec.clone(), phase: *phase, supply: *supply, places: *places, issued: *issued }
    }
}

/// The first three refusals of every call: a draft has not opened, an ended campaign is closed, a paused one comes after both.
fn window_refusal(state: CampaignState, early: bool, late: bool) -> Option<Refusal> {
    match state {
        CampaignState::Draft => Some(Refusal::NotOpenYet),
        CampaignState::Ended => Some(Refusal::Closed),
        CampaignState::Active | CampaignState::Paused if early => Some(Refusal::NotOpenYet),
        CampaignState::Active | CampaignState::Paused if late => Some(Refusal::Closed),
        CampaignState::Paused => Some(Refusal::Paused),
        CampaignState::Active => None,
    }
}
