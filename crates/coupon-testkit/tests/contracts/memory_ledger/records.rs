//! The recorder's side.

use std::collections::BTreeMap;

use async_trait::async_trait;
use coupon_domain::audit::{self, Before};
use coupon_domain::campaign::CampaignState;
use coupon_domain::ids::{CampaignId, CouponId, RoundId, UserId};
use coupon_domain::model::Seat;
use coupon_domain::notice;
use coupon_domain::ports::{Clock as _, LedgerError, RecordError, RecordRepository, RequestRecord, Snapshot};
use coupon_domain::recording::{Cursor, Operation, Recording};
use coupon_testkit::contract::fold::Fold;

use super::{Books, Fault, MemoryLedger};

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

/// Which limit a campaign would be beyond.
fn excess(fold: &Fold) -> Option<String> {
    let limit = fold.rules.total_limit.is_some_and(|limit| fold.coupons.len() > limit as usize);
    let round = fold.rounds.iter().find(|(_, round)| {
        let view = &round.head.view;
        view.supply.is_some_and(|supply| view.issued > supply)
    });
    let counts = if fold.rules.schedule.recurs() { fold.counts() } else { BTreeMap::new() };
    let user = counts.into_iter().find(|(_, count)| *count > fold.rules.coupons_per_user());
    let user = user.map(|(user, count)| format!("{count} coupons of {user}"));
    let round = round.map(|(round, _)| format!("more coupons of {round} than there are"));
    limit.then(|| "more coupons than the total limit".to_owned()).or(round).or(user)
}

#[async_trait]
impl RecordRepository for MemoryLedger {
    async fn cursor(&self, campaign: &CampaignId) -> Result<Cursor, LedgerError> {
        Ok(self.books().campaigns.get(campaign).map(|page| page.fold.cursor).unwrap_or_default())
    }

    async fn record(&self, campaign: &CampaignId, recording: &Recording) -> Result<(), RecordError> {
        let (mut books, now) = (self.books(), self.clock.now());
        let page = books.campaigns.get_mut(campaign).expect("only campaigns that are there are recorded");
        if page.fold.cursor != recording.from && !self.does(Fault::IgnoresTheCursor) {
            return Err(RecordError::Moved(page.fold.cursor));
        }
        if page.open && recording.epoch < page.epoch {
            return Err(RecordError::Fork(format!("the campaign was opened in epoch {}", page.epoch)));
        }
        if let Some(row) = fork(&page.fold, recording).filter(|_| !self.does(Fault::TakesForks)) {
            return Err(RecordError::Fork(row));
        }
        let mut fold = page.fold.clone();
        fold.apply(recording);
        if let Some(limit) = excess(&fold).filter(|_| !self.does(Fault::TakesTooManyCoupons)) {
            return Err(RecordError::Fork(limit));
        }
        let added = page.fold.rounds.iter().map(|(id, round)| (*id, round.head.view.added)).collect();
        let before = Before { state: page.fold.state, rules: page.fold.rules.clone(), added };
        // From here on it must succeed.
        let kept = &mut page.campaign;
        if kept.revision != fold.revision {
            kept.updated_at = now;
        }
        (kept.state, kept.rules, kept.revision) = (fold.state, fold.rules.clone(), fold.revision);
        page.fold = fold;
        if self.does(Fault::ForgetsUsedRounds) {
            page.fold.rounds.retain(|_, round| !round.retired);
        }
        if recording.campaign.rules.is_some() || recording.campaign.state == Some(CampaignState::Ended) {
            books.settle_titles(campaign);
        }
        for (request, verb) in recording.requests() {
            let record = RequestRecord { campaign: campaign.clone(), verb: verb.to_owned() };
            books.requests.entry(request).or_insert(record);
        }
        recording.coupons.iter().for_each(|row| books.till.add(campaign, row));
        let leads = books.campaigns[campaign].campaign.rules.notice_leads.clone();
        for row in &recording.coupons {
            let next = Some(notice::first_due(row.expires_at, &leads));
            books.notices.entry(CouponId { round: row.round, serial: row.serial }).or_default().next = next;
        }
        if leads != before.rules.notice_leads && !self.does(Fault::IgnoresNewLeads) {
            let Books { till, notices, .. } = &mut *books;
            for coupon in till.coupons.values().filter(|coupon| coupon.campaign == *campaign) {
                notices.entry(coupon.id).or_default().next = Some(notice::first_due(coupon.expires_at, &leads));
            }
        }
        let who = |operation: &Operation| books.actor(operation.request);
        let records = audit::of_operations(campaign, &recording.operations, before, who).expect("rules are JSON");
        if !self.does(Fault::KeepsNoAudit) {
            books.audits.extend(records);
        }
        for _ in 0..if self.does(Fault::TellsTwice) { 2 } else { 1 } {
            books.tell(recording.events(campaign));
        }
        for forgotten in recording.retired.iter().filter(|row| !row.used) {
            books.draws.remove(&forgotten.round);
            books.tallies.remove(&forgotten.round);
        }
        Ok(())
    }

    async fn snapshot(&self, campaign: &CampaignId) -> Result<Snapshot, LedgerError> {
        let books = self.books();
        let own = books.requests.iter().filter(|(_, record)| record.campaign == *campaign);
        let requests = own.filter(|_| !self.does(Fault::DropsRequests)).map(|(id, record)| (*id, record.verb.clone()));
        Ok(Snapshot { requests: requests.collect(), ..books.campaigns[campaign].fold.snapshot() })
    }

    async fn seats(
        &self,
        round: RoundId,
        after: Option<&UserId>,
        limit: u32,
    ) -> Result<Vec<(UserId, Seat)>, LedgerError> {
        let books = self.books();
        let mut seats: Vec<_> = books.round(round).into_iter().flat_map(|(_, round)| round.seats.clone()).collect();
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
        Ok(books.round(round).and_then(|(_, round)| round.seats.get(user)).copied().unwrap_or_default())
    }
}
