//! The calls of CouponService.

use coupon_domain::ids::{CouponId, OrderId, UserId};
use coupon_domain::ports::CouponFilter;
use coupon_domain::redemption::CouponState;
use coupon_proto::v1 as pb;
use coupon_usecases::ask::Ask;
use coupon_usecases::coupons::CouponKey;
use coupon_usecases::error::Fault;
use coupon_usecases::redeem::RedeemCall;

use super::Fields;

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

pub(crate) fn redeem(request: pb::RedeemRequest) -> Result<RedeemCall, Fault> {
    let mut fields = Fields::default();
    let code = fields.code("code", request.code);
    let user = fields.user_id(&request.user_id);
    let order = request.order.unwrap_or_default();
    let id = fields.keep("order.id", OrderId::parse(&order.id));
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
    let user = fields.user_id(&request.user_id);
    let campaign = if request.campaign_id.is_empty() { None } else { fields.campaign_id(&request.campaign_id) };
    let state = match pb::CouponState::try_from(request.state) {
        Ok(pb::CouponState::Unspecified) => None,
        Ok(pb::CouponState::Issued) => Some(CouponState::Issued),
        Ok(pb::CouponState::Held) => Some(CouponState::Held),
        Ok(pb::CouponState::Redeemed) => Some(CouponState::Redeemed),
        Ok(pb::CouponState::Expired) => Some(CouponState::Expired),
        Ok(pb::CouponState::Void) => Some(CouponState::Void),
        Err(_) => fields.keep("state", Err("is not a state of coupon.v1")),
    };
    let limit = fields.page_size(request.page_size);
    let after = fields.page_token(&request.page_token, CouponId::parse);
    fields.done(user.map(|user| CouponFilter { user, campaign, state, after, limit }))
}

pub(crate) fn get_place(request: &pb::GetPlaceRequest) -> Result<Ask, Fault> {
    ask(&request.campaign_id, &request.round_id, &request.user_id)
}
