//! Draws.

use async_trait::async_trait;
use coupon_domain::audit::{self, SET_BEACON};
use coupon_domain::checkout::Operator;
use coupon_domain::draw::Hash;
use coupon_domain::ids::{CampaignId, RoundId};
use coupon_domain::ports::{
    BeaconOutcome, Clock as _, Conclusion, DrawRecord, DrawRepository, DrawResult, DrawRoot, LedgerError, RequestRecord,
};

use super::{Fault, MemoryLedger};

#[async_trait]
impl DrawRepository for MemoryLedger {
    async fn leaves(&self, round: RoundId, from: u32, limit: u32) -> Result<Vec<Hash>, LedgerError> {
        let mut leaves = self.books().round(round).map(|(_, round)| round.leaves.clone()).unwrap_or_default();
        if self.does(Fault::ForgetsLeaves) {
            leaves.pop();
        }
        Ok(leaves.into_iter().skip(from as usize).take(limit as usize).collect())
    }

    async fn draw(&self, round: RoundId) -> Result<DrawRecord, LedgerError> {
        Ok(self.books().draws.get(&round).map(|draw| draw.record.clone()).unwrap_or_default())
    }

    async fn keep_root(&self, round: RoundId, root: &DrawRoot) -> Result<(), LedgerError> {
        self.books().draws.entry(round).or_default().record.root.get_or_insert_with(|| root.clone());
        Ok(())
    }

    async fn set_beacon(
        &self,
        campaign: &CampaignId,
        round: RoundId,
        beacon: &[u8],
        by: &Operator,
    ) -> Result<BeaconOutcome, LedgerError> {
        let mut books = self.books();
        let record = RequestRecord { campaign: campaign.clone(), verb: SET_BEACON.to_owned() };
        let before = by.request.and_then(|id| books.requests.get(&id)).cloned();
        if before.as_ref().is_some_and(|before| *before != record) {
            return Ok(BeaconOutcome::RequestUsed);
        }
        let draw = &mut books.draws.entry(round).or_default().record;
        let drawn = draw.result.is_some() && !self.does(Fault::SetsBeaconsLate);
        match &draw.beacon {
            Some(there) if there == beacon => return Ok(BeaconOutcome::Repeated),
            Some(_) => return Ok(BeaconOutcome::SetOtherwise),
            None if drawn => return Ok(BeaconOutcome::TooLate),
            // It set another round's.
            None if before.is_some() => return Ok(BeaconOutcome::RequestUsed),
            None => draw.beacon = Some(beacon.to_vec()),
        }
        books.requests.extend(by.request.map(|id| (id, record)));
        let record = audit::of_beacon(campaign, round, beacon, by, self.clock.now());
        if !self.does(Fault::KeepsNoAudit) {
            books.audits.push(record);
        }
        Ok(BeaconOutcome::Set)
    }

    async fn conclude_draw(
        &self,
        round: RoundId,
        result: &DrawResult,
        ranks: &[u32],
    ) -> Result<Conclusion, LedgerError> {
        let mut books = self.books();
        let draw = books.draws.entry(round).or_default();
        if draw.record.result.is_some() && !self.does(Fault::KeepsASecondConclusion) {
            return Ok(Conclusion::Earlier);
        }
        if draw.record.beacon != result.beacon {
            return Ok(Conclusion::OtherBeacon);
        }
        draw.record.result = Some(result.clone());
        draw.ranks = ranks.to_vec();
        Ok(Conclusion::Kept)
    }

    async fn ranks(&self, round: RoundId, from: u32, limit: u32) -> Result<Vec<u32>, LedgerError> {
        let books = self.books();
        let ranks = books.draws.get(&round).map(|draw| draw.ranks.as_slice()).unwrap_or_default();
        Ok(ranks.iter().skip(from as usize).take(limit as usize).copied().collect())
    }
}
