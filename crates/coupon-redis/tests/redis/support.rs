//! Gates on private servers.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use coupon_domain::answer::{Answer, Issued};
use coupon_domain::ids::{CampaignId, UserId};
use coupon_domain::model::{CampaignHead, Decided, LoadChunk, RoundOpening};
use coupon_domain::ports::{Gate, GateError};
use coupon_domain::position::Position;
use coupon_domain::round::RoundSpec;
use coupon_redis::{LIBRARY, RedisConfig, RedisGate};
use coupon_testkit::build::{campaign_id, head, round_id, second, user};
use coupon_testkit::redis::{RedisServer, library_with_test_clock};
use coupon_testkit::under_test::{GateUnderTest, TestClock as _};
use uuid::Uuid;

/// Whose all servers here are.
pub(crate) const INSTALLATION: Uuid = Uuid::from_u128(7);

/// How to use this server, with a test clock.
pub(crate) fn config(server: &RedisServer) -> RedisConfig {
    let library = Cow::Owned(library_with_test_clock(LIBRARY));
    RedisConfig { library, command_timeout: Duration::from_secs(10), ..RedisConfig::new(server.url(), INSTALLATION) }
}

/// What the contract suites are given.
pub(crate) async fn on_private_server() -> GateUnderTest {
    let server = RedisServer::start().await.expect("a private server");
    let gate = Arc::new(RedisGate::connect(config(&server)).await.expect("a server that can be used"));
    let clock = Arc::new(server.clock());
    GateUnderTest { journal: Arc::clone(&gate) as _, gate, clock, keep: Box::new(server) }
}

/// The campaign `c` with the round 1 in epoch 1 of a private server; the round is claiming.
pub(crate) struct Rush {
    pub(crate) server: RedisServer,
    pub(crate) gate: RedisGate,
    pub(crate) campaign: CampaignId,
}

impl Rush {
    pub(crate) async fn begin(round: impl Into<RoundSpec>) -> Self {
        let server = RedisServer::start().await.expect("a private server");
        let config = config(&server);
        Self::begin_on(server, config, round).await
    }

    pub(crate) async fn begin_on(server: RedisServer, config: RedisConfig, round: impl Into<RoundSpec>) -> Self {
        let round = round.into();
        let gate = RedisGate::connect(config).await.expect("a server that can be used");
        let rush = Self { server, gate, campaign: campaign_id("c") };
        rush.load(head()).await;
        rush.server.clock().set(second(0)).await;
        let opening = rush.gate.open_round(&rush.campaign, &round, seen(0)).await.expect("an open gate answers");
        assert_eq!(opening.answers, RoundOpening::Opened);
        rush.server.clock().set(round.claim.opens).await;
        rush
    }

    /// Recovers with nothing in the ledger but the head.
    pub(crate) async fn load(&self, head: CampaignHead) {
        let epoch = head.position.epoch;
        self.gate.freeze(&self.campaign, epoch).await.expect("a later epoch freezes");
        for chunk in [LoadChunk::Head(head), LoadChunk::Open] {
            self.gate.load(&self.campaign, epoch, chunk).await.expect("a campaign without rounds is whole");
        }
    }

    pub(crate) async fn claim(&self, users: &[UserId]) -> Result<Decided<Vec<Answer<Issued>>>, GateError> {
        self.claim_in(1, users).await
    }

    pub(crate) async fn claim_in(
        &self,
        epoch: u64,
        users: &[UserId],
    ) -> Result<Decided<Vec<Answer<Issued>>>, GateError> {
        self.gate.claim(&self.campaign, round_id(1), users, true, Position { epoch, n: 0 }).await
    }
}

/// Waits for the driver to come back; each attempt is bounded by the driver's own pauses.
pub(crate) async fn not_loaded(rush: &Rush) {
    loop {
        match rush.claim(&[user("ada")]).await {
            Err(GateError::Unknown(_)) => tokio::task::yield_now().await,
            Err(GateError::NotLoaded) => return,
            other => panic!("a gate that may have lost something answered {other:?}"),
        }
    }
}

/// Decision `n` of epoch 1.
pub(crate) fn seen(n: u64) -> Position {
    Position { epoch: 1, n }
}
