//! What the stores have, past the service's port.

use coupon_domain::ids::{CampaignId, RoundId, UserId};
use coupon_domain::model::{CampaignView, Decided, Seat};

use super::{Shop, eventually};

impl Shop {
    /// The campaign as its gate has it, looked at anew.
    pub(crate) async fn gate(&self, campaign: &str) -> Decided<CampaignView> {
        let stores = &self.instances[0].stores;
        let id = CampaignId::parse(campaign).expect("an id");
        let standing = stores.campaigns.standing(&id).await.expect("the ledger answers").expect("a campaign");
        stores.gate.tick(&id, standing.seen()).await.expect("the gate answers")
    }

    /// Waits until the ledger has all that the gate has decided by now.
    pub(crate) async fn ledger_caught_up(&self, campaign: &str) {
        let decided = self.gate(campaign).await.position;
        let id = CampaignId::parse(campaign).expect("an id");
        eventually(|| async {
            let cursor = self.instances[0].stores.records.cursor(&id).await.expect("the ledger answers");
            (cursor.position.n >= decided.n).then_some(())
        })
        .await;
    }

    /// Who has what in a round, in the ledger.
    pub(crate) async fn seats(&self, round: &str) -> Vec<(UserId, Seat)> {
        const PAGE: u32 = 10_000;
        let round = RoundId::parse(round).expect("an id");
        let mut seats: Vec<(UserId, Seat)> = Vec::new();
        loop {
            let after = seats.last().map(|(user, _)| user.clone());
            let page = self.instances[0].stores.records.seats(round, after.as_ref(), PAGE).await;
            let page = page.expect("the ledger answers");
            let is_last = page.len() < PAGE as usize;
            seats.extend(page);
            if is_last {
                return seats;
            }
        }
    }
}
