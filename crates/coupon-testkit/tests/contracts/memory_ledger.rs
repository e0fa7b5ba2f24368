//! A ledger in memory, at its shortest: it shows that the contract can be kept.

mod campaigns;
mod coupons;
mod draws;
mod records;
mod statistics;
mod users;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use coupon_domain::campaign::{Campaign, CampaignState, Rules};
use coupon_domain::ids::{CampaignId, RoundId, UserId};
use coupon_domain::ports::{DrawRecord, Event, EventKind, RequestRecord, Tally, User};
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
    events: Vec<Event>,
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

/// A title with its end of validity.
type Title = (String, String);

fn title(rules: &Rules) -> Title {
    (rules.title.clone(), format!("{:?}", rules.validity))
}

impl Books {
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
    LedgerUnderTest {
        campaigns: Arc::clone(&ledger) as _,
        records: Arc::clone(&ledger) as _,
        draws: Arc::clone(&ledger) as _,
        users: Arc::clone(&ledger) as _,
        statistics: Arc::clone(&ledger) as _,
        coupons: ledger,
        clock,
        keep: Box::new(()),
    }
}

impl MemoryLedger {
    fn does(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().expect("no test panics while it writes")
    }
}

fn event(id: String, kind: EventKind, campaign: &CampaignId, at: Timestamp) -> Event {
    let campaign = campaign.clone();
    Event { id, kind, campaign, round: None, coupon: None, user: None, order: None, state: None, at }
}
