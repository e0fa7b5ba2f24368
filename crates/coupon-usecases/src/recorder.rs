//! Moves the journal into the ledger, exactly once in effect: a batch of rows and the cursor behind it in one transaction.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use coupon_domain::ids::RoundId;
use coupon_domain::journal::{Entry, Row};
use coupon_domain::ports::{JournalError, RecordError};
use coupon_domain::recording::{Cursor, NotRecordable, Recording};
use coupon_domain::round::RoundSpec;
use tokio::time::Instant;
use tracing::{debug, error, warn};

use crate::engine::{Engine, Settings};
use crate::error::Fault;
use crate::session::Session;

/// While another instance records the same campaign.
const BUSY_PAUSE: Duration = Duration::from_millis(20);
/// Looked at even if nobody here decided anything: another instance may have, and gone away.
const IDLE_LOOK: Duration = Duration::from_millis(500);
/// Decisions a second that count as a rush.
const RUSH: f64 = 2_000.0;
/// Journal entries are kept so long after the ledger has them.
const KEPT: Duration = Duration::from_secs(60);

/// Records one campaign as long as the engine runs.
pub(crate) async fn run(engine: Arc<Engine>, session: Arc<Session>) {
    loop {
        let _woken = tokio::time::timeout(IDLE_LOOK, session.decided.notified()).await;
        gather(&engine.settings, || session.seen().n, || session.lag()).await;
        // What other instances decided is seen by the scheduler's tick. While a gate is being recovered, each gives what it was told.
        if session.lag() == 0 || session.is_recording_halted() {
            continue;
        }
        if let Err(fault) = engine.drain(&session).await {
            warn!(campaign = %session.id, %fault, lag = session.lag(), "not recorded yet");
            tokio::time::sleep(IDLE_LOOK).await;
        }
        metrics::gauge!("coupon_recorder_lag_decisions").set(session.lag() as f64);
    }
}

/// Decisions gather: one transaction for many. While they pour in they gather on, since the machine is theirs then; but no further than a
/// caller can wait for who needs the last one recorded. `seen` tells how many decisions there are, `lag` how many wait.
async fn gather(settings: &Settings, seen: impl Fn() -> u64, lag: impl Fn() -> u64) {
    let began = Instant::now();
    loop {
        let before = seen();
        tokio::time::sleep(settings.recorder_pause).await;
        let poured = seen().saturating_sub(before) as f64;
        let calm = poured < RUSH * settings.recorder_pause.as_secs_f64();
        if calm || lag() >= settings.recorder_lag || began.elapsed() >= settings.recorder_delay {
            return;
        }
    }
}

impl Engine {
    /// Waits until the ledger has the campaign's decision `n`.
    pub(crate) async fn recorded(self: &Arc<Self>, session: &Arc<Session>, n: u64) -> Result<(), Fault> {
        if session.cursor().position.n >= n {
            return Ok(());
        }
        let cursor = self.drain_detached(session).await?;
        if cursor.position.n >= n {
            Ok(())
        } else {
            Err(Fault::unavailable("the journal does not have the decision yet"))
        }
    }

    /// Brings into the ledger what the gate has decided by now; if the gate cannot be asked, what this instance has seen.
    pub(crate) async fn catch_up_with_gate(self: &Arc<Self>, session: &Arc<Session>) -> Result<(), Fault> {
        match self.tick(session).await {
            Ok(decided) => self.recorded(session, decided.position.n).await,
            Err(fault) => {
                debug!(campaign = %session.id, %fault, "the gate cannot be asked; what is known is recorded");
                self.drain_detached(session).await.map(drop)
            }
        }
    }

    /// A caller who leaves must not cut a transaction short.
    pub(crate) async fn drain_detached(self: &Arc<Self>, session: &Arc<Session>) -> Result<Cursor, Fault> {
        let (engine, session) = (Arc::clone(self), Arc::clone(session));
        tokio::spawn(async move { engine.drain(&session).await }).await.map_err(Fault::internal)?
    }

    /// Records what this instance has seen by now. While claims pour in there is always more; that is for the next time.
    pub(crate) async fn drain(&self, session: &Session) -> Result<Cursor, Fault> {
        let goal = session.seen().n;
        self.drain_to(session, goal).await
    }

    /// Records until the ledger has the decision `goal`, or the journal has nothing more. Answers where the ledger is then.
    pub(crate) async fn drain_to(&self, session: &Session, goal: u64) -> Result<Cursor, Fault> {
        let _one = session.recording.lock().await;
        let mut cursor = self.stores.records.cursor(&session.id).await?;
        session.recorded(cursor);
        loop {
            if cursor.position.n >= goal {
                return Ok(cursor);
            }
            let entries = self.entries_behind(session, cursor).await?;
            if entries.is_empty() {
                return Ok(cursor);
            }
            let recording = self.read(session, cursor, &entries).await?;
            cursor = match self.stores.records.record(&session.id, &recording).await {
                Ok(()) => {
                    self.bell.ring();
                    recording.to
                }
                Err(RecordError::Moved(cursor)) => cursor,
                Err(RecordError::Busy) => {
                    tokio::time::sleep(BUSY_PAUSE).await;
                    self.stores.records.cursor(&session.id).await?
                }
                Err(error @ RecordError::Fork(_)) => return Err(halt(session, &error)),
                Err(RecordError::Ledger(error)) => return Err(error.into()),
            };
            session.recorded(cursor);
        }
    }

    /// The next entries from the journal; where it has lost them, from what this instance was told.
    async fn entries_behind(&self, session: &Session, cursor: Cursor) -> Result<Vec<Entry>, Fault> {
        let n = cursor.position.n;
        let journal = self.stores.journal.read(&session.id, n, self.settings.recorder_chunk).await;
        match journal {
            Ok(entries) if entries.first().is_some_and(|entry| entry.first == n + 1) => Ok(entries),
            Ok(entries) => {
                let tail = session.tail_after(n, self.settings.recorder_chunk);
                // Entries that nobody can connect to the ledger are a gap; recording says so.
                Ok(if tail.is_empty() { entries } else { tail })
            }
            Err(JournalError::Unavailable(error)) => {
                let tail = session.tail_after(n, self.settings.recorder_chunk);
                if tail.is_empty() { Err(JournalError::Unavailable(error).into()) } else { Ok(tail) }
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn read(&self, session: &Session, cursor: Cursor, entries: &[Entry]) -> Result<Recording, Fault> {
        let known = session.rounds().specs.iter().map(|spec| (spec.id, RoundSpec::clone(spec))).collect();
        let recording = match Recording::of(cursor, entries, &known, &self.keys) {
            Err(NotRecordable::UnknownRound(_)) => {
                Recording::of(cursor, entries, &self.rounds_in(entries).await?, &self.keys)
            }
            other => other,
        };
        recording.map_err(|error| halt(session, &error))
    }

    async fn rounds_in(&self, entries: &[Entry]) -> Result<HashMap<RoundId, RoundSpec>, Fault> {
        let mut rounds = HashMap::new();
        for id in rounds_with_users(entries) {
            if let Some(record) = self.stores.campaigns.round(id).await? {
                rounds.insert(id, record.head.view.spec);
            }
        }
        Ok(rounds)
    }

    /// Forgets journal entries that the ledger has had for a while.
    pub(crate) async fn trim(&self, session: &Session) -> Result<(), Fault> {
        let Cursor { position, last_at: Some(last_at), .. } = session.cursor() else { return Ok(()) };
        Ok(self.stores.journal.trim(&session.id, position.n, last_at.minus(KEPT)).await?)
    }
}

fn rounds_with_users(entries: &[Entry]) -> HashSet<RoundId> {
    let rows = entries.iter().filter_map(|entry| entry.parse().ok()).flatten();
    let round = |row| match row {
        Row::Places { round, .. } | Row::Coupons { round, .. } => Some(round),
        Row::Phase { .. }
        | Row::Drawn { .. }
        | Row::Supply { .. }
        | Row::Total { .. }
        | Row::Rules { .. }
        | Row::State { .. }
        | Row::Round(_)
        | Row::Retired { .. }
        | Row::Lost { .. } => None,
    };
    rows.filter_map(round).collect()
}

/// Recording stops until a person has looked; claims go on and nothing is trimmed.
fn halt(session: &Session, error: &dyn std::error::Error) -> Fault {
    if session.halt_recording() {
        metrics::counter!("coupon_recorder_halts_total").increment(1);
        error!(campaign = %session.id, %error, "the journal cannot be recorded; an operator has to look");
    }
    Fault::Halted
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How long decisions gather that come at this rate.
    async fn gathered(per_second: f64) -> Duration {
        let began = Instant::now();
        let decided = || (began.elapsed().as_secs_f64() * per_second) as u64;
        gather(&Settings::default(), decided, decided).await;
        began.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_few_decisions_are_recorded_at_once() {
        assert_eq!(gathered(0.0).await, Settings::default().recorder_pause);
        assert_eq!(gathered(RUSH / 2.0).await, Settings::default().recorder_pause);
    }

    #[tokio::test(start_paused = true)]
    async fn a_rush_is_recorded_when_it_has_gone_on_for_so_long_or_so_many_wait() {
        let Settings { recorder_delay, recorder_lag, .. } = Settings::default();
        let delay = gathered(2.0 * RUSH).await;
        assert!((recorder_delay..recorder_delay * 2).contains(&delay), "{delay:?}");
        let lag = gathered(recorder_lag as f64).await;
        assert!((Duration::from_secs(1)..Duration::from_secs(2)).contains(&lag), "{lag:?}");
    }
}
