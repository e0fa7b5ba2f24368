//! A data folder with one campaign in it, for tests.

use std::path::Path;
use std::sync::Arc;

use coupon_domain::answer::{Answer, Outcome};
use coupon_domain::campaign::Rules;
use coupon_domain::ids::CampaignId;
use coupon_domain::model::{CampaignHead, LoadChunk};
use coupon_domain::ports::{
    CampaignRepository as _, CreateOutcome, Event, EventFilter, EventKind, FeedRepository as _, Gate as _,
    Journal as _, NewCampaign, RecordRepository as _,
};
use coupon_domain::position::Position;
use coupon_domain::recording::Recording;
use coupon_domain::round::RoundSpec;
use coupon_domain::time::Timestamp;
use coupon_embedded::{Embedded, EmbeddedGate, SqliteLedger};
use coupon_testkit::build::{a_campaign, campaign_id, head, keys, rules, second};
use coupon_testkit::under_test::{StandingClock, TestClock as _};
use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, SqliteConnection};
use tempfile::TempDir;

/// Gate and ledger with one campaign.
pub(crate) struct Shop {
    pub(crate) gate: Arc<EmbeddedGate>,
    pub(crate) ledger: Arc<SqliteLedger>,
    pub(crate) clock: Arc<StandingClock>,
    pub(crate) campaign: CampaignId,
    folder: TempDir,
}

impl Shop {
    /// An empty folder with the campaign `c` in the ledger; the gate knows nothing of it.
    pub(crate) async fn closed() -> Self {
        Self::closed_by(rules()).await
    }

    /// The same, by these rules.
    pub(crate) async fn closed_by(rules: Rules) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let clock = Arc::new(StandingClock::default());
        clock.set(second(0)).await;
        let Embedded { gate, ledger } = Embedded::open(folder.path(), Arc::clone(&clock) as _).expect("it opens");
        let created = ledger.create(&NewCampaign { rules, ..a_campaign("c") }).await.expect("the ledger answers");
        assert!(matches!(created, CreateOutcome::Created(_)), "{created:?}");
        Self { gate, ledger, clock, campaign: campaign_id("c"), folder }
    }

    /// The same with the campaign open and these rounds.
    pub(crate) async fn with(rounds: impl IntoIterator<Item = impl Into<RoundSpec>>) -> Self {
        let shop = Self::closed().await;
        shop.open(head()).await;
        for round in rounds {
            shop.gate.open_round(&shop.campaign, &round.into(), shop.seen()).await.expect("it is open");
        }
        shop
    }

    /// Opens the campaign in the gate, in the head's epoch.
    pub(crate) async fn open(&self, head: CampaignHead) {
        let epoch = head.position.epoch;
        self.gate.freeze(&self.campaign, epoch).await.expect("a later epoch");
        for chunk in [LoadChunk::Head(head), LoadChunk::Open] {
            self.gate.load(&self.campaign, epoch, chunk).await.expect("frozen");
        }
    }

    /// What a caller knows who knows nothing but the first epoch.
    pub(crate) fn seen(&self) -> Position {
        Position { epoch: 1, n: 0 }
    }

    pub(crate) async fn at(&self, at: Timestamp) {
        self.clock.set(at).await;
    }

    /// What the journal has behind the ledger's cursor.
    pub(crate) async fn unrecorded(&self) -> Recording {
        let cursor = self.ledger.cursor(&self.campaign).await.expect("the ledger answers");
        let entries = self.gate.read(&self.campaign, cursor.position.n, usize::MAX).await.expect("the journal answers");
        let rounds = self.ledger.rounds(&self.campaign, None, 1000).await.expect("the ledger answers");
        let known = rounds.into_iter().map(|round| (round.head.view.spec.id, round.head.view.spec)).collect();
        Recording::of(cursor, &entries, &known, &keys()).expect("the journal goes on behind the cursor")
    }

    /// Brings it into the ledger.
    pub(crate) async fn record(&self) {
        self.ledger.record(&self.campaign, &self.unrecorded().await).await.expect("it is recorded");
    }

    /// Events of the feed.
    pub(crate) async fn events_behind(&self, after: i64, limit: u32) -> Vec<(i64, Event)> {
        self.ledger.events(after, &EventFilter::default(), limit).await.expect("the ledger answers").events
    }

    /// How many events of this kind there are.
    pub(crate) async fn told(&self, kind: EventKind) -> usize {
        self.events_behind(0, u32::MAX).await.iter().filter(|(_, event)| event.kind == kind).count()
    }

    /// A connection to the ledger's file beside the ledger's own.
    pub(crate) fn beside(&self) -> SqliteConnection {
        let file = self.path().join("ledger.sqlite");
        let mut conn = SqliteConnection::establish(file.to_str().expect("UTF-8")).expect("it opens");
        conn.batch_execute("PRAGMA foreign_keys = ON; PRAGMA busy_timeout = 60000").expect("SQLite knows them");
        conn
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Ends the process, as far as the folder can tell, and starts it again.
    pub(crate) fn restarted(self) -> Self {
        let Self { gate, ledger, clock, campaign, folder } = self;
        drop((gate, ledger));
        let Embedded { gate, ledger } = Embedded::open(folder.path(), Arc::clone(&clock) as _).expect("it opens again");
        Self { gate, ledger, clock, campaign, folder }
    }
}

/// How many of these are new yeses.
pub(crate) fn granted<T>(answers: &[Answer<T>]) -> usize {
    answers.iter().filter(|a| matches!(a.outcome, Outcome::Granted(_))).count()
}
