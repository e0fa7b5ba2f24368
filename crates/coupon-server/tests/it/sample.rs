//! The sample data: what it holds, and that loading it again changes nothing.

use std::sync::Arc;
use std::time::Duration;

use coupon_domain::answer::Outcome;
use coupon_domain::code::MasterKeys;
use coupon_domain::ids::{CampaignId, UserId};
use coupon_domain::ports::{Clock as _, CouponFilter, CouponTotals};
use coupon_embedded::Embedded;
use coupon_server::clock::ServiceClock;
use coupon_server::sample;
use coupon_usecases::ask::Ask;
use coupon_usecases::engine::{Engine, Settings, Stores};

async fn totals(engine: &Arc<Engine>, user: &str) -> CouponTotals {
    let user = UserId::parse(user).expect("an id");
    let filter = CouponFilter { user: Some(user), limit: 50, ..CouponFilter::default() };
    engine.coupons(&filter).await.expect("a list").0.totals.expect("a user's")
}

async fn campaigns(engine: &Engine) -> Vec<String> {
    let all = engine.campaigns(None, None, 50).await.expect("a list");
    all.into_iter().map(|campaign| campaign.id.to_string()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn s12_sample_data_is_two_users_six_coupons_and_a_live_campaign_however_often_loaded() {
    let folder = tempfile::tempdir().expect("a folder");
    let clock = Arc::new(ServiceClock::default());
    let Embedded { gate, ledger } = Embedded::open(folder.path(), clock.clone()).expect("a new folder");
    let stores = Stores::of(gate, ledger);
    let keys = MasterKeys::parse(&MasterKeys::format_line(0, &[7; 32])).expect("a key");
    let engine = Engine::start(stores, keys, Settings { fence: None, ..Settings::default() });

    for _ in 0..2 {
        sample::load(&engine, &clock).await.expect("loaded");
        assert_eq!(campaigns(&engine).await, ["live", "sample-weekly", "sample-welcome"]);
        assert_eq!(totals(&engine, "ada").await, CouponTotals { issued: 1, redeemed: 2, ..CouponTotals::default() });
        assert_eq!(totals(&engine, "bob").await, CouponTotals { issued: 2, expired: 1, ..CouponTotals::default() });
    }

    // A newcomer reserves at once and claims when the minute has turned.
    let now = clock.now();
    clock.stand_at(Some(now));
    let ask = |user: &str| Ask {
        campaign: CampaignId::parse(sample::LIVE).expect("an id"),
        round: None,
        user: UserId::parse(user).expect("an id"),
    };
    let reserved = engine.reserve(&ask("eve")).await.expect("an answer").asked;
    assert!(matches!(reserved.outcome, Outcome::Granted(_)), "{reserved:?}");
    let opens = reserved.round.expect("a round").claim.opens;
    assert!(opens.since(now) <= Duration::from_secs(60));
    clock.stand_at(Some(opens));
    let claimed = engine.claim(&ask("eve")).await.expect("an answer").asked;
    assert!(matches!(claimed.outcome, Outcome::Granted(_)), "{claimed:?}");
    engine.stop().await;
}
