//! The calls of CouponService.

use std::time::Duration;

use coupon_domain::checkout::{GiveBack, MAX_HOLD};
use coupon_domain::ids::{CouponId, UserId};
use coupon_domain::ports::CouponFilter;
use coupon_proto::v1 as pb;
use coupon_usecases::ask::Ask;
use coupon_usecases::checkout::{HoldCall, RedeemCall};
use coupon_usecases::coupons::CouponKey;
use coupon_usecases::error::Fault;
use prost::Message;

use super::Fields;
use crate::server::MAX_STREAM_MESSAGE;

/// A request of a stream may carry so many bytes to be told again.
const MAX_TAG: usize = 128;
/// A coupon is held so long at least.
const MIN_HOLD: Duration = Duration::from_secs(1);

fn ask(campaign: &str, round: &str, user: &str) -> Result<Ask, Fault> {
    let mut fields = Fields::default();
    let (campaign, round, user) =
        (fields.campaign_id(campaign), fields.round_id(round), fields.somebody("user_id", user));
    let call = campaign.zip(round).zip(user).map(|((campaign, round), user)| Ask { campaign, round, user });
    fields.done(call)
}

pub(crate) fn reserve(request: &pb::ReserveRequest) -> Result<Ask, Fault> {
    ask(&request.campaign_id, &request.round_id, &request.user_id)
}

pub(crate) fn claim(request: &pb::ClaimRequest) -> Result<Ask, Fault> {
    ask(&request.campaign_id, &request.round_id, &request.user_id)
}

pub(crate) fn reservation_of_many(request: &pb::ReserveStreamRequest) -> Result<Ask, Fault> {
    one_of_many(request, &request.tag, "reserve", request.reserve.as_ref().map(reserve))
}

pub(crate) fn claim_of_many(request: &pb::ClaimStreamRequest) -> Result<Ask, Fault> {
    one_of_many(request, &request.tag, "claim", request.claim.as_ref().map(claim))
}

fn one_of_many(
    request: &impl Message,
    tag: &str,
    field: &'static str,
    call: Option<Result<Ask, Fault>>,
) -> Result<Ask, Fault> {
    let mut fields = Fields::default();
    if request.encoded_len() > MAX_STREAM_MESSAGE {
        fields.wrong(field, format!("must have at most {MAX_STREAM_MESSAGE} bytes with its tag"));
    } else if tag.len() > MAX_TAG {
        fields.wrong("tag", format!("must have at most {MAX_TAG} bytes"));
    } else if let Some(call) = call {
        return call;
    } else {
        fields.wrong(field, "is required");
    }
    fields.done(None)
}

pub(crate) fn hold(request: pb::HoldRequest) -> Result<HoldCall, Fault> {
    let mut fields = Fields::default();
    let code = fields.code("code", request.code);
    let user = fields.user_id(&request.user_id);
    let order = fields.order_id("order_id", &request.order_id);
    let ttl = request.ttl.map(|ttl| hold_time(ttl, &mut fields));
    fields.done(code.zip(user).zip(order).map(|((code, user), order)| HoldCall {
        code,
        user,
        order,
        ttl: ttl.flatten(),
    }))
}

fn hold_time(raw: prost_types::Duration, fields: &mut Fields) -> Option<Duration> {
    let ttl = fields.duration("ttl", raw)?;
    let fit = (MIN_HOLD..=MAX_HOLD).contains(&ttl);
    fields.keep("ttl", if fit { Ok(ttl) } else { Err("must be 1 second to 1 day") })
}

pub(crate) fn redeem(request: pb::RedeemRequest) -> Result<RedeemCall, Fault> {
    let mut fields = Fields::default();
    let code = fields.code("code", request.code);
    let user = fields.user_id(&request.user_id);
    let order = request.order.unwrap_or_default();
    let id = fields.order_id("order.id", &order.id);
    let amount = match &order.amount {
        Some(amount) => fields.money("order.amount", amount),
        None => fields.keep("order.amount", Err("is required")),
    };
    let validate_only = request.validate_only;
    let call = code.zip(user).zip(id).zip(amount).map(|(((code, user), order), amount)| RedeemCall {
        code,
        user,
        order,
        amount,
        validate_only,
    });
    fields.done(call)
}

pub(crate) fn release(request: pb::ReleaseRequest) -> Result<GiveBack, Fault> {
    let pb::ReleaseRequest { campaign_id, order_id, user_id, reason } = request;
    give_back(&campaign_id, &order_id, &user_id, reason)
}

pub(crate) fn rollback(request: pb::RollbackRequest) -> Result<GiveBack, Fault> {
    let pb::RollbackRequest { campaign_id, order_id, user_id, reason } = request;
    give_back(&campaign_id, &order_id, &user_id, reason)
}

fn give_back(campaign: &str, order: &str, user: &str, reason: String) -> Result<GiveBack, Fault> {
    let mut fields = Fields::default();
    let (campaign, order) = (fields.campaign_id(campaign), fields.order_id("order_id", order));
    let (user, reason) = (fields.somebody("user_id", user), fields.reason(reason));
    let call = campaign.zip(order).zip(user).zip(reason);
    fields.done(call.map(|(((campaign, order), user), reason)| GiveBack { campaign, order, user, reason }))
}

pub(crate) fn get_coupon(request: pb::GetCouponRequest) -> Result<(CouponKey, UserId), Fault> {
    use pb::get_coupon_request::Key;
    let mut fields = Fields::default();
    let user = fields.user_id(&request.user_id);
    let key = match request.key {
        Some(Key::CouponId(id)) => fields.keep("coupon_id", CouponId::parse(&id)).map(CouponKey::Id),
        Some(Key::Code(code)) => fields.code("code", code).map(CouponKey::Code),
        None => fields.keep("coupon_id", Err("is required, or code")),
    };
    fields.done(key.zip(user))
}

pub(crate) fn list_coupons(request: &pb::ListCouponsRequest) -> Result<CouponFilter, Fault> {
    let mut fields = Fields::default();
    if request.user_id.is_empty() && request.campaign_id.is_empty() {
        fields.wrong("user_id", "is required, or campaign_id");
    }
    let user = if request.user_id.is_empty() { Some(None) } else { fields.user_id(&request.user_id).map(Some) };
    let campaign = fields.some_campaign_id(&request.campaign_id);
    let state = fields.coupon_state(request.state);
    let limit = fields.page_size(request.page_size);
    let after = fields.page_token(&request.page_token, CouponId::parse);
    let filter = user.zip(campaign).map(|(user, campaign)| CouponFilter { user, campaign, state, after, limit });
    fields.done(filter)
}

pub(crate) fn get_place(request: &pb::GetPlaceRequest) -> Result<Ask, Fault> {
    ask(&request.campaign_id, &request.round_id, &request.user_id)
}

#[cfg(test)]
mod tests {
    use super::super::wrong;
    use super::*;

    fn hold_request(ttl: Option<(i64, i32)>) -> pb::HoldRequest {
        pb::HoldRequest {
            code: "00000-68000-0035K-8C1B8".to_owned(),
            user_id: "ada".to_owned(),
            order_id: "o-1".to_owned(),
            ttl: ttl.map(|(seconds, nanos)| prost_types::Duration { seconds, nanos }),
        }
    }

    #[test]
    fn a_hold_lasts_from_a_second_to_a_day() {
        assert_eq!(hold(hold_request(None)).expect("a sound call").ttl, None);
        for (seconds, nanos) in [(1, 0), (86_400, 0), (1, 1_000)] {
            let call = hold(hold_request(Some((seconds, nanos)))).expect("a sound call");
            assert_eq!(call.ttl.map(|ttl| ttl.as_secs()), u64::try_from(seconds).ok());
        }
        for ttl in [(0, 0), (0, 999_999_999), (86_400, 1_000), (-1, 0), (i64::MAX, 0), (1, -1), (1, i32::MAX)] {
            assert_eq!(wrong(hold(hold_request(Some(ttl)))), ["ttl"], "{ttl:?}");
        }
    }

    #[test]
    fn every_wrong_field_of_a_hold_is_named_at_once() {
        let nothing = pb::HoldRequest { ttl: Some(prost_types::Duration::default()), ..Default::default() };
        assert_eq!(wrong(hold(nothing)), ["code", "user_id", "order_id", "ttl"]);
        let odd = pb::HoldRequest { order_id: "'; --".to_owned(), code: "{}".to_owned(), ..hold_request(None) };
        assert_eq!(wrong(hold(odd)), ["code", "order_id"]);
    }

    #[test]
    fn an_order_is_given_back_by_its_campaign_and_user() {
        let [campaign_id, order_id, user_id, reason] = ["c-1", "o-1", "ada", "the payment failed"].map(str::to_owned);
        let request = pb::ReleaseRequest { campaign_id, order_id, user_id, reason };
        let call = release(request.clone()).expect("a sound call");
        assert_eq!((call.order.as_str(), call.reason.as_str()), ("o-1", "the payment failed"));
        let pb::ReleaseRequest { campaign_id, order_id, user_id, .. } = request;
        let request = pb::RollbackRequest { campaign_id, order_id, user_id, reason: String::new() };
        assert_eq!(rollback(request.clone()).expect("a sound call").user.as_str(), "ada");
        assert_eq!(wrong(rollback(pb::RollbackRequest { reason: "\r".to_owned(), ..request })), ["reason"]);
        assert_eq!(wrong(release(pb::ReleaseRequest::default())), ["campaign_id", "order_id", "user_id"]);
    }

    #[test]
    fn nobodys_user_has_no_orders() {
        let [campaign_id, order_id, user_id] = ["c-1", "o-1", "lost:7"].map(str::to_owned);
        let request = pb::RollbackRequest { campaign_id, order_id, user_id, reason: String::new() };
        assert_eq!(wrong(rollback(request)), ["user_id"]);
    }

    #[test]
    fn coupons_are_listed_by_user_by_campaign_or_by_both() {
        let request = |user_id: &str, campaign_id: &str| pb::ListCouponsRequest {
            user_id: user_id.to_owned(),
            campaign_id: campaign_id.to_owned(),
            ..Default::default()
        };
        for (user, campaign) in [("ada", ""), ("", "c-1"), ("ada", "c-1")] {
            let filter = list_coupons(&request(user, campaign)).expect("a sound call");
            assert_eq!(filter.user.as_ref().map_or("", UserId::as_str), user);
            assert_eq!(filter.campaign.as_ref().map_or("", |campaign| campaign.as_str()), campaign);
        }
        assert_eq!(wrong(list_coupons(&request("", ""))), ["user_id"]);
        assert_eq!(wrong(list_coupons(&request("a b", "{}"))), ["user_id", "campaign_id"]);
        let odd = pb::ListCouponsRequest { state: 6, page_size: -1, page_token: "7".to_owned(), ..request("ada", "") };
        assert_eq!(wrong(list_coupons(&odd)), ["state", "page_size", "page_token"]);
    }
}
