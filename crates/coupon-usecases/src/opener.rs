//! Opens a campaign's gate. Recovering a lost one is the same path, so that it is walked every day:
//! raise the epoch, wait out the fence, freeze, drain the journal, compare, reopen or load, mark open.

use std::sync::Arc;
use std::time::{Duration, Instant};

use coupon_domain::ids::{RoundId, UserId};
use coupon_domain::model::{CampaignHead, LoadChunk, RoundHead};
use coupon_domain::ports::{Frozen, GateError, MAX_BATCH, Standing};
use coupon_domain::position::Position;
use coupon_domain::recording::Cursor;
use coupon_domain::time::Timestamp;
use tracing::{error, info, warn};

use crate::engine::Engine;
use crate::error::Fault;
use crate::session::{Condition, Session};

/// Between two looks at the ledger while somebody else recovers.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// A recovery by another instance that takes longer than its fence and this is taken over.
const PATIENCE: Duration = Duration::from_secs(4);

/// Opens a campaign that this instance has not asked yet, or that was lost.
pub(crate) async fn open(engine: Arc<Engine>, session: Arc<Session>) -> Result<(), Fault> {
    let _one = session.opening.lock().await;
    if session.condition() == Condition::Open {
        return Ok(());
    }
    let mut waited = false;
    loop {
        let asked = Instant::now();
        let standing = standing(&engine, &session).await?;
        let anothers = !standing.open && standing.epoch > 0 && session.raised() != Some(standing.epoch);
        if anothers && !waited {
            wait_for_other(&engine, &session, standing.epoch).await?;
            waited = true;
            continue;
        }
        if standing.open && adopted(&engine, &session, &standing, asked).await? {
            return Ok(());
        }
        match recover(&engine, &session, standing.epoch).await? {
            Recovery::Done => return Ok(()),
            Recovery::Anothers => waited = false,
        }
    }
}

enum Recovery {
    Done,
    /// Another instance was faster; now it is its turn.
    Anothers,
}

/// Tries until the campaign is open, or a person has to look.
pub(crate) async fn reopen_until_open(engine: Arc<Engine>, session: Arc<Session>) {
    let mut pause = Duration::from_millis(50);
    loop {
        match open(Arc::clone(&engine), Arc::clone(&session)).await {
            Ok(()) => return,
            Err(Fault::Halted) => return session.set_condition(Condition::Halted),
            Err(fault) => {
                warn!(campaign = %session.id, error = %chain(&fault), "not recovered yet");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(2));
            }
        }
    }
}

async fn standing(engine: &Engine, session: &Session) -> Result<Standing, Fault> {
    let standing = engine.stores.campaigns.standing(&session.id).await?;
    standing.ok_or_else(|| Fault::UnknownCampaign(session.id.clone()))
}

/// Whether the gate answers in the epoch that the ledger says.
async fn adopted(engine: &Engine, session: &Session, standing: &Standing, asked: Instant) -> Result<bool, Fault> {
    session.adopt(standing, asked);
    session.recorded(standing.cursor);
    match engine.stores.gate.tick(&session.id, session.seen()).await {
        Ok(decided) => {
            session.observe(&decided);
            session.set_rounds(&decided.answers);
            session.set_condition(Condition::Open);
            Ok(true)
        }
        Err(GateError::NotLoaded | GateError::Stale(_) | GateError::Recovering | GateError::Fenced(_)) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Somebody else may be at it: gives them the time that it takes, and this instance's part of the journal.
async fn wait_for_other(engine: &Engine, session: &Session, mut epoch: u64) -> Result<(), Fault> {
    let Some(fence) = engine.settings.fence else { return Ok(()) };
    let mut since = Instant::now();
    while since.elapsed() < fence.wait + PATIENCE {
        give_tail(engine, session).await?;
        tokio::time::sleep(LOOK_AGAIN).await;
        let standing = standing(engine, session).await?;
        if standing.open {
            break;
        }
        if standing.epoch != epoch {
            (since, epoch) = (Instant::now(), standing.epoch);
        }
    }
    Ok(())
}

/// Records what this instance was told by a gate that may have lost it. Others do the same, in any order that fits.
async fn give_tail(engine: &Engine, session: &Session) -> Result<(), Fault> {
    if session.lag() == 0 { Ok(()) } else { engine.drain(session).await.map(drop) }
}

async fn recover(engine: &Engine, session: &Session, from: u64) -> Result<Recovery, Fault> {
    let started = Instant::now();
    // A store that is away is no reason to raise epochs.
    engine.stores.gate.check().await?;
    let raised = engine.stores.campaigns.raise_epoch(&session.id, from).await?;
    let Some(epoch) = raised else { return Ok(Recovery::Anothers) };
    session.set_raised(epoch);
    // No instance can hold an older epoch of a campaign that was never opened.
    if let Some(fence) = engine.settings.fence.filter(|_| from > 0) {
        while started.elapsed() < fence.wait {
            give_tail(engine, session).await?;
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
    let frozen = engine.stores.gate.freeze(&session.id, epoch).await?;
    let cursor = engine.drain(session).await?;
    match compare(frozen, cursor) {
        Comparison::Equal => engine.stores.gate.reopen(&session.id, epoch).await?,
        Comparison::Behind => {
            refuse_loss(session, cursor)?;
            load(engine, session, epoch).await?;
        }
        Comparison::Fork => {
            error!(campaign = %session.id, ?frozen, cursor = %cursor.position, "gate and ledger have different histories");
            session.set_condition(Condition::Halted);
            return Err(Fault::Halted);
        }
    }
    if !engine.stores.campaigns.mark_open(&session.id, epoch).await? {
        return Ok(Recovery::Anothers);
    }
    let asked = Instant::now();
    session.reloaded(Position { epoch, n: cursor.position.n });
    let standing = standing(engine, session).await?;
    if !adopted(engine, session, &standing, asked).await? {
        return Ok(Recovery::Anothers);
    }
    metrics::counter!("coupon_recoveries_total").increment(1);
    if from > 0 {
        info!(campaign = %session.id, epoch, took = ?started.elapsed(), "recovered");
    }
    Ok(Recovery::Done)
}

/// A decision that was answered here and is in no store any more is not forgotten in silence: the campaign stays closed.
fn refuse_loss(session: &Session, cursor: Cursor) -> Result<(), Fault> {
    let seen = session.seen();
    if seen.n <= cursor.position.n {
        return Ok(());
    }
    error!(campaign = %session.id, %seen, recorded = %cursor.position, "decisions are lost that were answered; the campaign stays closed");
    metrics::counter!("coupon_lost_decisions_total").increment(seen.n - cursor.position.n);
    Err(Fault::Halted)
}

enum Comparison {
    Equal,
    Behind,
    Fork,
}

fn compare(frozen: Frozen, cursor: Cursor) -> Comparison {
    match frozen {
        Frozen::Empty => Comparison::Behind,
        Frozen::At(at, _) if at.n < cursor.position.n => Comparison::Behind,
        Frozen::At(at, chain) if at.n == cursor.position.n && chain == cursor.chain => Comparison::Equal,
        // Ahead although its journal was drained, or equal in number and different in content.
        Frozen::At(..) => Comparison::Fork,
    }
}

async fn load(engine: &Engine, session: &Session, epoch: u64) -> Result<(), Fault> {
    let snapshot = engine.stores.records.snapshot(&session.id).await?;
    let rules = &session.rules;
    let head = CampaignHead {
        position: Position { epoch, n: snapshot.cursor.position.n },
        last_at: snapshot.cursor.last_at.unwrap_or(Timestamp::EPOCH),
        chain: snapshot.cursor.chain,
        state: snapshot.state,
        total_limit: rules.total_limit,
        max_per_user: rules.coupons_per_user(),
        counts_users: rules.schedule.recurs(),
        issued: snapshot.issued,
    };
    let counts_users = head.counts_users;
    let put = |chunk| engine.stores.gate.load(&session.id, epoch, chunk);
    put(LoadChunk::Head(head)).await?;
    for round in snapshot.rounds {
        let RoundHead { view, .. } = &round;
        let (id, used) = (view.spec.id, view.places > 0 || view.issued > 0);
        put(LoadChunk::Round(round)).await?;
        if used {
            load_seats(engine, session, epoch, id).await?;
        }
    }
    if counts_users {
        load_counts(engine, session, epoch).await?;
    }
    put(LoadChunk::Open).await?;
    Ok(())
}

const PAGE: u32 = MAX_BATCH as u32;

async fn load_seats(engine: &Engine, session: &Session, epoch: u64, round: RoundId) -> Result<(), Fault> {
    let mut after: Option<UserId> = None;
    loop {
        let seats = engine.stores.records.seats(round, after.as_ref(), PAGE).await?;
        let Some((last, _)) = seats.last() else { return Ok(()) };
        after = Some(last.clone());
        engine.stores.gate.load(&session.id, epoch, LoadChunk::Seats(round, seats)).await?;
    }
}

async fn load_counts(engine: &Engine, session: &Session, epoch: u64) -> Result<(), Fault> {
    let mut after: Option<UserId> = None;
    loop {
        let counts = engine.stores.records.coupon_counts(&session.id, after.as_ref(), PAGE).await?;
        let Some((last, _)) = counts.last() else { return Ok(()) };
        after = Some(last.clone());
        engine.stores.gate.load(&session.id, epoch, LoadChunk::Counts(counts)).await?;
    }
}

/// An error with its causes, for the log.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
