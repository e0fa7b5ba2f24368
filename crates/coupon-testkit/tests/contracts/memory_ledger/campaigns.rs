//! Campaigns, their titles, rounds and epochs.

use std::cmp::Reverse;

use async_trait::async_trait;
use coupon_domain::audit::{self, CREATE};
use coupon_domain::campaign::{Campaign, CampaignState, Rules};
use coupon_domain::ids::{CampaignId, RoundId};
use coupon_domain::ports::{
    CampaignRepository, Clock as _, CreateOutcome, Event, EventKind, LedgerError, NewCampaign, RequestRecord,
    RoundRecord, Standing,
};
use coupon_domain::time::Timestamp;
use coupon_testkit::contract::fold::{Fold, FoldedRound};
use uuid::Uuid;

use super::{Books, Fault, MemoryLedger, Page, title};

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

impl MemoryLedger {
    fn record_of(&self, campaign: &CampaignId, round: &FoldedRound) -> RoundRecord {
        let left_at_close = round.left_at_close.filter(|_| !self.does(Fault::LosesLeftAtClose));
        RoundRecord { campaign: campaign.clone(), head: round.head.clone(), left_at_close }
    }

    /// Makes a title a campaign's, unless somebody has it: that one is answered.
    fn take_title(&self, books: &mut Books, campaign: &CampaignId, rules: &Rules) -> Option<CampaignId> {
        let taken = books.titles.get(&title(rules)).filter(|_| !self.does(Fault::LetsATitleBeTakenTwice)).cloned();
        if taken.is_none() {
            books.titles.insert(title(rules), campaign.clone());
        }
        taken
    }
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
        if let Some(record) = new.by.request.and_then(|request| books.requests.get(&request)) {
            let first = (record.verb == CREATE).then(|| books.campaigns[&record.campaign].campaign.clone());
            if self.does(Fault::AuditsRepeats) {
                books.audits.push(audit::of_creation(new, now).expect("rules are JSON"));
            }
            return Ok(first.map_or(CreateOutcome::RequestUsed, CreateOutcome::Repeated));
        }
        if let Some(owner) = self.take_title(&mut books, &new.id, &new.rules) {
            return Ok(CreateOutcome::TitleTaken(owner));
        }
        // From here on it must succeed.
        let NewCampaign { id, rules, state, by } = new.clone();
        let campaign = Campaign { id: id.clone(), rules, state, revision: 1, created_at: now, updated_at: now };
        let page =
            Page { campaign: campaign.clone(), epoch: 0, open: false, acknowledged: 0, fold: Fold::created(new) };
        books.campaigns.insert(id.clone(), page);
        let record = RequestRecord { campaign: id.clone(), verb: CREATE.to_owned() };
        books.requests.extend(by.request.map(|request| (request, record)));
        let id = Event::id_of_uuid(Uuid::now_v7());
        books.tell([Event { id, ..Event::new(EventKind::CampaignCreated, new.id.clone(), now) }]);
        if !self.does(Fault::KeepsNoAudit) {
            books.audits.push(audit::of_creation(new, now).expect("rules are JSON"));
        }
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
        Ok(self.books().round(id).map(|(campaign, round)| self.record_of(campaign, round)))
    }

    async fn rounds(
        &self,
        campaign: &CampaignId,
        after: Option<RoundId>,
        limit: u32,
    ) -> Result<Vec<RoundRecord>, LedgerError> {
        let books = self.books();
        let rounds = books.campaigns.get(campaign).into_iter().flat_map(|page| page.fold.rounds.values());
        let mut records: Vec<_> = rounds.map(|round| self.record_of(campaign, round)).collect();
        let spec = |record: &RoundRecord| record.head.view.spec.clone();
        records.sort_by_key(|record| Reverse((spec(record).claim.opens, spec(record).id)));
        let from = after.and_then(|id| records.iter().position(|r| spec(r).id == id)).map_or(0, |index| index + 1);
        Ok(records.into_iter().skip(from).take(limit as usize).collect())
    }

    async fn keep_title(&self, campaign: &CampaignId, rules: &Rules) -> Result<Option<CampaignId>, LedgerError> {
        let taken = self.take_title(&mut self.books(), campaign, rules);
        Ok(taken.filter(|owner| owner != campaign))
    }

    async fn give_up_titles(&self, campaign: &CampaignId) -> Result<(), LedgerError> {
        self.books().settle_titles(campaign);
        Ok(())
    }

    async fn standings(&self) -> Result<Vec<Standing>, LedgerError> {
        let books = self.books();
        let stands = |page: &&Page| page.campaign.state != CampaignState::Ended || page.fold.in_gate().next().is_some();
        Ok(books.campaigns.values().filter(stands).map(Page::standing).collect())
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
