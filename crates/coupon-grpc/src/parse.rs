//! From messages to domain types: the only way in. Every wrong field is named, with its limit. A file for each service; [`rules`] reads what
//! a campaign offers.

pub(crate) mod campaign;
pub(crate) mod coupon;
pub(crate) mod event;
mod rules;
pub(crate) mod user;

use std::time::Duration;

use coupon_domain::campaign::Violation;
use coupon_domain::checkout::Operator;
use coupon_domain::ids::{Actor, CampaignId, OrderId, RoundId, UserId};
use coupon_domain::loss::NOBODY;
use coupon_domain::money::{Currency, Money};
use coupon_domain::redemption::CouponState;
use coupon_domain::time::Timestamp;
use coupon_proto::google::r#type::Money as PbMoney;
use coupon_proto::v1 as pb;
use coupon_usecases::error::Fault;
use tonic::metadata::MetadataMap;
use uuid::Uuid;

/// Where an operator says who they are. Their own word: nobody checks it until there is authentication.
pub const ACTOR: &str = "coupon-actor";
/// Who does not say so.
const ANONYMOUS: &str = "anonymous";

const DEFAULT_PAGE: u32 = 50;
const MAX_PAGE: u32 = 1000;
const MAX_CODE: usize = 64;
const MAX_REASON: usize = 250;

/// Collects what is wrong, so that a caller learns of all of it at once.
#[derive(Debug, Default)]
struct Fields {
    wrong: Vec<Violation>,
}

impl Fields {
    fn wrong(&mut self, field: &'static str, description: impl Into<String>) {
        self.wrong.push(Violation::new(field, description));
    }

    /// The value, or a note of why there is none.
    fn keep<T, E: ToString>(&mut self, field: &'static str, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.wrong(field, error.to_string())).ok()
    }

    fn campaign_id(&mut self, raw: &str) -> Option<CampaignId> {
        self.keep("campaign_id", CampaignId::parse(raw))
    }

    fn user_id(&mut self, raw: &str) -> Option<UserId> {
        self.keep("user_id", UserId::parse(raw))
    }

    /// A user who may get something: burnt places and coupons are nobody's for good.
    fn somebody(&mut self, field: &'static str, raw: &str) -> Option<UserId> {
        if raw.starts_with(NOBODY) {
            self.wrong(field, "must not begin with `lost:`, which is nobody's");
        }
        self.keep(field, UserId::parse(raw))
    }

    fn order_id(&mut self, field: &'static str, raw: &str) -> Option<OrderId> {
        self.keep(field, OrderId::parse(raw))
    }

    /// `Some(None)` if it is empty, which is allowed.
    fn some_campaign_id(&mut self, raw: &str) -> Option<Option<CampaignId>> {
        if raw.is_empty() { Some(None) } else { self.campaign_id(raw).map(Some) }
    }

    /// `Some(None)` if it is empty, which is allowed.
    fn round_id(&mut self, raw: &str) -> Option<Option<RoundId>> {
        if raw.is_empty() { Some(None) } else { self.keep("round_id", RoundId::parse(raw)).map(Some) }
    }

    fn request_id(&mut self, raw: &str) -> Option<Uuid> {
        if raw.is_empty() {
            return None;
        }
        self.keep("request_id", Uuid::try_parse(raw).map_err(|_| "must be a UUID"))
    }

    /// Whose call this is.
    fn operator(&mut self, caller: &MetadataMap, request_id: &str) -> Option<Operator> {
        let request = self.request_id(request_id);
        self.actor(caller).map(|actor| Operator { actor, request })
    }

    fn actor(&mut self, caller: &MetadataMap) -> Option<Actor> {
        let mut said = caller.get_all(ACTOR).iter();
        let actor = match (said.next(), said.next()) {
            (None, _) => Ok(ANONYMOUS),
            (Some(actor), None) => actor.to_str().map_err(|_| "has a character outside A-Z a-z 0-9 . _ : @ -"),
            (Some(_), Some(_)) => Err("is given more than once"),
        };
        let actor = self.keep(ACTOR, actor)?;
        self.keep(ACTOR, Actor::parse(actor))
    }

    /// The caller's own words. May be empty.
    fn reason(&mut self, raw: String) -> Option<String> {
        if raw.chars().count() <= MAX_REASON && !raw.chars().any(char::is_control) {
            return Some(raw);
        }
        self.keep("reason", Err("must have at most 250 characters, none of them a control character"))
    }

    /// `None` means any.
    fn coupon_state(&mut self, raw: i32) -> Option<CouponState> {
        match pb::CouponState::try_from(raw) {
            Ok(pb::CouponState::Unspecified) => None,
            Ok(pb::CouponState::Issued) => Some(CouponState::Issued),
            Ok(pb::CouponState::Held) => Some(CouponState::Held),
            Ok(pb::CouponState::Redeemed) => Some(CouponState::Redeemed),
            Ok(pb::CouponState::Expired) => Some(CouponState::Expired),
            Ok(pb::CouponState::Void) => Some(CouponState::Void),
            Err(_) => self.keep("state", Err("is not a state of coupon.v1")),
        }
    }

    fn code(&mut self, field: &'static str, raw: String) -> Option<String> {
        let plain = |code: &str| code.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        match raw.len() {
            0 => self.wrong(field, "is required"),
            1..=MAX_CODE if plain(&raw) => return Some(raw),
            1..=MAX_CODE => self.wrong(field, "has a character outside A-Z a-z 0-9 -"),
            _ => self.wrong(field, "is longer than 64 bytes"),
        }
        None
    }

    fn page_size(&mut self, raw: i32) -> u32 {
        match u32::try_from(raw) {
            Ok(0) => DEFAULT_PAGE,
            Ok(size) if size <= MAX_PAGE => size,
            Ok(_) | Err(_) => {
                self.wrong("page_size", "must be 1 to 1000, or 0 for 50");
                DEFAULT_PAGE
            }
        }
    }

    fn page_token<T, E>(&mut self, raw: &str, parse: impl FnOnce(&str) -> Result<T, E>) -> Option<T> {
        if raw.is_empty() {
            return None;
        }
        self.keep("page_token", parse(raw).map_err(|_| "must be the next_page_token of the page before"))
    }

    fn money(&mut self, field: &'static str, raw: &PbMoney) -> Option<Money> {
        let money = Currency::parse(&raw.currency_code).and_then(|c| Money::from_parts(c, raw.units, raw.nanos));
        self.keep(field, money)
    }

    fn timestamp(&mut self, field: &'static str, raw: prost_types::Timestamp) -> Option<Timestamp> {
        let micros = raw.seconds.checked_mul(1_000_000).and_then(|s| s.checked_add(i64::from(raw.nanos) / 1000));
        let valid = (0..1_000_000_000).contains(&raw.nanos);
        let at =
            micros.map(Timestamp::from_micros).filter(|at| valid && (Timestamp::EPOCH..=Timestamp::MAX).contains(at));
        self.keep(field, at.ok_or("must be an instant from 1970 to 9999"))
    }

    fn duration(&mut self, field: &'static str, raw: prost_types::Duration) -> Option<Duration> {
        let seconds = u64::try_from(raw.seconds).ok().filter(|s| *s <= 10_000 * 365 * 86_400);
        let nanos = u32::try_from(raw.nanos).ok().filter(|n| *n < 1_000_000_000);
        let span = seconds.zip(nanos).map(|(s, n)| Duration::new(s, n - n % 1000));
        self.keep(field, span.ok_or("must not be negative nor longer than 10000 years"))
    }

    fn done<T>(self, value: Option<T>) -> Result<T, Fault> {
        match value {
            Some(value) if self.wrong.is_empty() => Ok(value),
            _ => Err(Fault::Invalid(self.wrong.into())),
        }
    }
}

/// The fields that a call was refused for.
#[cfg(test)]
fn wrong<T: std::fmt::Debug>(parsed: Result<T, Fault>) -> Vec<&'static str> {
    match parsed {
        Err(Fault::Invalid(violations)) => violations.iter().map(|violation| violation.field).collect(),
        other => panic!("refused with its fields: {other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use tonic::metadata::{MetadataMap, MetadataValue};

    use super::*;

    fn said(actors: &[&str]) -> MetadataMap {
        let mut headers = http::HeaderMap::new();
        for actor in actors {
            headers.append(ACTOR, http::HeaderValue::from_bytes(actor.as_bytes()).expect("a header"));
        }
        MetadataMap::from_headers(headers)
    }

    #[test]
    fn an_operator_is_who_the_metadata_says() {
        let operator = |caller: &MetadataMap, request| Fields::default().operator(caller, request);
        let mut caller = MetadataMap::new();
        let nobody = operator(&caller, "").expect("an operator");
        assert_eq!((nobody.actor.as_str(), nobody.request), ("anonymous", None));
        caller.insert(ACTOR, MetadataValue::from_static("ops:ada@example.com"));
        let request = Uuid::from_u128(7).to_string();
        let ada = operator(&caller, &request).expect("an operator");
        assert_eq!((ada.actor.as_str(), ada.request), ("ops:ada@example.com", Some(Uuid::from_u128(7))));
    }

    #[test]
    fn an_actor_who_is_no_id_or_two_is_refused_by_name() {
        let long = "x".repeat(129);
        for actors in [vec!["a b"], vec![""], vec!["é"], vec![long.as_str()], vec!["ada", "bob"]] {
            let mut fields = Fields::default();
            let operator = fields.operator(&said(&actors), "");
            assert_eq!(wrong(fields.done(operator)), [ACTOR], "{actors:?}");
        }
    }

    #[test]
    fn a_reason_has_at_most_250_characters_and_no_control_character() {
        let kept = |reason: &str| Fields::default().reason(reason.to_owned()).is_some();
        assert!(kept("") && kept(&"ß".repeat(250)));
        assert!(!kept(&"x".repeat(251)) && !kept("a\nb") && !kept("\0"));
    }
}
