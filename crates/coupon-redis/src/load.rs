//! Loading a campaign: each chunk is one call.

use coupon_domain::ids::{CampaignId, RoundId, UserId};
use coupon_domain::journal::Spelled as _;
use coupon_domain::model::{CampaignHead, LoadChunk, RoundHead, Seat};
use coupon_domain::ports::{GateError, MAX_BATCH};

use crate::call::Call;

/// The call that brings this chunk.
pub(crate) fn call(campaign: &CampaignId, epoch: u64, chunk: &LoadChunk) -> Result<Call, GateError> {
    let call = |function| Call::new(function, campaign).with(epoch);
    Ok(match chunk {
        LoadChunk::Head(head) => with_head(call("load_head_v1"), head),
        LoadChunk::Round(round) => with_round(call("load_round_v1"), round),
        LoadChunk::Seats(round, seats) => {
            check_size(seats.len())?;
            with_seats(call("load_seats_v1"), *round, seats)
        }
        LoadChunk::Winners(round, first, part) => {
            call("load_winners_v1").with(round.number()).with(first).with_bytes(part)
        }
        LoadChunk::Requests(requests) => {
            check_size(requests.len())?;
            requests.iter().fold(call("load_requests_v1"), |call, (request, verb)| call.with(request).with(verb))
        }
        LoadChunk::Counts(counts) => {
            check_size(counts.len())?;
            counts.iter().fold(call("load_counts_v1"), |call, (user, coupons)| call.with(user).with(coupons))
        }
        LoadChunk::Open => call("load_open_v1"),
    })
}

fn check_size(size: usize) -> Result<(), GateError> {
    if size > MAX_BATCH { Err(GateError::BatchTooLarge(size)) } else { Ok(()) }
}

fn with_head(call: Call, head: &CampaignHead) -> Call {
    call.with(head.position.n)
        .with(head.last_at.micros())
        .with(head.chain)
        .with(head.state)
        .with(head.revision)
        .with(head.issued)
        .with_optional(head.total_limit)
        .with(head.max_per_user)
        .with(u8::from(head.counts_users))
}

fn with_round(call: Call, RoundHead { view, last_n }: &RoundHead) -> Call {
    call.with(view.spec.to_json())
        .with(view.phase)
        .with_optional(view.supply)
        .with(view.places)
        .with(view.issued)
        .with(last_n)
        .with(view.added)
        .with(u8::from(view.drawn))
        .with(view.delay.as_micros())
}

fn with_seats(call: Call, round: RoundId, seats: &[(UserId, Seat)]) -> Call {
    seats.iter().fold(call.with(round.number()), |call, (user, Seat { place, coupon })| {
        call.with(user)
            .with_optional(place.map(|p| p.ticket))
            .with_optional(place.map(|p| p.reserved_at.micros()))
            .with_optional(coupon.map(|c| c.serial))
            .with_optional(coupon.map(|c| c.claimed_at.micros()))
    })
}
