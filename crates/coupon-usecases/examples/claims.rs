//! Claims coupons through the use case, in memory, so that `scripts/instructions.sh` can count what one claim costs: the way from the call
//! through the coalescer to the gate and back, with the code that is made, but no network, no disk and no recorder.
//!
//! `claims 20000` claims 20,000 of them.

use std::sync::Arc;
use std::time::Duration;

use coupon_domain::answer::Outcome;
use coupon_domain::benefit::{Benefit, BenefitKind};
use coupon_domain::campaign::{RulesDraft, Validity};
use coupon_domain::ids::CampaignId;
use coupon_domain::schedule::{Schedule, Start};
use coupon_domain::supply::Supply;
use coupon_embedded::Embedded;
use coupon_testkit::build::{by, campaign_id, keys, second, user};
use coupon_testkit::contract::reference::ReferenceGate;
use coupon_testkit::under_test::{StandingClock, TestClock as _};
use coupon_usecases::ask::Ask;
use coupon_usecases::campaigns::{CreateCall, Created};
use coupon_usecases::engine::{Engine, Settings, Stores};
use futures::future::join_all;

/// Callers at once.
const CALLERS: usize = 64;
const DAY: Duration = Duration::from_secs(86_400);

/// One thread, so that the same happens each time in the same order.
#[tokio::main(flavor = "current_thread")]
async fn main() {
    let claims = std::env::args().nth(1).and_then(|count| count.parse().ok()).expect("how many claims");
    let clock = Arc::new(StandingClock::default());
    clock.set(second(0)).await;
    let folder = tempfile::tempdir().expect("a folder");
    let ledger = Embedded::open(folder.path(), clock.clone()).expect("an empty folder").ledger;
    let stores = Stores::of(Arc::new(ReferenceGate::with_clock(clock.clone())), ledger);
    let engine = Engine::start(stores, keys(), settings());
    let campaign = create(&engine, claims).await;
    clock.set(second(300)).await;

    let users: Vec<_> = (0..claims).map(|n| user(&format!("user-{n}"))).collect();
    for users in users.chunks(CALLERS) {
        let calls = users.iter().map(async |user| {
            let call = Ask { campaign: campaign.clone(), round: None, user: user.clone() };
            engine.claim(&call).await.expect("an open gate answers")
        });
        let claimed = join_all(calls).await;
        assert!(claimed.iter().all(|one| matches!(one.asked.outcome, Outcome::Granted(_)) && one.code.is_some()));
    }
}

/// Nothing happens meanwhile that depends on how long it takes.
fn settings() -> Settings {
    Settings { fence: None, tick: DAY, upkeep: DAY, recorder_pause: DAY, ..Settings::default() }
}

/// A campaign with one round and so many coupons.
async fn create(engine: &Arc<Engine>, coupons: u32) -> CampaignId {
    let draft = RulesDraft {
        title: "Rush".to_owned(),
        benefit: Some(Benefit { kind: BenefitKind::FreeShipping, min_order: None, max_discount: None }),
        supply: Some(Supply::Fixed(coupons)),
        schedule: Some(Schedule {
            start: Start::Once(second(300)),
            reserve_lead: Schedule::RESERVE_LEAD,
            reserve_close_lead: Schedule::RESERVE_CLOSE_LEAD,
            claim_duration: Schedule::CLAIM_DURATION,
        }),
        validity: Some(Validity::AfterClaim(30 * DAY)),
        ..RulesDraft::default()
    };
    let id = campaign_id("rush");
    let (violations, validate_only, activate) = (Vec::new(), false, true);
    let call = CreateCall { id: Some(id.clone()), draft, violations, by: by(None), validate_only, activate };
    let created = engine.create_campaign(call).await.expect("sound rules");
    assert!(matches!(created, Created::Campaign(_, Some(_))), "{created:?}");
    id
}
