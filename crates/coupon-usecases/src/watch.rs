//! Watching a round: its latest state, at most ten times a second.

use std::sync::Arc;
use std::time::Duration;

use coupon_domain::ids::{CampaignId, RoundId};
use coupon_domain::model::{CampaignView, Decided, RoundView};
use coupon_domain::position::Position;
use coupon_domain::round::Phase;
use tokio::sync::watch::Receiver;
use tokio::time::Instant;

use crate::engine::Engine;
use crate::error::Fault;
use crate::rounds::RoundReport;
use crate::session::Session;

/// Between two looks at the gate while somebody watches, and between two reports.
const PACE: Duration = Duration::from_millis(100);

/// Tells how a round stands each time that has changed.
#[derive(Debug)]
pub struct RoundWatch {
    campaign: CampaignId,
    round: RoundId,
    told: Receiver<Option<Arc<Decided<CampaignView>>>>,
    /// What was reported last, or had been seen before.
    last: Option<RoundView>,
    /// Reported before the first change, if that is not known to the watcher.
    first: Option<RoundReport>,
    not_before: Instant,
    over: bool,
}

impl Engine {
    /// Watches a round; without a name the one that [`Engine::round`] tells of. A watcher that comes again names what it has seen: it is
    /// told nothing until something has changed since.
    ///
    /// # Errors
    /// [`Fault::UnknownCampaign`], [`Fault::UnknownRound`].
    pub async fn watch_round(
        self: &Arc<Self>,
        campaign: &CampaignId,
        round: Option<RoundId>,
        seen: Option<Position>,
    ) -> Result<RoundWatch, Fault> {
        let report = self.round(campaign, round).await?;
        let session = self.closed_session(campaign).await?;
        let at_gate = report.witness.is_some();
        let known = report.witness.zip(seen).is_some_and(|(witness, seen)| witness.position <= seen);
        let watch = RoundWatch {
            campaign: campaign.clone(),
            round: report.view.spec.id,
            told: session.told.subscribe(),
            last: Some(report.view.clone()),
            // What has left the gate does not change any more: it is told once.
            over: !at_gate,
            first: (!known || !at_gate).then_some(report),
            not_before: Instant::now(),
        };
        // The first of all; whoever comes while somebody watches is looked for already.
        if session.told.receiver_count() == 1 {
            self.spawn(look_for_watchers(Arc::clone(self), session));
        }
        Ok(watch)
    }
}

/// Asks the gate as long as somebody watches; what it tells goes to all of them.
async fn look_for_watchers(engine: Arc<Engine>, session: Arc<Session>) {
    while session.told.receiver_count() > 0 {
        // A gate that is being recovered is asked again.
        let _told_or_not = engine.tick(&session).await;
        tokio::time::sleep(PACE).await;
    }
}

impl RoundWatch {
    /// The next report; `None` once the round has closed or left.
    pub async fn next(&mut self) -> Option<RoundReport> {
        let report = match self.first.take() {
            Some(report) => report,
            None if self.over => return None,
            None => self.changed().await?,
        };
        self.over |= report.view.phase == Phase::Closed;
        self.last = Some(report.view.clone());
        self.not_before = Instant::now() + PACE;
        Some(report)
    }

    async fn changed(&mut self) -> Option<RoundReport> {
        loop {
            tokio::time::sleep_until(self.not_before).await;
            let told = self.told.borrow_and_update().clone();
            if let Some(decided) = told {
                let report = RoundReport::at_gate(&self.campaign, &decided, self.round)?;
                if self.last.as_ref() != Some(&report.view) {
                    return Some(report);
                }
            }
            self.told.changed().await.ok()?;
        }
    }
}
