//! From domain types to messages. A file for each service.

pub(crate) mod audit;
pub(crate) mod campaign;
pub(crate) mod coupon;
pub(crate) mod event;
pub(crate) mod user;

use std::time::Duration;

use bytes::Bytes;
use coupon_domain::answer::Witness;
use coupon_domain::benefit::{Benefit, BenefitKind};
use coupon_domain::draw::Hash;
use coupon_domain::money::Money;
use coupon_domain::time::Timestamp;
use coupon_proto::google::r#type::Money as PbMoney;
use coupon_proto::v1 as pb;

fn timestamp(at: Timestamp) -> prost_types::Timestamp {
    let (seconds, micros) = (at.micros().div_euclid(1_000_000), at.micros().rem_euclid(1_000_000));
    prost_types::Timestamp { seconds, nanos: i32::try_from(micros * 1000).unwrap_or(0) }
}

fn duration(span: Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(span.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(span.subsec_nanos()).unwrap_or(0),
    }
}

fn money(money: Money) -> PbMoney {
    let (units, nanos) = money.parts();
    PbMoney { currency_code: money.currency.code().to_owned(), units, nanos }
}

fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn hash(hash: &Hash) -> Bytes {
    Bytes::copy_from_slice(hash.as_bytes())
}

fn witness(witness: Witness) -> pb::Witness {
    pb::Witness {
        epoch: int(witness.position.epoch),
        position: Some(int(witness.position.n)),
        at: Some(timestamp(witness.at)),
    }
}

fn benefit(benefit: &Benefit) -> pb::Benefit {
    use pb::benefit::Kind;
    let kind = match &benefit.kind {
        BenefitKind::PercentOff(percent) => Kind::PercentOff(i32::from(*percent)),
        BenefitKind::AmountOff(off) => Kind::AmountOff(money(*off)),
        BenefitKind::FreeShipping => Kind::FreeShipping(true),
        BenefitKind::Gift(gift) => Kind::Gift(gift.to_string()),
    };
    pb::Benefit {
        kind: Some(kind),
        min_order: benefit.min_order.map(money),
        max_discount: benefit.max_discount.map(money),
    }
}
