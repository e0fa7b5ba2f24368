//! One round of the model.

use std::collections::HashMap;
use std::time::Duration;

use super::{DrawConclusion, RoundView, SupplyAdded, SupplyAddition};
use crate::answer::{Issued, Place, Refusal};
use crate::campaign::CampaignState;
use crate::ids::UserId;
use crate::journal::Row;
use crate::round::{Phase, RoundSpec};
use crate::supply::Supply;
use crate::time::{Timestamp, Window};

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
    added: u32,
    drawn: bool,
    delay: Duration,
    last_n: u64,
    seats: HashMap<UserId, Seat>,
    /// Bit t, from the most significant one of the first byte, is set if ticket t won.
    winners: Vec<u8>,
}

impl RoundModel {
    pub(super) fn planned(spec: RoundSpec, n: u64) -> Self {
        Self::loaded(RoundView::planned(spec), n)
    }

    pub(super) fn loaded(view: RoundView, last_n: u64) -> Self {
        let RoundView { spec, phase, supply, places, issued, added, drawn, delay } = view;
        let (seats, winners) = (HashMap::new(), Vec::new());
        Self { spec, phase, supply, places, issued, added, drawn, delay, last_n, seats, winners }
    }

    /// Takes over a part of the winners, from this byte on.
    pub(super) fn set_winners(&mut self, first: usize, part: &[u8]) {
        let end = first + part.len();
        if self.winners.len() < end {
            self.winners.resize(end, 0);
        }
        self.winners[first..end].copy_from_slice(part);
    }

    pub(super) fn seat(&mut self, user: UserId, seat: Seat) {
        self.seats.insert(user, seat);
    }

    /// Whether its counts are those of its seats.
    pub(super) fn is_whole(&self) -> bool {
        let places = self.seats.values().filter(|s| s.place.is_some()).count();
        let issued = self.seats.values().filter(|s| s.coupon.is_some()).count();
        let winners = !self.drawn || count_bits(&self.winners) == u64::from(self.supply.unwrap_or(0));
        places == self.places as usize && issued == self.issued as usize && winners
    }

    /// The phase that the clock says.
    fn phase_at(&self, at: Timestamp) -> Phase {
        if at >= self.closes() {
            return Phase::Closed;
        }
        if at >= self.claim().opens {
            return Phase::Claiming;
        }
        match self.spec.reserve {
            Some(reserve) if at >= reserve.closes => Phase::Waiting,
            Some(reserve) if at >= reserve.opens => Phase::Reserving,
            Some(_) | None => Phase::Planned,
        }
    }

    /// Latches the phase that the clock says; from then on it does not go back.
    pub(super) fn advance(&mut self, at: Timestamp, left_in_total: Option<u64>) -> Option<Row> {
        let phase = self.phase_at(at);
        if phase <= self.phase {
            return None;
        }
        if phase > Phase::Reserving && self.phase <= Phase::Reserving {
            self.supply = self.spec.supply_for(self.places, self.added, left_in_total);
        }
        self.phase = phase;
        let Self { spec, places, supply, .. } = self;
        Some(Row::Phase { round: spec.id, phase, places: *places, supply: *supply, left: left_in_total })
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

    pub(super) fn admits(&self, registered: bool) -> bool {
        registered || !self.spec.registered_users_only
    }

    fn awaits_draw(&self) -> bool {
        self.spec.draw.is_some() && !self.drawn
    }

    /// What a user whose place is drawn is refused, if it is.
    pub(super) fn draw_refusal(&self, user: &UserId) -> Option<Refusal> {
        self.spec.draw.as_ref()?;
        if !self.drawn {
            return Some(Refusal::DrawPending);
        }
        let won = self.place_of(user).is_some_and(|place| is_set(&self.winners, place.ticket));
        (!won).then_some(Refusal::NotDrawn)
    }

    pub(super) fn draw_conclusion(&self, winners: &[u8], at: Timestamp) -> DrawConclusion {
        if self.spec.draw.is_none() || self.phase <= Phase::Reserving {
            return DrawConclusion::NotDue;
        }
        if self.drawn {
            return DrawConclusion::AlreadyDrawn;
        }
        // Bits of the last byte that no ticket has.
        let unused = if self.places.is_multiple_of(8) { 0 } else { 0xff >> (self.places % 8) };
        let beyond = winners.last().is_some_and(|last| last & unused != 0);
        let whole = winners.len() == self.places.div_ceil(8) as usize
            && !beyond
            && count_bits(winners) == u64::from(self.supply.unwrap_or(0));
        if !whole {
            return DrawConclusion::NotWhole;
        }
        DrawConclusion::Drawn(at.since(self.spec.claim.opens).min(RoundSpec::LONGEST_DELAY))
    }

    pub(super) fn conclude(&mut self, winners: &[u8], delay: Duration) {
        self.winners = winners.to_vec();
        self.drawn = true;
        self.delay = delay;
    }

    /// Why no coupons can be added, if so.
    pub(super) fn addition_refusal(&self, amount: u32) -> Option<SupplyAdded> {
        let most = self.supply.unwrap_or(0).max(self.added).saturating_add(amount);
        if self.phase == Phase::Closed {
            Some(SupplyAdded::Closed)
        } else if self.spec.supply == Supply::SharedPool {
            Some(SupplyAdded::NoOwnSupply)
        } else if self.spec.draw.is_some() && self.phase > Phase::Reserving {
            Some(SupplyAdded::WinnersFixed)
        } else {
            (most > Supply::MAX).then_some(SupplyAdded::TooMany)
        }
    }

    pub(super) fn add(&mut self, addition: &SupplyAddition) -> Row {
        let SupplyAddition { amount, request, .. } = *addition;
        self.added += amount;
        self.supply = self.supply.map(|supply| supply + amount);
        Row::Supply { round: self.spec.id, amount, added: self.added, supply: self.supply, request }
    }

    pub(super) fn supply(&self) -> Option<u32> {
        self.supply
    }

    /// When coupons are given, with a late draw's delay.
    pub(super) fn claim(&self) -> Window {
        let Window { opens, closes } = self.spec.claim;
        Window { opens: opens.plus(self.delay), closes: closes.plus(self.delay) }
    }

    /// Coupons that winners may still claim.
    pub(super) fn promised(&self) -> u64 {
        let to_winners = self.spec.draw.is_some() && (Phase::Waiting..=Phase::Claiming).contains(&self.phase);
        if to_winners { u64::from(self.supply.unwrap_or(0).saturating_sub(self.issued)) } else { 0 }
    }

    /// When it is over. Claims wait for the draw: the window will move by its delay.
    pub(super) fn closes(&self) -> Timestamp {
        let closes = self.claim().closes;
        if self.awaits_draw() { closes.plus(RoundSpec::LONGEST_DELAY) } else { closes }
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
        RoundView {
            spec: self.spec.clone(),
            phase: self.phase,
            supply: self.supply,
            places: self.places,
            issued: self.issued,
            added: self.added,
            drawn: self.drawn,
            delay: self.delay,
        }
    }
}

fn count_bits(bytes: &[u8]) -> u64 {
    bytes.iter().map(|byte| u64::from(byte.count_ones())).sum()
}

fn is_set(bytes: &[u8], bit: u32) -> bool {
    bytes.get(bit as usize / 8).is_some_and(|byte| byte & (0x80 >> (bit % 8)) != 0)
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
