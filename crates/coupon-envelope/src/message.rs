//! The message `coupon.v1.Event`.

use std::time::Duration;

use coupon_domain::ports::{Event, EventKind};
use coupon_domain::time::Timestamp;
use coupon_proto::google::r#type::Money as PbMoney;
use coupon_proto::v1 as pb;
use prost::Message as _;

/// 0001-01-01T00:00:00Z, the first instant of protobuf's `Timestamp`.
const FIRST: i64 = -62_135_596_800_000_000;

/// The event as a message.
#[must_use]
pub fn message(event: &Event) -> pb::Event {
    let text = |value: Option<String>| value.unwrap_or_default();
    let details = &event.details;
    pb::Event {
        id: event.id.clone(),
        kind: kind(event.kind).into(),
        campaign_id: event.campaign.to_string(),
        round_id: text(event.round.map(|id| id.to_string())),
        coupon_id: text(event.coupon.as_ref().map(ToString::to_string)),
        user_id: text(event.user.as_ref().map(ToString::to_string)),
        order_id: text(event.order.as_ref().map(ToString::to_string)),
        state: text(event.state.clone()),
        at: Some(timestamp(event.at)),
        reason: text(details.reason.clone()),
        amount: details.price.map(|price| money(price.amount)),
        discount: details.price.map(|price| money(price.discount)),
        expires_at: details.expires_at.map(timestamp),
        lead: details.notice.map(|notice| duration(notice.lead)),
        late: details.notice.is_some_and(|notice| notice.late),
    }
}

/// The message in protobuf's bytes.
#[must_use]
pub fn encoded(event: &Event) -> Vec<u8> {
    message(event).encode_to_vec()
}

fn kind(kind: EventKind) -> pb::EventKind {
    match kind {
        EventKind::CampaignCreated => pb::EventKind::CampaignCreated,
        EventKind::CampaignUpdated => pb::EventKind::CampaignUpdated,
        EventKind::CampaignStateChanged => pb::EventKind::CampaignStateChanged,
        EventKind::RoundOpened => pb::EventKind::RoundOpened,
        EventKind::RoundPhaseChanged => pb::EventKind::RoundPhaseChanged,
        EventKind::RoundDrawn => pb::EventKind::RoundDrawn,
        EventKind::RoundSupplyAdded => pb::EventKind::RoundSupplyAdded,
        EventKind::PlaceReserved => pb::EventKind::PlaceReserved,
        EventKind::CouponIssued => pb::EventKind::CouponIssued,
        EventKind::CouponHeld => pb::EventKind::CouponHeld,
        EventKind::CouponReleased => pb::EventKind::CouponReleased,
        EventKind::CouponRedeemed => pb::EventKind::CouponRedeemed,
        EventKind::CouponRolledBack => pb::EventKind::CouponRolledBack,
        EventKind::OrderCancelled => pb::EventKind::OrderCancelled,
        EventKind::CouponVoided => pb::EventKind::CouponVoided,
        EventKind::CouponExpired => pb::EventKind::CouponExpired,
        EventKind::CouponExpiring => pb::EventKind::CouponExpiring,
    }
}

/// Within what protobuf can say, so that every event has a JSON form.
fn timestamp(at: Timestamp) -> prost_types::Timestamp {
    let micros = at.micros().clamp(FIRST, Timestamp::MAX.micros());
    let (seconds, micros) = (micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000));
    prost_types::Timestamp { seconds, nanos: i32::try_from(micros * 1000).unwrap_or(0) }
}

/// Within what protobuf can say: ten thousand years.
fn duration(span: Duration) -> prost_types::Duration {
    const LONGEST: u64 = 315_576_000_000;
    prost_types::Duration {
        seconds: i64::try_from(span.as_secs().min(LONGEST)).unwrap_or(i64::MAX),
        nanos: i32::try_from(span.subsec_nanos()).unwrap_or(0),
    }
}

fn money(money: coupon_domain::money::Money) -> PbMoney {
    let (units, nanos) = money.parts();
    PbMoney { currency_code: money.currency.code().to_owned(), units, nanos }
}
