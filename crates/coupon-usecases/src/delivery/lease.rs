//! The right to tell an outlet's events, for a while.

use std::sync::Arc;

use coupon_domain::ids::SubscriberName;
use coupon_domain::ports::{FeedRepository, LedgerError};
use tokio::time::{Instant, sleep_until, timeout_at};
use tracing::debug;
use uuid::Uuid;

use super::Pace;

/// Why a courier stops and begins anew.
#[derive(Debug)]
pub(super) enum Stop {
    /// The lease is lost, or the outlet was moved.
    Lost,
    /// The ledger did not answer.
    Ledger(LedgerError),
}

impl From<LedgerError> for Stop {
    fn from(error: LedgerError) -> Self {
        Self::Ledger(error)
    }
}

/// A lease of an outlet. By this process's own clock it ends earlier than by the ledger's.
pub(super) struct Lease {
    feed: Arc<dyn FeedRepository>,
    name: SubscriberName,
    session: Uuid,
    pace: Pace,
    /// How far the outlet is, as last written or read.
    pub(super) position: i64,
    renew_at: Instant,
    until: Instant,
}

impl Lease {
    /// The lease, unless another one has it.
    pub(super) async fn take(
        feed: Arc<dyn FeedRepository>,
        name: SubscriberName,
        session: Uuid,
        pace: Pace,
    ) -> Result<Option<Self>, LedgerError> {
        let asked = Instant::now();
        let Some(position) = feed.lease(&name, session, pace.lease).await? else { return Ok(None) };
        let mut lease = Self { feed, name, session, pace, position, renew_at: asked, until: asked };
        lease.extend(asked);
        Ok(Some(lease))
    }

    /// Renews it if it is time to. After this it runs for some time yet.
    pub(super) async fn hold(&mut self) -> Result<(), Stop> {
        if Instant::now() >= self.renew_at { self.keep().await } else { Ok(()) }
    }

    /// Waits until it is time to renew it, and does.
    ///
    /// To be dropped at any time: what a renewal that was cut short has come to is not counted upon.
    pub(super) async fn keep(&mut self) -> Result<(), Stop> {
        sleep_until(self.renew_at).await;
        loop {
            let asked = Instant::now();
            if asked >= self.until {
                return Err(Stop::Lost);
            }
            let answer = timeout_at(self.until, self.feed.lease(&self.name, self.session, self.pace.lease)).await;
            match answer {
                Ok(Ok(Some(position))) if position >= self.position => {
                    self.extend(asked);
                    return Ok(());
                }
                // Taken by another one, moved back by somebody, or not known in time.
                Ok(Ok(_)) | Err(_) => return Err(Stop::Lost),
                Ok(Err(error)) => {
                    debug!(outlet = %self.name, error = &error as &dyn std::error::Error, "the lease is not renewed yet");
                    sleep_until(self.until.min(asked + self.pace.look)).await;
                }
            }
        }
    }

    /// When it is to be renewed.
    pub(super) fn renew_at(&self) -> Instant {
        self.renew_at
    }

    /// The ledger counts from when it answered, at the earliest from when it was asked; a fifth is left for what is still under way.
    fn extend(&mut self, asked: Instant) {
        self.renew_at = asked + self.pace.lease / 3;
        self.until = asked + self.pace.lease * 4 / 5;
    }
}
