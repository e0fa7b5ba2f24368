//! A ledger in memory, at its shortest: it shows that the contract can be kept.

mod audit;
mod campaigns;
mod coupons;
mod deliveries;
mod draws;
mod feed;
mod records;
mod statistics;
mod users;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use coupon_domain::audit::AuditRecord;
use coupon_domain::campaign::{Campaign, CampaignState, Rules};
use coupon_domain::ids::{Actor, CampaignId, CouponId, RoundId, SubscriberName, UserId};
use coupon_domain::ports::{DrawRecord, Event, RequestRecord, Subscriber, Tally, User};
use coupon_domain::time::Timestamp;
use coupon_testkit::contract::fold::{Fold, FoldedRound};
use coupon_testkit::contract::till::Till;
use coupon_testkit::under_test::{LedgerUnderTest, StandingClock};
use uuid::Uuid;

/// What a ledger may do wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It writes a recording wherever its cursor is.
    IgnoresTheCursor,
    /// It writes rows of another history.
    TakesForks,
    /// It writes more coupons than there may be.
    TakesTooManyCoupons,
    /// It tells each decision twice.
    TellsTwice,
    /// It forgets that a round which left the gate was used.
    ForgetsUsedRounds,
    /// It orders users like people do.
    SortsWithoutCase,
    /// It does not tell a gate which requests it has seen.
    DropsRequests,
    /// It does not know what the total limit left when reservation closed.
    LosesLeftAtClose,
    /// It lets two campaigns have one title.
    LetsATitleBeTakenTwice,
    /// It does not have the leaf of the last ticket.
    ForgetsLeaves,
    /// It lets a second result of a draw replace the first.
    KeepsASecondConclusion,
    /// It sets a beacon though the round is drawn.
    SetsBeaconsLate,
    /// It tells who is registered in the order of their ids.
    TellsRegisteredOutOfOrder,
    /// It counts on for rounds that are forgotten.
    CountsForgottenRounds,
    /// It lets a coupon go to a second order.
    RedeemsTwice,
    /// It lets an order have a second coupon.
    ForgetsOrders,
    /// It lets an expired coupon be used for a millisecond more.
    ExpiresLate,
    /// It raises an epoch from wherever it is.
    RaisesAnyEpoch,
    /// It lets an order have a coupon that is held for another.
    RedeemsOthersHolds,
    /// It forgets orders that gave their coupon back.
    ForgetsReleasedOrders,
    /// It holds a coupon as long as it was asked to.
    HoldsPastValidity,
    /// It forgets the cancellation of orders that it did not know.
    ForgetsUnknownOrders,
    /// It does not tell that a coupon was released.
    ForgetsReleases,
    /// It carries out what it was only asked about.
    DoesWhatItForesees,
    /// It tells that a coupon has expired whenever it sweeps.
    SweepsTwice,
    /// It sweeps coupons that were burnt.
    SweepsNobodys,
    /// It sweeps more than it was asked to.
    SweepsWithoutLimit,
    /// It tells the time of the sweep instead of that of the end.
    TellsWhenItSwept,
    /// It gives the same notice whenever it is asked to.
    GivesNoticeAgainAndAgain,
    /// It does not know which notices it has given once the leads change.
    ForgetsNotices,
    /// It does not look at coupons anew when the leads change.
    IgnoresNewLeads,
    /// It gives notice of held coupons.
    GivesNoticeOfHeldCoupons,
    /// It does not look again at coupons that are given back.
    SkipsNoticesForGood,
    /// It gives notice of void coupons.
    GivesNoticeOfVoidCoupons,
    /// It does not mark notices as late.
    IsNeverLate,
    /// It lists coupons in the order of their claims.
    ListsByClaim,
    /// It tells all events, whatever was asked for.
    IgnoresFilters,
    /// It looks again and again at what a filter leaves out.
    StopsAtWhatIsFilteredOut,
    /// It tells events by their time.
    TellsOutOfOrder,
    /// It tells an event behind one that was told before.
    TellsBehind,
    /// It does not know of the last event.
    EndsTooEarly,
    /// It lets two read under one name.
    LeasesTwice,
    /// It lets a reader go on under whose name another one reads.
    NeverTakesOver,
    /// It lets a subscriber go back.
    AcknowledgesBackwards,
    /// It keeps what was parked for a subscriber that is gone.
    KeepsWhatWasParked,
    /// It prunes what a subscriber has not had.
    PrunesUnread,
    /// It prunes what is parked.
    PrunesParked,
    /// It tells the second event of a key before the first.
    OvertakesWhatIsParked,
    /// It lets dead letters stop what comes behind them.
    WaitsForDeadLetters,
    /// It loses events that only wait for one before them.
    LosesWhatWaits,
    /// It believes anybody about an outlet.
    ProgressesWithoutLease,
    /// It keeps no audit records.
    KeepsNoAudit,
    /// It keeps an audit record of what was done before.
    AuditsRepeats,
    /// It believes the last one who is named for a request.
    BelievesTheLastActor,
}

#[derive(Default)]
pub(crate) struct MemoryLedger {
    fault: Option<Fault>,
    clock: Arc<StandingClock>,
    books: Mutex<Books>,
}

#[derive(Default)]
struct Books {
    installation: Option<Uuid>,
    master_keys: BTreeMap<u8, String>,
    campaigns: BTreeMap<CampaignId, Page>,
    /// Whose each is: of its rules, or kept for a moment.
    titles: BTreeMap<Title, CampaignId>,
    requests: BTreeMap<Uuid, RequestRecord>,
    last_round: u32,
    till: Till,
    notices: BTreeMap<CouponId, Notices>,
    /// By position.
    events: Vec<(i64, Event)>,
    last_position: i64,
    readers: BTreeMap<SubscriberName, Reader>,
    /// By outlet and position.
    parked: BTreeMap<(SubscriberName, i64), Letter>,
    /// Who makes a request.
    actors: BTreeMap<Uuid, Actor>,
    audits: Vec<AuditRecord>,
    draws: BTreeMap<RoundId, Draw>,
    users: BTreeMap<UserId, User>,
    tallies: BTreeMap<RoundId, Tally>,
}

struct Page {
    campaign: Campaign,
    epoch: u64,
    open: bool,
    acknowledged: u64,
    fold: Fold,
}

#[derive(Default)]
struct Draw {
    record: DrawRecord,
    ranks: Vec<u32>,
}

/// What its owner has been told of a coupon, and when to look again.
#[derive(Default)]
struct Notices {
    next: Option<Timestamp>,
    sent: Vec<Duration>,
}

struct Reader {
    subscriber: Subscriber,
    session: Option<Uuid>,
    leased_until: Option<Timestamp>,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Letter {
    key: String,
    attempts: u32,
    /// None of a dead letter.
    retry_at: Option<Timestamp>,
    error: String,
    failed_at: Timestamp,
}

/// A title with its end of validity.
type Title = (String, String);

fn title(rules: &Rules) -> Title {
    (rules.title.clone(), format!("{:?}", rules.validity))
}

impl Books {
    fn tell(&mut self, events: impl IntoIterator<Item = Event>) {
        for event in events {
            self.last_position += 1;
            self.events.push((self.last_position, event));
        }
    }

    fn round(&self, id: RoundId) -> Option<(&CampaignId, &FoldedRound)> {
        self.campaigns.iter().find_map(|(campaign, page)| Some((campaign, page.fold.rounds.get(&id)?)))
    }

    /// A campaign has the title of its rules and no other, and none once it has ended.
    fn settle_titles(&mut self, id: &CampaignId) {
        self.titles.retain(|_, owner| owner != id);
        let own = self.campaigns.get(id).map(|page| &page.campaign).filter(|own| own.state != CampaignState::Ended);
        if let Some(campaign) = own {
            self.titles.entry(title(&campaign.rules)).or_insert_with(|| id.clone());
        }
    }
}

pub(crate) async fn under_test() -> LedgerUnderTest {
    with(None)
}

/// A ledger with this fault.
pub(crate) fn with(fault: Option<Fault>) -> LedgerUnderTest {
    let ledger = Arc::new(MemoryLedger { fault, ..MemoryLedger::default() });
    let clock = Arc::clone(&ledger.clock);
    LedgerUnderTest::new(ledger, clock, ())
}

impl MemoryLedger {
    fn does(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().expect("no test panics while it writes")
    }
}
