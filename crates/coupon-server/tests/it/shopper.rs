//! Users who claim a coupon and do all kinds of things with it, each call made again until it is answered, and what must come of it.

use std::collections::BTreeMap;
use std::future::Future;

use coupon_domain::ports::EventKind;
use coupon_proto::v1 as pb;
use coupon_proto::v1::coupon_service_client::CouponServiceClient;
use pb::RefusalReason as Reason;
use rand::Rng;
use rand::seq::IndexedRandom as _;
use tonic::transport::Channel;
use tonic::{Code, Response, Status};

use crate::shop::{claim_request, redeem_request, within};

/// How long one call is made again. Stores that are killed need seconds.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);
const CENTS: i64 = 5_000;
const STEPS: std::ops::RangeInclusive<usize> = 2..=6;
const ORDERS: [&str; 3] = ["a", "b", "c"];

/// What a shopper does with the coupon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Hold,
    Redeem,
    Release,
    Rollback,
}

/// Where an order stands that somebody has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Held,
    Redeemed,
    Released,
    Cancelled,
}

/// What a call comes to, whether it was its first try that was answered or a later one.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Answer {
    Yes,
    No(Reason),
    /// Of Release and Rollback.
    Stands(pb::OrderState),
    UnknownOrder,
}

/// One user with one coupon. Nobody else touches it, so that it is known what every call must come to and which events there must be.
#[derive(Debug)]
pub(crate) struct Shopper {
    pub(crate) user: String,
    pub(crate) coupon: pb::Coupon,
    orders: BTreeMap<String, Order>,
    /// The events of the coupon, in order: what kind, and for which order.
    pub(crate) expected: Vec<(EventKind, Option<String>)>,
    /// Orders that were cancelled without a coupon.
    pub(crate) cancelled: Vec<String>,
}

impl Shopper {
    /// Claims; none if the coupons are gone.
    pub(crate) async fn claim(service: &CouponServiceClient<Channel>, campaign: &str, user: &str) -> Option<Self> {
        let answer = answered(|| {
            let mut service = service.clone();
            async move { service.claim(claim_request(campaign, "", user)).await }
        });
        let coupon = crate::process::coupon(&answer.await.expect("a campaign"))?.clone();
        let expected = vec![(EventKind::CouponIssued, None)];
        Some(Self { user: user.to_owned(), coupon, orders: BTreeMap::new(), expected, cancelled: Vec::new() })
    }

    /// Does some things with the coupon, whatever comes into its head.
    pub(crate) async fn shop(&mut self, service: &CouponServiceClient<Channel>, random: &mut (impl Rng + Send)) {
        const VERBS: [Verb; 6] = [Verb::Hold, Verb::Hold, Verb::Redeem, Verb::Redeem, Verb::Release, Verb::Rollback];
        let steps = random.random_range(STEPS);
        for _ in 0..steps {
            let verb = *VERBS.choose(random).expect("there are some");
            let order = format!("{}-{}", self.user, ORDERS.choose(random).expect("there are some"));
            self.call(service, verb, &order).await;
        }
    }

    /// Redeems for an order of its own.
    pub(crate) async fn redeem(&mut self, service: &CouponServiceClient<Channel>) {
        self.call(service, Verb::Redeem, &format!("{}-only", self.user)).await;
    }

    async fn call(&mut self, service: &CouponServiceClient<Channel>, verb: Verb, order: &str) {
        let expected = self.decide(verb, order);
        let answer = self.ask(service, verb, order).await;
        assert_eq!(answer, expected, "{verb:?} {order} behind {:?}", self.expected);
    }

    /// Every order stands in the ledger where it must: the call that brought it there is answered alike once more, and does nothing.
    pub(crate) async fn assert_orders_stand(&self, service: &CouponServiceClient<Channel>) {
        for (order, state) in &self.orders {
            let (verb, expected) = match state {
                Order::Held => (Verb::Hold, Answer::Yes),
                Order::Redeemed => (Verb::Redeem, Answer::Yes),
                Order::Released => (Verb::Release, Answer::Stands(pb::OrderState::Released)),
                Order::Cancelled => (Verb::Rollback, Answer::Stands(pb::OrderState::Cancelled)),
            };
            assert_eq!(self.ask(service, verb, order).await, expected, "{order} is {state:?}");
        }
    }

    /// Where the coupon must be now, and for which order.
    pub(crate) fn state(&self) -> (pb::CouponState, &str) {
        match self.live() {
            Some((order, Order::Held)) => (pb::CouponState::Held, order),
            Some((order, _)) => (pb::CouponState::Redeemed, order),
            None => (pb::CouponState::Issued, ""),
        }
    }

    pub(crate) fn is_unused(&self) -> bool {
        self.live().is_none()
    }

    fn live(&self) -> Option<(&str, Order)> {
        let live = |state: &Order| matches!(state, Order::Held | Order::Redeemed);
        self.orders.iter().find(|(_, state)| live(state)).map(|(order, state)| (order.as_str(), *state))
    }

    /// What the call must come to, by the words of the contract.
    fn decide(&mut self, verb: Verb, order: &str) -> Answer {
        match verb {
            Verb::Hold | Verb::Redeem => self.take(verb, order),
            Verb::Release => self.release(order),
            Verb::Rollback => self.rollback(order),
        }
    }

    fn take(&mut self, verb: Verb, order: &str) -> Answer {
        if self.orders.get(order) == Some(&Order::Cancelled) {
            return Answer::No(Reason::OrderCancelled);
        }
        match self.live() {
            Some((other, Order::Held)) if other != order => Answer::No(Reason::AlreadyHeld),
            Some((other, Order::Redeemed)) if other != order || verb == Verb::Hold => {
                Answer::No(Reason::AlreadyRedeemed)
            }
            Some((_, Order::Redeemed)) => Answer::Yes,
            Some((_, Order::Held)) if verb == Verb::Hold => Answer::Yes,
            _ => {
                let (state, kind) = match verb {
                    Verb::Hold => (Order::Held, EventKind::CouponHeld),
                    _ => (Order::Redeemed, EventKind::CouponRedeemed),
                };
                self.orders.insert(order.to_owned(), state);
                self.expected.push((kind, Some(order.to_owned())));
                Answer::Yes
            }
        }
    }

    fn release(&mut self, order: &str) -> Answer {
        match self.orders.get(order) {
            None => Answer::UnknownOrder,
            Some(Order::Released) => Answer::Stands(pb::OrderState::Released),
            Some(Order::Redeemed) => Answer::Stands(pb::OrderState::Redeemed),
            Some(Order::Cancelled) => Answer::Stands(pb::OrderState::Cancelled),
            Some(Order::Held) => {
                self.orders.insert(order.to_owned(), Order::Released);
                self.expected.push((EventKind::CouponReleased, Some(order.to_owned())));
                Answer::Stands(pb::OrderState::Released)
            }
        }
    }

    fn rollback(&mut self, order: &str) -> Answer {
        match self.orders.insert(order.to_owned(), Order::Cancelled) {
            Some(Order::Cancelled) => {}
            Some(Order::Held | Order::Redeemed) => {
                self.expected.push((EventKind::CouponRolledBack, Some(order.to_owned())));
            }
            Some(Order::Released) | None => self.cancelled.push(order.to_owned()),
        }
        Answer::Stands(pb::OrderState::Cancelled)
    }

    async fn ask(&self, service: &CouponServiceClient<Channel>, verb: Verb, order: &str) -> Answer {
        let (code, user_id, campaign_id) = (&self.coupon.code, &self.user, &self.coupon.campaign_id);
        match verb {
            Verb::Hold => {
                let request = pb::HoldRequest {
                    code: code.clone(),
                    user_id: user_id.clone(),
                    order_id: order.to_owned(),
                    ttl: None,
                };
                match asked(service, |mut s| {
                    let request = request.clone();
                    async move { s.hold(request).await }
                })
                .await
                .expect("an answer")
                .outcome
                .expect("an outcome")
                {
                    pb::hold_response::Outcome::Hold(hold) => {
                        assert_eq!((&hold.coupon_id, hold.order_id.as_str()), (&self.coupon.id, order));
                        Answer::Yes
                    }
                    pb::hold_response::Outcome::Refusal(refusal) => Answer::No(refusal.reason()),
                }
            }
            Verb::Redeem => {
                let answer =
                    asked(service, |mut s| async move { s.redeem(redeem_request(code, user_id, order, CENTS)).await });
                match answer.await.expect("an answer").outcome.expect("an outcome") {
                    pb::redeem_response::Outcome::Redemption(redemption) => {
                        assert_eq!((&redemption.coupon_id, redemption.order_id.as_str()), (&self.coupon.id, order));
                        assert_eq!(redemption.discount, Some(crate::shop::euros(CENTS / 5)));
                        Answer::Yes
                    }
                    pb::redeem_response::Outcome::Refusal(refusal) => Answer::No(refusal.reason()),
                }
            }
            Verb::Release => {
                let request = pb::ReleaseRequest {
                    campaign_id: campaign_id.clone(),
                    order_id: order.to_owned(),
                    user_id: user_id.clone(),
                    reason: "changed my mind".to_owned(),
                };
                let answer = asked(service, |mut s| {
                    let request = request.clone();
                    async move { s.release(request).await }
                });
                answer.await.map_or(Answer::UnknownOrder, |answer| Answer::Stands(answer.state()))
            }
            Verb::Rollback => {
                let request = pb::RollbackRequest {
                    campaign_id: campaign_id.clone(),
                    order_id: order.to_owned(),
                    user_id: user_id.clone(),
                    reason: "declined".to_owned(),
                };
                let answer = asked(service, |mut s| {
                    let request = request.clone();
                    async move { s.rollback(request).await }
                });
                answer.await.map_or(Answer::UnknownOrder, |answer| Answer::Stands(answer.state()))
            }
        }
    }
}

async fn asked<T, F>(
    service: &CouponServiceClient<Channel>,
    call: impl Fn(CouponServiceClient<Channel>) -> F,
) -> Option<T>
where
    F: Future<Output = Result<Response<T>, Status>>,
{
    answered(|| call(service.clone())).await
}

/// The answer to a call that is made again for as long as nobody can say what came of it. None means that there is no such thing.
pub(crate) async fn answered<T, F>(call: impl Fn() -> F) -> Option<T>
where
    F: Future<Output = Result<Response<T>, Status>>,
{
    let once = || async {
        match call().await {
            Ok(answer) => Some(Some(answer.into_inner())),
            Err(status) => match status.code() {
                Code::NotFound => Some(None),
                // The last two are what a client makes of a connection that breaks.
                Code::Unavailable
                | Code::DeadlineExceeded
                | Code::ResourceExhausted
                | Code::Cancelled
                | Code::Unknown
                | Code::Internal => None,
                _ => panic!("{status:?}"),
            },
        }
    };
    within(PATIENCE, once).await
}
