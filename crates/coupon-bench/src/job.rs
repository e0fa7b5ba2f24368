//! What is asked of the service, request by request.

use std::fmt::Write as _;
use std::rc::Rc;

use bytes::Bytes;
use coupon_proto::google::r#type::Money;
use coupon_proto::v1 as pb;
use http::uri::PathAndQuery;
use prost::Message;
use serde::{Deserialize, Serialize};
use tonic::Request;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tonic_prost::ProstCodec;

use crate::tally::Answer;
use crate::wire::message::{Ask, Claimed, Outcome, Redeemed, Reserved};
use crate::wire::{Connection, Grpc};

/// The numbers of users of the warm-up begin here.
pub(crate) const WARM: u64 = 1 << 34;

/// The round that is loaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Scene {
    /// Its campaign.
    pub campaign: String,
    /// The round.
    pub round: String,
}

/// What every request asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Job {
    /// Whether the service is well.
    Empty,
    /// A place for a user.
    Reserve(Scene),
    /// A coupon for a user.
    Claim(Scene),
    /// The use of a coupon that the user claimed before.
    Redeem(Scene),
}

/// The id of the user with this number.
pub(crate) fn user(number: u64) -> String {
    let mut id = String::with_capacity(16);
    // Writing to a text does not fail.
    let _written = write!(id, "u-{number}");
    id
}

/// Asks for one user at a time; clones may ask at the same time.
pub(crate) trait Caller: Clone + 'static {
    /// The answer for the user with this number.
    fn ask(&self, number: u64) -> impl Future<Output = Answer>;
    /// Before the next request, after a fault.
    fn mend(&self) -> impl Future<Output = ()>;
}

/// The requests of a round, but for the user.
#[derive(Debug, Clone)]
pub(crate) struct Form {
    campaign: Bytes,
    round: Bytes,
}

impl Form {
    pub(crate) fn of(scene: &Scene) -> Self {
        Self { campaign: scene.campaign.clone().into(), round: scene.round.clone().into() }
    }

    pub(crate) fn ask(&self, number: u64) -> Ask {
        Ask { campaign_id: self.campaign.clone(), round_id: self.round.clone(), user_id: user(number) }
    }
}

/// Unary calls over one connection.
#[derive(Clone)]
pub(crate) struct Unary {
    connection: Connection,
    grpc: Grpc,
    requests: Rc<Requests>,
}

/// What [`Unary`] sends.
#[derive(Debug)]
pub(crate) enum Requests {
    Empty,
    Reserve(Form),
    Claim(Form),
    /// The codes, and the step from one user's number to the next.
    Redeem(Vec<String>, u64),
}

impl Unary {
    pub(crate) fn new(connection: &Connection, requests: Rc<Requests>) -> anyhow::Result<Self> {
        Ok(Self { connection: connection.clone(), grpc: connection.grpc()?, requests })
    }

    async fn call<Q, A>(&self, path: &'static str, request: Q) -> Answer
    where
        Q: Message + 'static,
        A: Outcome,
    {
        let (path, codec) = (PathAndQuery::from_static(path), ProstCodec::<Q, A>::default());
        match self.grpc.clone().unary(Request::new(request), path, codec).await {
            Ok(response) => response.into_inner().answer(),
            Err(status) => Answer::Fault(status.code()),
        }
    }
}

impl Caller for Unary {
    async fn ask(&self, number: u64) -> Answer {
        match &*self.requests {
            Requests::Empty => {
                let request = HealthCheckRequest::default();
                self.call::<_, HealthCheckResponse>("/grpc.health.v1.Health/Check", request).await
            }
            Requests::Reserve(form) => {
                self.call::<_, Reserved>("/coupon.v1.CouponService/Reserve", form.ask(number)).await
            }
            Requests::Claim(form) => self.call::<_, Claimed>("/coupon.v1.CouponService/Claim", form.ask(number)).await,
            Requests::Redeem(codes, step) => {
                let code = usize::try_from(number / step).ok().and_then(|index| codes.get(index));
                let request = redeem(code.cloned().unwrap_or_default(), number);
                self.call::<_, Redeemed>("/coupon.v1.CouponService/Redeem", request).await
            }
        }
    }

    async fn mend(&self) {
        self.connection.mend().await;
    }
}

fn redeem(code: String, number: u64) -> pb::RedeemRequest {
    let amount = Money { currency_code: "EUR".to_owned(), units: 50, nanos: 0 };
    pb::RedeemRequest {
        code,
        user_id: user(number),
        order: Some(pb::Order { id: format!("o-{number}"), amount: Some(amount) }),
        validate_only: false,
    }
}
