//! Carries an outlet's events, as long as this instance has its lease.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use coupon_domain::ports::{DeliveryRepository, Event, FeedRepository, LedgerError, NotTold, Parked};
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{debug, error, info, warn};
use uuid::Uuid;

use super::Outlet;
use super::health::{Health, Verdict};
use super::lease::{Lease, Stop};
use super::load::Load;
use crate::feed::Ear;

/// While the receiver is down any of so many parked events may be the one that is tried.
const CHOICE: usize = 16;

/// See the module.
pub(super) struct Courier {
    feed: Arc<dyn FeedRepository>,
    deliveries: Arc<dyn DeliveryRepository>,
    outlet: Outlet,
    ear: Ear,
    session: Uuid,
}

impl Courier {
    pub(super) fn new(
        feed: Arc<dyn FeedRepository>,
        deliveries: Arc<dyn DeliveryRepository>,
        outlet: Outlet,
        ear: Ear,
    ) -> Self {
        Self { feed, deliveries, outlet, ear, session: Uuid::new_v4() }
    }

    /// Works for ever. To be dropped at any time: what was told and not written down is told again.
    pub(super) async fn run(mut self) {
        let pace = self.outlet.pace;
        loop {
            let pause = match self.work().await {
                // Somebody else has the lease.
                Ok(()) => pace.lease / 3,
                Err(Stop::Lost) => {
                    debug!(outlet = %self.outlet.name, "the lease is lost");
                    pace.look
                }
                Err(Stop::Ledger(error)) => {
                    self.complain(&error);
                    pace.down.after(1)
                }
            };
            // Whoever has the lease says how it stands.
            self.show("coupon_outlet_lag", 0.0);
            self.show("coupon_outlet_down", 0.0);
            sleep(pause).await;
        }
    }

    /// Until the lease is lost, or at once if another one has it.
    async fn work(&mut self) -> Result<(), Stop> {
        let (name, pace) = (self.outlet.name.clone(), self.outlet.pace);
        let Some(lease) = Lease::take(Arc::clone(&self.feed), name, self.session, pace).await? else { return Ok(()) };
        let now = Instant::now();
        let (load, health) = (Load::behind(lease.position), Health::new(pace));
        let mut shift =
            Shift { courier: self, lease, load, health, written_at: now, look_for_due_at: now, shown_at: None };
        loop {
            shift.round().await?;
        }
    }

    fn show(&self, gauge: &'static str, value: f64) {
        metrics::gauge!(gauge, "outlet" => self.outlet.name.to_string()).set(value);
    }

    fn count(&self, outcome: &'static str, events: usize) {
        let outlet = self.outlet.name.to_string();
        metrics::counter!("coupon_deliveries_total", "outlet" => outlet, "outcome" => outcome).increment(events as u64);
    }

    fn complain(&self, error: &LedgerError) {
        let (outlet, source) = (&self.outlet.name, error as &dyn std::error::Error);
        match error {
            LedgerError::Unavailable(_) | LedgerError::Unknown(_) => {
                debug!(%outlet, error = source, "the outlet waits")
            }
            LedgerError::Broken(_) => warn!(%outlet, error = source, "the outlet waits: the ledger failed"),
        }
    }
}

/// The work under one lease. With the lease goes all that was not written down.
struct Shift<'a> {
    courier: &'a mut Courier,
    lease: Lease,
    load: Load,
    health: Health,
    written_at: Instant,
    look_for_due_at: Instant,
    shown_at: Option<Instant>,
}

impl Shift<'_> {
    /// Tells one wave of events, or waits if there are none.
    async fn round(&mut self) -> Result<(), Stop> {
        let pace = self.courier.outlet.pace;
        self.courier.ear.prick();
        self.lease.hold().await?;
        self.show().await?;
        let due = self.due().await?;
        let passed = if self.load.is_empty() { self.fetch().await? } else { 0 };
        if due.is_empty() && self.load.is_empty() {
            self.write().await?;
            // Else there may be more at once.
            if passed < i64::from(pace.page) {
                self.courier.ear.hear(if passed > 0 { pace.gather } else { pace.look }, pace.gather).await;
            }
            return Ok(());
        }
        let verdict = self.tell(due).await?;
        self.write().await?;
        match verdict {
            Verdict::Up => Ok(()),
            Verdict::Down(pause) => self.pause(pause).await,
        }
    }

    async fn due(&mut self) -> Result<Vec<Parked>, Stop> {
        let now = Instant::now();
        if now < self.look_for_due_at {
            return Ok(Vec::new());
        }
        let limit = u32::try_from(self.health.width().max(CHOICE)).unwrap_or(u32::MAX);
        let due = self.courier.deliveries.due(&self.courier.outlet.name, limit).await?;
        if due.is_empty() {
            self.look_for_due_at = now + self.courier.outlet.pace.look;
        }
        Ok(due)
    }

    /// Fetches a page; answers how far it reaches.
    async fn fetch(&mut self) -> Result<i64, Stop> {
        let Outlet { name, filter, pace, .. } = &self.courier.outlet;
        let before = self.load.up_to();
        self.load.add(self.courier.feed.events(before, filter, pace.page).await?);
        if !self.load.is_empty() {
            let blocked = self.courier.deliveries.parked_keys(name, &self.load.keys()).await?;
            self.load.park_behind(&HashSet::from_iter(blocked));
        }
        Ok(self.load.up_to() - before)
    }

    async fn tell(&mut self, due: Vec<Parked>) -> Result<Verdict, Stop> {
        let was_down = self.health.is_down();
        let wave = if was_down { self.load.probe(due) } else { self.load.wave(due, self.health.width()) };
        let answers = self.publish(&wave.events).await?;
        let failed: Vec<i64> =
            wave.tags.iter().zip(&answers).filter(|(_, answer)| answer.is_err()).map(|(tag, _)| tag.position).collect();
        let taken = answers.len() - failed.len();
        self.courier.count("told", taken);
        self.courier.count("failed", failed.len());
        let verdict = self.health.note(taken, &failed);
        self.tell_of_health(was_down, &answers);
        let dead = self.load.settle(wave, answers, verdict, &self.courier.outlet.pace);
        let outlet = &self.courier.outlet.name;
        for dead in dead {
            metrics::counter!("coupon_dead_letters_total", "outlet" => outlet.to_string()).increment(1);
            error!(
                %outlet, position = dead.position, event = dead.id, kind = dead.kind.as_str(), attempts = dead.attempts,
                error = dead.error, "an event is a dead letter: the receiver did not take it"
            );
        }
        Ok(verdict)
    }

    /// Has the events told as long as the lease runs, and renews it meanwhile. If it cannot be renewed what is under way is given up.
    async fn publish(&mut self, events: &[Event]) -> Result<Vec<Result<(), NotTold>>, Stop> {
        self.lease.hold().await?;
        let publisher = Arc::clone(&self.courier.outlet.publisher);
        let mut telling = publisher.publish(events);
        let mut answers = loop {
            tokio::select! {
                biased;
                answers = &mut telling => break answers,
                kept = self.lease.keep() => kept?,
            }
        };
        answers.resize_with(events.len(), || Err(NotTold("nothing was said of it".to_owned())));
        Ok(answers)
    }

    fn tell_of_health(&self, was_down: bool, answers: &[Result<(), NotTold>]) {
        let outlet = &self.courier.outlet.name;
        match (was_down, self.health.is_down()) {
            (false, true) => {
                let why = answers.iter().find_map(|answer| answer.as_ref().err());
                warn!(%outlet, why = why.map(tracing::field::display), "the receiver takes nothing; its events wait");
            }
            (true, false) => info!(%outlet, "the receiver takes events again"),
            (true, true) | (false, false) => {}
        }
    }

    /// Writes down what was done, if it should be by now.
    async fn write(&mut self) -> Result<(), Stop> {
        let Outlet { name, pace, .. } = &self.courier.outlet;
        let moved = self.load.position() > self.lease.position && self.written_at.elapsed() >= pace.note;
        if !moved && !self.load.is_urgent() {
            return Ok(());
        }
        // A renewal that was cut short may have taken the lease back after somebody moved the outlet: the next one says so.
        self.lease.hold().await?;
        let progress = self.load.progress();
        if !self.courier.deliveries.progress(name, self.courier.session, &progress).await? {
            return Err(Stop::Lost);
        }
        self.lease.position = self.lease.position.max(progress.position.unwrap_or_default());
        self.written_at = Instant::now();
        Ok(())
    }

    /// Leaves the receiver alone for so long.
    async fn pause(&mut self, pause: Duration) -> Result<(), Stop> {
        let over = Instant::now() + pause;
        while Instant::now() < over {
            self.lease.hold().await?;
            self.show().await?;
            sleep_until(over.min(self.lease.renew_at())).await;
        }
        Ok(())
    }

    async fn show(&mut self) -> Result<(), Stop> {
        if self.shown_at.is_some_and(|at| at.elapsed() < self.courier.outlet.pace.note) {
            return Ok(());
        }
        let end = self.courier.feed.end_of_feed().await?;
        self.courier.show("coupon_outlet_lag", (end - self.load.position()).max(0) as f64);
        self.courier.show("coupon_outlet_down", if self.health.is_down() { 1.0 } else { 0.0 });
        self.shown_at = Some(Instant::now());
        Ok(())
    }
}
