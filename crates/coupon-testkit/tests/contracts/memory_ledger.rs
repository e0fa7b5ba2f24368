//! A ledger in memory, at its shortest: it shows that the contract can be kept.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use coupon_domain::campaign::{Campaign, CampaignState};
use coupon_domain::ids::{CampaignId, CouponId, RoundId, UserId};
use coupon_domain::model::Seat;
use coupon_domain::ports::{
    CampaignRepository, Clock as _, CouponFilter, CouponPage, CouponRepository, CouponTotals, CreateOutcome, Event,
    EventKind, LedgerError, NewCampaign, RecordError, RecordRepository, RequestRecord, RoundRecord, Snapshot, Standing,
};
use coupon_domain::recording::{Cursor, Recording};
use coupon_domain::redemption::{CouponRecord, CouponState, Redeem, RedeemFacts, RedeemOutcome};
use coupon_domain::round::RoundSpec;
use coupon_domain::time::Timestamp;
use coupon_testkit::contract::fold::Fold;
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
    /// It tells each decision twice.
    TellsTwice,
    /// It forgets that a round which left the gate was used.
    ForgetsUsedRounds,
    /// It orders users like people do.
    SortsWithoutCase,
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
    requests: HashMap<Uuid, RequestRecord>,
    last_round: u32,
    till: Till,
    events: Vec<Event>,
}

struct Page {
    campaign: Campaign,
    epoch: u64,
    open: bool,
    acknowledged: u64,
    fold: Fold,
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

impl Page {
    fn standing(&self) -> Standing {
        let Self { campaign, epoch, open, fold, .. } = self;
        Standing {
            campaign: campaign.id.clone(),
            epoch: *epoch,
            open: *open,
            cursor: fold.cursor,
            acknowledged: self.acknowledged,
        }
    }
}

fn event(id: String, kind: EventKind, campaign: &CampaignId, at: Timestamp) -> Event {
    let campaign = campaign.clone();
    Event { id, kind, campaign, round: None, coupon: None, user: None, order: None, state: None, at }
}

/// The rows' events, by the number of their decision.
fn events(campaign: &CampaignId, recording: &Recording) -> Vec<Event> {
    let new = |n, kind, at| event(Event::id_of_decision(campaign, n), kind, campaign, at);
    let mut events = BTreeMap::new();
    for row in &recording.rounds {
        let told = Event { round: Some(row.spec.id), ..new(row.n, EventKind::RoundOpened, row.at) };
        events.insert(row.n, told);
    }
    for row in &recording.places {
        let told = new(row.n, EventKind::PlaceReserved, row.reserved_at);
        events.insert(row.n, Event { round: Some(row.round), user: Some(row.user.clone()), ..told });
    }
    for row in &recording.coupons {
        let coupon = Some(CouponId { round: row.round, serial: row.serial });
        let told = new(row.n, EventKind::CouponIssued, row.claimed_at);
        events.insert(row.n, Event { round: Some(row.round), user: Some(row.user.clone()), coupon, ..told });
    }
    for row in &recording.phases {
        let told = new(row.n, EventKind::RoundPhaseChanged, row.at);
        events.insert(row.n, Event { round: Some(row.round), state: Some(row.phase.to_string()), ..told });
    }
    for row in &recording.states {
        let told = new(row.n, EventKind::CampaignStateChanged, row.at);
        events.insert(row.n, Event { state: Some(row.state.to_string()), ..told });
    }
    events.into_values().collect()
}

fn fork(fold: &Fold, recording: &Recording) -> Option<String> {
    let seat = |round: &RoundId, user: &UserId| fold.rounds.get(round)?.seats.get(user).copied();
    let place = recording.places.iter().find(|row| {
        let round = fold.rounds.get(&row.round);
        let ticket = round.is_some_and(|r| r.seats.values().any(|s| s.place.is_some_and(|p| p.ticket == row.ticket)));
        ticket || seat(&row.round, &row.user).is_some_and(|s| s.place.is_some())
    });
    let coupon = recording.coupons.iter().find(|row| {
        let serial = fold.coupons.iter().any(|c| (c.round, c.serial) == (row.round, row.serial));
        serial || seat(&row.round, &row.user).is_some_and(|s| s.coupon.is_some())
    });
    place.map(|row| format!("{row:?}")).or(coupon.map(|row| format!("{row:?}")))
}

#[async_trait]
impl CampaignRepository for MemoryLedger {
    async fn installation(&self) -> Result<Uuid, LedgerError> {
        Ok(*self.books().installation.get_or_insert_with(Uuid::new_v4))
    }

    async fn master_key(&self, key_id: u8, check: &str) -> Result<String, LedgerError> {
        Ok(self.books().master_keys.entry(key_id).or_insert_with(|| check.to_owned()).clone())
    }

    async fn now(&self) -> Result<Timestamp, LedgerError> {
        Ok(self.clock.now())
    }

    async fn create(&self, new: &NewCampaign) -> Result<CreateOutcome, LedgerError> {
        let (mut books, now) = (self.books(), self.clock.now());
        if let Some(record) = new.request.and_then(|request| books.requests.get(&request)) {
            return Ok(if record.verb == "CREATE" {
                CreateOutcome::Repeated(books.campaigns[&record.campaign].campaign.clone())
            } else {
                CreateOutcome::RequestUsed
            });
        }
        let taken = |page: &&Page| {
            let rules = &page.campaign.rules;
            (&rules.title, rules.validity) == (&new.rules.title, new.rules.validity)
        };
        if let Some(page) = books.campaigns.values().find(taken) {
            return Ok(CreateOutcome::TitleTaken(page.campaign.id.clone()));
        }
        // From here on it must succeed.
        let NewCampaign { id, rules, state, request } = new.clone();
        let campaign = Campaign { id: id.clone(), rules, state, revision: 1, created_at: now, updated_at: now };
        let page = Page { campaign: campaign.clone(), epoch: 0, open: false, acknowledged: 0, fold: Fold::new(state) };
        books.campaigns.insert(id.clone(), page);
        let record = RequestRecord { campaign: id.clone(), verb: "CREATE".to_owned() };
        books.requests.extend(request.map(|request| (request, record)));
        books.events.push(event(Event::id_of_uuid(Uuid::now_v7()), EventKind::CampaignCreated, &id, now));
        Ok(CreateOutcome::Created(campaign))
    }

    async fn campaign(&self, id: &CampaignId) -> Result<Option<Campaign>, LedgerError> {
        Ok(self.books().campaigns.get(id).map(|page| page.campaign.clone()))
    }

    async fn campaigns(
        &self,
        state: Option<CampaignState>,
        after: Option<&CampaignId>,
        limit: u32,
    ) -> Result<Vec<Campaign>, LedgerError> {
        let mut all: Vec<_> = self.books().campaigns.values().map(|page| page.campaign.clone()).collect();
        all.sort_by(|a, b| (b.created_at, &b.id).cmp(&(a.created_at, &a.id)));
        let from = after.and_then(|id| all.iter().position(|c| c.id == *id)).map_or(0, |index| index + 1);
        let wanted = all.into_iter().skip(from).filter(|c| state.is_none_or(|state| c.state == state));
        Ok(wanted.take(limit as usize).collect())
    }

    async fn request(&self, id: Uuid) -> Result<Option<RequestRecord>, LedgerError> {
        Ok(self.books().requests.get(&id).cloned())
    }

    async fn new_round_ids(&self, count: u32) -> Result<Vec<RoundId>, LedgerError> {
        let mut books = self.books();
        let first = books.last_round + 1;
        books.last_round += count;
        Ok((first..first + count).filter_map(RoundId::from_number).collect())
    }

    async fn round(&self, id: RoundId) -> Result<Option<RoundRecord>, LedgerError> {
        let books = self.books();
        let mut found = books.campaigns.values().filter_map(|page| {
            let head = page.fold.rounds.get(&id)?.head.clone();
            Some(RoundRecord { campaign: page.campaign.id.clone(), head })
        });
        Ok(found.next())
    }

    async fn latest_rounds(&self, campaign: &CampaignId, limit: u32) -> Result<Vec<RoundSpec>, LedgerError> {
        let books = self.books();
        let rounds = books.campaigns.get(campaign).into_iter().flat_map(|page| page.fold.rounds.values());
        let mut specs: Vec<_> = rounds.map(|round| round.head.view.spec.clone()).collect();
        specs.sort_by_key(|spec| std::cmp::Reverse((spec.claim.opens, spec.id)));
        specs.truncate(limit as usize);
        Ok(specs)
    }

    async fn standings(&self) -> Result<Vec<Standing>, LedgerError> {
        Ok(self.books().campaigns.values().map(Page::standing).collect())
    }

    async fn standing(&self, campaign: &CampaignId) -> Result<Option<Standing>, LedgerError> {
        Ok(self.books().campaigns.get(campaign).map(Page::standing))
    }

    async fn acknowledge(&self, campaign: &CampaignId, n: u64) -> Result<(), LedgerError> {
        let mut books = self.books();
        let page = books.campaigns.get_mut(campaign).expect("only campaigns that are there are acknowledged");
        page.acknowledged = page.acknowledged.max(n);
        Ok(())
    }

    async fn raise_epoch(&self, campaign: &CampaignId, from: u64) -> Result<Option<u64>, LedgerError> {
        let mut books = self.books();
        Ok(books.campaigns.get_mut(campaign).filter(|page| page.epoch == from || self.does(Fault::RaisesAnyEpoch)).map(
            |page| {
                page.open = false;
                page.epoch += 1;
                page.epoch
            },
        ))
    }

    async fn mark_open(&self, campaign: &CampaignId, epoch: u64) -> Result<bool, LedgerError> {
        let mut books = self.books();
        let page = books.campaigns.get_mut(campaign).filter(|page| page.epoch == epoch);
        Ok(page.map(|page| page.open = true).is_some())
    }
}

#[async_trait]
impl RecordRepository for MemoryLedger {
    async fn cursor(&self, campaign: &CampaignId) -> Result<Cursor, LedgerError> {
        Ok(self.books().campaigns.get(campaign).map(|page| page.fold.cursor).unwrap_or_default())
    }

    async fn record(&self, campaign: &CampaignId, recording: &Recording) -> Result<(), RecordError> {
        let (mut books, now) = (self.books(), self.clock.now());
        let Books { campaigns, requests, till, events: told, .. } = &mut *books;
        let page = campaigns.get_mut(campaign).expect("only campaigns that are there are recorded");
        if page.fold.cursor != recording.from && !self.does(Fault::IgnoresTheCursor) {
            return Err(RecordError::Moved(page.fold.cursor));
        }
        if page.open && recording.epoch < page.epoch {
            return Err(RecordError::Fork(format!("the campaign was opened in epoch {}", page.epoch)));
        }
        if let Some(row) = fork(&page.fold, recording).filter(|_| !self.does(Fault::TakesForks)) {
            return Err(RecordError::Fork(row));
        }
        // From here on it must succeed.
        page.fold.apply(recording);
        recording.coupons.iter().for_each(|row| till.add(campaign, row));
        for row in &recording.states {
            page.campaign.state = row.state;
            page.campaign.revision += 1;
            page.campaign.updated_at = now;
            let record = RequestRecord { campaign: campaign.clone(), verb: row.verb.clone() };
            requests.extend(row.request.map(|request| (request, record)));
        }
        told.extend(events(campaign, recording));
        if self.does(Fault::TellsTwice) {
            told.extend(events(campaign, recording));
        }
        if self.does(Fault::ForgetsUsedRounds) {
            page.fold.rounds.retain(|_, round| !round.retired);
        }
        Ok(())
    }

    async fn snapshot(&self, campaign: &CampaignId) -> Result<Snapshot, LedgerError> {
        Ok(self.books().campaigns[campaign].fold.snapshot())
    }

    async fn seats(
        &self,
        round: RoundId,
        after: Option<&UserId>,
        limit: u32,
    ) -> Result<Vec<(UserId, Seat)>, LedgerError> {
        let books = self.books();
        let rounds = books.campaigns.values().filter_map(|page| page.fold.rounds.get(&round));
        let mut seats: Vec<_> = rounds.flat_map(|round| round.seats.clone()).collect();
        if self.does(Fault::SortsWithoutCase) {
            seats.sort_by_key(|(user, _)| user.as_str().to_lowercase());
        }
        let seats = seats.into_iter();
        Ok(seats.filter(|(user, _)| after.is_none_or(|after| user > after)).take(limit as usize).collect())
    }

    async fn coupon_counts(
        &self,
        campaign: &CampaignId,
        after: Option<&UserId>,
        limit: u32,
    ) -> Result<Vec<(UserId, u32)>, LedgerError> {
        let books = self.books();
        let counts = books.campaigns.get(campaign).map(|page| page.fold.counts()).unwrap_or_default();
        let later = counts.into_iter().filter(|(user, _)| after.is_none_or(|after| user > after));
        Ok(later.take(limit as usize).collect())
    }

    async fn seat(&self, round: RoundId, user: &UserId) -> Result<Seat, LedgerError> {
        let books = self.books();
        let mut rounds = books.campaigns.values().filter_map(|page| page.fold.rounds.get(&round));
        Ok(rounds.next().and_then(|round| round.seats.get(user)).copied().unwrap_or_default())
    }

    async fn events(&self, after: i64, limit: u32) -> Result<Vec<(i64, Event)>, LedgerError> {
        let books = self.books();
        let numbered = (1..).zip(books.events.iter().cloned());
        Ok(numbered.filter(|(place, _)| *place > after).take(limit as usize).collect())
    }
}

#[async_trait]
impl CouponRepository for MemoryLedger {
    async fn coupon(&self, id: CouponId) -> Result<Option<(CouponRecord, Timestamp)>, LedgerError> {
        Ok(self.books().till.coupons.get(&id).cloned().map(|coupon| (coupon, self.clock.now())))
    }

    async fn coupons(&self, filter: &CouponFilter) -> Result<CouponPage, LedgerError> {
        let (books, at) = (self.books(), self.clock.now());
        let own = |c: &&CouponRecord| {
            c.user == filter.user && filter.campaign.as_ref().is_none_or(|campaign| c.campaign == *campaign)
        };
        let all: Vec<_> = books.till.coupons.values().filter(own).collect();
        let mut totals = CouponTotals::default();
        for coupon in &all {
            *match coupon.state_at(at) {
                CouponState::Issued => &mut totals.issued,
                CouponState::Held => &mut totals.held,
                CouponState::Redeemed => &mut totals.redeemed,
                CouponState::Expired => &mut totals.expired,
                CouponState::Void => &mut totals.void,
            } += 1;
        }
        let wanted = all.into_iter().filter(|c| {
            filter.after.is_none_or(|after| c.id > after) && filter.state.is_none_or(|state| c.state_at(at) == state)
        });
        Ok(CouponPage { coupons: wanted.take(filter.limit as usize).cloned().collect(), totals, at })
    }

    async fn redeem(&self, calls: &[Redeem]) -> Result<Vec<RedeemOutcome>, LedgerError> {
        let (mut books, at) = (self.books(), self.clock.now());
        let mut outcomes = Vec::new();
        for call in calls {
            let by = if self.does(Fault::ExpiresLate) { at.minus(Duration::from_millis(1)) } else { at };
            let outcome = books.till.redeem(call, by);
            if let Some(coupon) = books.till.coupons.get_mut(&call.coupon).filter(|_| self.does(Fault::RedeemsTwice)) {
                coupon.state = CouponState::Issued;
            }
            if self.does(Fault::ForgetsOrders) {
                books.till.orders.clear();
            }
            if matches!(outcome, RedeemOutcome::Redeemed(_)) {
                let told = event(Event::id_of_uuid(Uuid::now_v7()), EventKind::CouponRedeemed, &call.campaign, at);
                let (coupon, user, order) = (Some(call.coupon), Some(call.user.clone()), Some(call.order.clone()));
                books.events.push(Event { round: Some(call.coupon.round), coupon, user, order, ..told });
            }
            outcomes.push(outcome);
        }
        Ok(outcomes)
    }

    async fn redeem_facts(&self, call: &Redeem) -> Result<(RedeemFacts, Timestamp), LedgerError> {
        Ok((self.books().till.facts(call), self.clock.now()))
    }
}
