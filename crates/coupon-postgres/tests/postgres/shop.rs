//! A campaign with coupons in the ledger, brought there by the specification's own journal.

use std::time::Duration;

use coupon_domain::campaign::Rules;
use coupon_domain::checkout::{Call, GiveBack, Hold, Outcome, Redeem};
use coupon_domain::ids::{CouponId, UserId};
use coupon_domain::journal::Entry;
use coupon_domain::model::{CampaignHead, CampaignModel};
use coupon_domain::money::Money;
use coupon_domain::ports::{
    CampaignRepository as _, CouponRepository as _, Event, EventFilter, FeedRepository as _, NewCampaign,
    RecordRepository as _,
};
use coupon_domain::time::Timestamp;
use coupon_postgres::PostgresLedger;
use coupon_testkit::build::{a_campaign, campaign_id, coupon_id, eur, head, order, round, round_id, second, user};
use coupon_testkit::contract::fold::Fold;
use coupon_testkit::postgres::{PostgresClock, PostgresDatabase};
use coupon_testkit::under_test::TestClock as _;
use diesel_async::{AsyncConnection as _, AsyncPgConnection, SimpleAsyncConnection as _};

use crate::{connected, migrated};

/// Campaign `c` with round 7, which claims in seconds 300 to 360; the clock stands at second 400.
pub(crate) struct Shop {
    pub(crate) ledger: PostgresLedger,
    pub(crate) database: PostgresDatabase,
    pub(crate) clock: PostgresClock,
    pub(crate) gate: CampaignModel,
    pub(crate) fold: Fold,
}

impl Shop {
    /// Each of these users has a coupon, serial 0 first.
    pub(crate) async fn with_coupons(users: &[UserId]) -> Self {
        let mut shop = Self::on(migrated().await).await;
        let entries = shop.claims(users);
        shop.record(&entries).await;
        shop
    }

    /// The campaign alone.
    pub(crate) async fn on(database: PostgresDatabase) -> Self {
        Self::offering(database, a_campaign("c").rules, &head()).await
    }

    /// The campaign with these rules, and a gate with these limits.
    pub(crate) async fn offering(database: PostgresDatabase, rules: Rules, head: &CampaignHead) -> Self {
        let clock = database.clock().await.expect("a clock");
        clock.set(second(400)).await;
        let ledger = connected(&database).await;
        let new = NewCampaign { rules, ..a_campaign("c") };
        ledger.create(&new).await.expect("created");
        Self { ledger, database, clock, gate: CampaignModel::begin(head), fold: Fold::created(&new) }
    }

    /// Round 8, which is drawn: these users have places, and reservation has closed.
    pub(crate) async fn with_places(users: &[UserId]) -> Self {
        let mut shop = Self::on(migrated().await).await;
        let spec = round(8).reserving(100..200).claiming(300..360).ratio(1, 2).drawn().build();
        let mut entries = Vec::from_iter(shop.gate.open_round(&spec, second(0)).entry);
        entries.extend(shop.gate.reserve(round_id(8), users, true, second(100)).expect("the round is open").entry);
        entries.extend(shop.gate.tick(second(200)).entry);
        shop.record(&entries).await;
        shop
    }

    /// What the gate appends when round 7 opens, if it is not open yet, and these users claim.
    pub(crate) fn claims(&mut self, users: &[UserId]) -> Vec<Entry> {
        let spec = round(7).fixed(100_000).build();
        let opened = self.gate.open_round(&spec, second(0)).entry;
        let claimed = self.gate.claim(round_id(7), users, true, second(300)).expect("the round is open").entry;
        opened.into_iter().chain(claimed).collect()
    }

    pub(crate) async fn record(&mut self, entries: &[Entry]) {
        let recording = self.fold.recording(entries).expect("they follow");
        self.ledger.record(&campaign_id("c"), &recording).await.expect("recorded");
        self.fold.apply(&recording);
    }

    pub(crate) async fn carry_out(&self, calls: &[Call]) -> Vec<Outcome> {
        self.ledger.carry_out(calls).await.expect("the ledger answers")
    }

    pub(crate) async fn now_is(&self, at: Timestamp) {
        self.clock.set(at).await;
    }

    /// All events with their positions.
    pub(crate) async fn events(&self) -> Vec<(i64, Event)> {
        self.ledger.events(0, &EventFilter::default(), 1_000_000).await.expect("the ledger answers").events
    }

    pub(crate) async fn count(&self, table: &str) -> usize {
        let count = self.database.psql(&format!("SELECT count(*) FROM {table}")).await.expect("answers");
        count.parse().expect("a number")
    }

    /// Returns when somebody waits for a lock in this database.
    pub(crate) async fn somebody_waits(&self) {
        let waiting =
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        let waits = async { while self.database.psql(waiting).await.expect("answers") == "0" {} };
        tokio::time::timeout(Duration::from_secs(10), waits).await.expect("somebody waits for a lock");
    }

    /// A session that holds what these commands lock.
    pub(crate) async fn session_after(&self, commands: &str) -> AsyncPgConnection {
        let mut session = AsyncPgConnection::establish(self.database.url()).await.expect("connected");
        session.batch_execute(commands).await.expect("done");
        session
    }
}

/// The coupon of round 7 with this serial.
pub(crate) fn coupon(serial: u32) -> CouponId {
    coupon_id(7, serial)
}

/// Ada's call for this coupon of round 7 and this order of 10 EUR, 2 EUR off.
pub(crate) fn ada_redeems(serial: u32, order_id: &str) -> Call {
    redeems("ada", serial, order_id, Ok(eur(200)))
}

/// A call for this coupon of `u-<serial>`.
pub(crate) fn holds(serial: u32, order_id: &str, ttl: Duration) -> Call {
    let (campaign, user) = (campaign_id("c"), user(&format!("u-{serial}")));
    Call::Hold(Hold { coupon: coupon(serial), campaign, user, order: order(order_id), ttl })
}

/// What gives back the coupon of an order of this user.
pub(crate) fn back(name: &str, order_id: &str) -> GiveBack {
    GiveBack { campaign: campaign_id("c"), order: order(order_id), user: user(name), reason: String::new() }
}

pub(crate) fn redeems(
    name: &str,
    serial: u32,
    order_id: &str,
    discount: Result<Money, coupon_domain::benefit::Unsuitable>,
) -> Call {
    Call::Redeem(Redeem {
        coupon: coupon(serial),
        campaign: campaign_id("c"),
        user: user(name),
        order: order(order_id),
        amount: eur(1000),
        discount,
    })
}
