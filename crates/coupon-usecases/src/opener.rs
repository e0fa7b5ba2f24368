//! Opens a campaign's gate. Recovering a lost one is the same path, so that it is walked every day:
//! raise the epoch, wait out the fence, freeze, drain the journal, compare, reopen or load, mark open.

use std::sync::Arc;
use std::time::{Duration, Instant};

use coupon_domain::draw::winners_bitmap;
use coupon_domain::ids::{RoundId, UserId};
use coupon_domain::loss::Loss;
use coupon_domain::model::{CampaignHead, LoadChunk, RoundHead};
use coupon_domain::ports::{Frozen, GateError, MAX_BATCH, RecordError, Standing};
use coupon_domain::position::Position;
use coupon_domain::recording::{Cursor, Recording};
use coupon_domain::time::Timestamp;
use tracing::{error, info, warn};

use crate::engine::Engine;
use crate::error::Fault;
use crate::session::{Condition, Session};

/// Between two looks at the ledger while somebody else recovers.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// Between two tries to record a tail that other instances' entries go before.
const TURN: Duration = Duration::from_millis(3);
/// A ledger that did not move for so long has got all that any instance can give.
const STANDS_STILL: Duration = Duration::from_secs(1);
/// A recovery by another instance that takes longer than its fence and this is taken over.
const PATIENCE: Duration = Duration::from_secs(4);
const MAX_PATIENCE: Duration = Duration::from_secs(300);

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
            session.set_rounds(&decided);
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
    // A large campaign takes long to load: who takes over waits longer each time, so that somebody gets to the end.
    let mut patience = PATIENCE;
    let mut since = Instant::now();
    while since.elapsed() < fence.wait + patience {
        give_tail(engine, session, LOOK_AGAIN).await?;
        let standing = standing(engine, session).await?;
        if standing.open {
            break;
        }
        if standing.epoch != epoch {
            (since, epoch) = (Instant::now(), standing.epoch);
            patience = (patience * 2).min(MAX_PATIENCE);
        }
    }
    Ok(())
}

/// Records what this instance was told by a gate that may have lost it. Others do the same, and entries of several instances may follow
/// each other in turn, so it looks again and again until the time is over. Answers where the ledger is.
async fn give_tail(engine: &Engine, session: &Session, time: Duration) -> Result<Cursor, Fault> {
    let began = Instant::now();
    loop {
        let cursor = engine.drain_to(session, u64::MAX).await?;
        if began.elapsed() >= time {
            return Ok(cursor);
        }
        tokio::time::sleep(if session.has_tail() { TURN } else { LOOK_AGAIN.min(time) }).await;
    }
}

async fn recover(engine: &Engine, session: &Session, from: u64) -> Result<Recovery, Fault> {
    // A store that is away is no reason to raise epochs.
    engine.stores.gate.check().await?;
    let raised = engine.stores.campaigns.raise_epoch(&session.id, from).await?;
    let started = Instant::now();
    let Some(epoch) = raised else { return Ok(Recovery::Anothers) };
    session.set_raised(epoch);
    // No instance can hold an older epoch of a campaign that was never opened.
    if let Some(fence) = engine.settings.fence.filter(|_| from > 0) {
        give_tail(engine, session, fence.wait).await?;
    }
    let frozen = engine.stores.gate.freeze(&session.id, epoch).await?;
    let drained = drain_all(engine, session).await?;
    let comparison = compare(frozen, drained);
    if matches!(comparison, Comparison::Fork) {
        error!(campaign = %session.id, ?frozen, cursor = %drained.position, "gate and ledger have different histories");
        return Err(Fault::Halted);
    }
    let cursor = declare_loss(engine, session, epoch, drained).await?;
    let whole = matches!(comparison, Comparison::Equal) && cursor == drained;
    if whole {
        engine.stores.gate.reopen(&session.id, epoch).await?;
    } else {
        load(engine, session, epoch).await?;
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
    let took = started.elapsed();
    match (engine.settings.fence, whole) {
        _ if from == 0 => {}
        (None, _) => info!(campaign = %session.id, epoch, ?took, "the gate was loaded"),
        (Some(_), true) => {
            warn!(campaign = %session.id, epoch, ?took, "the gate was restarted and has lost nothing; recovered")
        }
        (Some(_), false) => {
            warn!(campaign = %session.id, epoch, ?took, decisions = cursor.position.n, "the gate had lost what it knew; loaded from the ledger");
        }
    }
    Ok(Recovery::Done)
}

/// Everything that the journal or an instance has. Instances take turns, so it goes on while the ledger moves.
async fn drain_all(engine: &Engine, session: &Session) -> Result<Cursor, Fault> {
    let mut cursor = engine.drain_to(session, u64::MAX).await?;
    let mut moved = Instant::now();
    loop {
        if cursor.position.n >= acknowledged(engine, session).await? || moved.elapsed() > STANDS_STILL {
            return Ok(cursor);
        }
        tokio::time::sleep(TURN).await;
        let next = engine.drain_to(session, u64::MAX).await?;
        if next.position.n > cursor.position.n {
            (cursor, moved) = (next, Instant::now());
        }
    }
}

/// The highest decision that this instance, or another one that told the ledger of it, knows was answered.
async fn acknowledged(engine: &Engine, session: &Session) -> Result<u64, Fault> {
    Ok(standing(engine, session).await?.acknowledged.max(session.seen().n))
}

/// What was answered and is nowhere any more is declared lost and burnt, and the campaign is paused until an operator resumes it.
async fn declare_loss(engine: &Engine, session: &Session, epoch: u64, cursor: Cursor) -> Result<Cursor, Fault> {
    let acknowledged = acknowledged(engine, session).await?;
    if acknowledged <= cursor.position.n {
        return Ok(cursor);
    }
    let snapshot = engine.stores.records.snapshot(&session.id).await?;
    let rounds: Vec<_> = snapshot.rounds.into_iter().map(|round| round.view).collect();
    let total = snapshot.rules.total_limit.map(u64::from);
    let loss = Loss {
        cursor,
        acknowledged,
        epoch,
        at: engine.stores.campaigns.now().await?,
        state: snapshot.state,
        left_in_total: total.map(|limit| limit.saturating_sub(snapshot.issued)),
        rounds: &rounds,
    };
    let Some(entry) = loss.entry() else { return Ok(cursor) };
    let first = cursor.position.n + 1;
    error!(
        campaign = %session.id, epoch, first, last = acknowledged, burnt = %entry.rows,
        "decisions were answered and are lost; as many are burnt, and the campaign is paused until an operator resumes it"
    );
    metrics::counter!("coupon_lost_decisions_total").increment(loss.count());
    let known = rounds.iter().map(|round| (round.spec.id, round.spec.clone())).collect();
    let recording = Recording::of(cursor, &[entry], &known, &engine.keys).map_err(Fault::internal)?;
    match engine.stores.records.record(&session.id, &recording).await {
        Ok(()) => Ok(recording.to),
        Err(RecordError::Ledger(error)) => Err(error.into()),
        Err(error @ (RecordError::Busy | RecordError::Moved(_) | RecordError::Fork(_))) => {
            Err(Fault::unavailable(error))
        }
    }
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
    let rules = snapshot.rules;
    session.set_terms(rules.clone(), snapshot.revision);
    let head = CampaignHead {
        position: Position { epoch, n: snapshot.cursor.position.n },
        last_at: snapshot.cursor.last_at.unwrap_or(Timestamp::EPOCH),
        chain: snapshot.cursor.chain,
        state: snapshot.state,
        revision: snapshot.revision,
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
        let winners = view.drawn.then_some(view.supply.unwrap_or(0));
        put(LoadChunk::Round(round)).await?;
        if used {
            load_seats(engine, session, epoch, id).await?;
        }
        if let Some(winners) = winners {
            load_winners(engine, session, epoch, id, winners).await?;
        }
    }
    for some in snapshot.requests.chunks(MAX_BATCH) {
        put(LoadChunk::Requests(some.to_vec())).await?;
    }
    if counts_users {
        load_counts(engine, session, epoch).await?;
    }
    put(LoadChunk::Open).await?;
    Ok(())
}

const PAGE: u32 = MAX_BATCH as u32;
/// Ranks read at once: a multiple of eight, since they become bits.
const RANKS: u32 = 400_000;

async fn load_seats(engine: &Engine, session: &Session, epoch: u64, round: RoundId) -> Result<(), Fault> {
    let mut after: Option<UserId> = None;
    loop {
        let seats = engine.stores.records.seats(round, after.as_ref(), PAGE).await?;
        let Some((last, _)) = seats.last() else { return Ok(()) };
        after = Some(last.clone());
        engine.stores.gate.load(&session.id, epoch, LoadChunk::Seats(round, seats)).await?;
    }
}

/// Who won follows from the ranks.
async fn load_winners(
    engine: &Engine,
    session: &Session,
    epoch: u64,
    round: RoundId,
    winners: u32,
) -> Result<(), Fault> {
    let mut from = 0;
    loop {
        let ranks = engine.stores.draws.ranks(round, from, RANKS).await?;
        if ranks.is_empty() {
            return Ok(());
        }
        let chunk = LoadChunk::Winners(round, from / 8, winners_bitmap(&ranks, winners));
        engine.stores.gate.load(&session.id, epoch, chunk).await?;
        from += RANKS;
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
