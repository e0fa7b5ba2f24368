//! The recorder's way into the ledger: all rows of a run of journal entries and the cursor, in one transaction.

use std::collections::BTreeMap;

use async_trait::async_trait;
use coupon_domain::ids::{CampaignId, CouponId, RoundId, UserId};
use coupon_domain::model::Seat;
use coupon_domain::ports::{Event, EventKind, LedgerError, RecordError, RecordRepository, Snapshot};
use coupon_domain::position::{Chain, Position};
use coupon_domain::recording::{CouponRow, Cursor, PhaseRow, PlaceRow, Recording, RetiredRow, StateRow};
use coupon_domain::time::Timestamp;
use diesel::prelude::*;

use super::schema::{campaigns, coupons, journal_cursors, places, rounds as table};
use super::{SqliteLedger, Stamp, campaigns as campaign_rows, events, rounds, seats, value};
use crate::failed::Failed;
use crate::sqlite::to_integer;

#[async_trait]
impl RecordRepository for SqliteLedger {
    async fn cursor(&self, campaign: &CampaignId) -> Result<Cursor, LedgerError> {
        let campaign = campaign.clone();
        Ok(self.read(move |conn| cursor(conn, &campaign)).await?)
    }

    async fn record(&self, campaign: &CampaignId, recording: &Recording) -> Result<(), RecordError> {
        let (campaign, recording) = (campaign.clone(), recording.clone());
        let recorded = self.write(move |conn, stamp| {
            let here = cursor(conn, &campaign)?;
            if (here.position, here.chain) != (recording.from.position, recording.from.chain) {
                return Ok(Err(RecordError::Moved(here)));
            }
            let opened: Option<i64> = campaigns::table
                .find(campaign.as_str())
                .filter(campaigns::open)
                .select(campaigns::epoch)
                .get_result(conn)
                .optional()?;
            if let Some(epoch) = opened.filter(|epoch| to_integer(recording.epoch) < *epoch) {
                return Ok(Err(RecordError::Fork(format!("the campaign was opened in epoch {epoch}"))));
            }
            write(conn, stamp, &campaign, &recording).map(Ok)
        });
        recorded.await?
    }

    async fn snapshot(&self, campaign: &CampaignId) -> Result<Snapshot, LedgerError> {
        let campaign = campaign.clone();
        Ok(self.read_at_one_instant(move |conn| rounds::snapshot(conn, &campaign)).await?)
    }

    async fn seats(
        &self,
        round: RoundId,
        after: Option<&UserId>,
        limit: u32,
    ) -> Result<Vec<(UserId, Seat)>, LedgerError> {
        let after = after.cloned();
        Ok(self.read_at_one_instant(move |conn| seats::of_round(conn, round, after.as_ref(), limit)).await?)
    }

    async fn coupon_counts(
        &self,
        campaign: &CampaignId,
        after: Option<&UserId>,
        limit: u32,
    ) -> Result<Vec<(UserId, u32)>, LedgerError> {
        let (campaign, after) = (campaign.clone(), after.cloned());
        Ok(self.read(move |conn| seats::coupon_counts(conn, &campaign, after.as_ref(), limit)).await?)
    }

    async fn seat(&self, round: RoundId, user: &UserId) -> Result<Seat, LedgerError> {
        let user = user.clone();
        Ok(self.read_at_one_instant(move |conn| seats::of_user(conn, round, &user)).await?)
    }

    async fn events(&self, after: i64, limit: u32) -> Result<Vec<(i64, Event)>, LedgerError> {
        Ok(self.read(move |conn| events::behind(conn, after, limit)).await?)
    }
}

/// How far the ledger has come; at the beginning, for a campaign it does not know.
pub(super) fn cursor(conn: &mut SqliteConnection, campaign: &CampaignId) -> Result<Cursor, Failed> {
    let line: Option<(i64, i64, String, Option<i64>)> = journal_cursors::table
        .find(campaign.as_str())
        .select((journal_cursors::epoch, journal_cursors::n, journal_cursors::chain, journal_cursors::last_at))
        .get_result(conn)
        .optional()?;
    let Some((epoch, n, chain, last_at)) = line else { return Ok(Cursor::default()) };
    Ok(Cursor {
        position: Position { epoch: value::count(epoch, "a cursor's epoch")?, n: value::count(n, "a cursor's n")? },
        chain: value::expect(Chain::parse(&chain), "a cursor's chain")?,
        last_at: last_at.map(Timestamp::from_micros),
    })
}

fn write(
    conn: &mut SqliteConnection,
    stamp: &Stamp<'_>,
    campaign: &CampaignId,
    recording: &Recording,
) -> Result<(), Failed> {
    recording.rounds.iter().try_for_each(|row| rounds::insert(conn, campaign, row))?;
    recording.places.iter().try_for_each(|row| insert_place(conn, row))?;
    recording.coupons.iter().try_for_each(|row| insert_coupon(conn, campaign, row))?;
    for (round, progress) in progress_of(recording) {
        add_progress(conn, campaign, round, progress)?;
    }
    recording.phases.iter().try_for_each(|row| set_phase(conn, campaign, row))?;
    recording.states.iter().try_for_each(|row| set_state(conn, stamp, campaign, row))?;
    recording.retired.iter().try_for_each(|row| retire(conn, campaign, row))?;
    events_of(campaign, recording).iter().try_for_each(|event| events::append(conn, event))?;
    move_cursor(conn, campaign, &recording.to)
}

fn insert_place(conn: &mut SqliteConnection, row: &PlaceRow) -> QueryResult<()> {
    diesel::insert_into(places::table)
        .values((
            places::round_no.eq(value::number(row.round)),
            places::ticket.eq(i64::from(row.ticket)),
            places::user_id.eq(row.user.as_str()),
            places::reserved_at.eq(row.reserved_at.micros()),
            places::n.eq(to_integer(row.n)),
        ))
        .execute(conn)?;
    Ok(())
}

fn insert_coupon(conn: &mut SqliteConnection, campaign: &CampaignId, row: &CouponRow) -> QueryResult<()> {
    diesel::insert_into(coupons::table)
        .values((
            coupons::round_no.eq(value::number(row.round)),
            coupons::serial.eq(i64::from(row.serial)),
            coupons::campaign_id.eq(campaign.as_str()),
            coupons::user_id.eq(row.user.as_str()),
            coupons::claimed_at.eq(row.claimed_at.micros()),
            coupons::expires_at.eq(row.expires_at.micros()),
            coupons::n.eq(to_integer(row.n)),
        ))
        .execute(conn)?;
    Ok(())
}

/// What a recording adds to a round's counts.
#[derive(Default)]
struct Progress {
    places: i64,
    issued: i64,
    last_n: u64,
}

fn progress_of(recording: &Recording) -> BTreeMap<RoundId, Progress> {
    let mut of: BTreeMap<RoundId, Progress> = BTreeMap::new();
    for row in &recording.places {
        let progress = of.entry(row.round).or_default();
        progress.places += 1;
        progress.last_n = progress.last_n.max(row.n);
    }
    for row in &recording.coupons {
        let progress = of.entry(row.round).or_default();
        progress.issued += 1;
        progress.last_n = progress.last_n.max(row.n);
    }
    for row in &recording.phases {
        let progress = of.entry(row.round).or_default();
        progress.last_n = progress.last_n.max(row.n);
    }
    of
}

fn add_progress(
    conn: &mut SqliteConnection,
    campaign: &CampaignId,
    round: RoundId,
    progress: Progress,
) -> Result<(), Failed> {
    let of_campaign = table::table.find(value::number(round)).filter(table::campaign_id.eq(campaign.as_str()));
    let changed = diesel::update(of_campaign)
        .set((
            table::places.eq(table::places + progress.places),
            table::issued.eq(table::issued + progress.issued),
            table::last_n.eq(to_integer(progress.last_n)),
        ))
        .execute(conn)?;
    expect_one(changed, round)
}

fn set_phase(conn: &mut SqliteConnection, campaign: &CampaignId, row: &PhaseRow) -> Result<(), Failed> {
    let of_campaign = table::table.find(value::number(row.round)).filter(table::campaign_id.eq(campaign.as_str()));
    let changed = diesel::update(of_campaign)
        .set((table::phase.eq(row.phase.as_str()), table::supply.eq(row.supply.map(i64::from))))
        .execute(conn)?;
    expect_one(changed, row.round)
}

fn retire(conn: &mut SqliteConnection, campaign: &CampaignId, row: &RetiredRow) -> Result<(), Failed> {
    let of_campaign = table::table.find(value::number(row.round)).filter(table::campaign_id.eq(campaign.as_str()));
    let changed = if row.used {
        diesel::update(of_campaign).set(table::retired.eq(true)).execute(conn)?
    } else {
        diesel::delete(of_campaign).execute(conn)?
    };
    expect_one(changed, row.round)
}

fn expect_one(changed: usize, round: RoundId) -> Result<(), Failed> {
    if changed == 1 { Ok(()) } else { Err(Failed::Missing(format!("round {round}"))) }
}

fn set_state(
    conn: &mut SqliteConnection,
    stamp: &Stamp<'_>,
    campaign: &CampaignId,
    row: &StateRow,
) -> Result<(), Failed> {
    diesel::update(campaigns::table.find(campaign.as_str()))
        .set((
            campaigns::state.eq(row.state.as_str()),
            campaigns::revision.eq(campaigns::revision + 1),
            campaigns::updated_at.eq(stamp.at.micros()),
        ))
        .execute(conn)?;
    if let Some(request) = row.request {
        campaign_rows::note_request(conn, request, campaign, &row.verb)?;
    }
    Ok(())
}

fn move_cursor(conn: &mut SqliteConnection, campaign: &CampaignId, to: &Cursor) -> Result<(), Failed> {
    let moved = diesel::update(journal_cursors::table.find(campaign.as_str()))
        .set((
            journal_cursors::epoch.eq(to_integer(to.position.epoch)),
            journal_cursors::n.eq(to_integer(to.position.n)),
            journal_cursors::chain.eq(to.chain.to_string()),
            journal_cursors::last_at.eq(to.last_at.map(Timestamp::micros)),
        ))
        .execute(conn)?;
    if moved == 1 { Ok(()) } else { Err(Failed::Missing(format!("campaign {campaign}"))) }
}

/// One event of each decision but a retirement's, in the order of the decisions.
fn events_of(campaign: &CampaignId, recording: &Recording) -> Vec<Event> {
    let event = |n: u64, kind, at| Event {
        id: Event::id_of_decision(campaign, n),
        kind,
        campaign: campaign.clone(),
        round: None,
        coupon: None,
        user: None,
        order: None,
        state: None,
        at,
    };
    let rounds = recording
        .rounds
        .iter()
        .map(|row| (row.n, Event { round: Some(row.spec.id), ..event(row.n, EventKind::RoundOpened, row.at) }));
    let places = recording.places.iter().map(|row| {
        let place = event(row.n, EventKind::PlaceReserved, row.reserved_at);
        (row.n, Event { round: Some(row.round), user: Some(row.user.clone()), ..place })
    });
    let coupons = recording.coupons.iter().map(|row| {
        let issued = event(row.n, EventKind::CouponIssued, row.claimed_at);
        let id = CouponId { round: row.round, serial: row.serial };
        (row.n, Event { round: Some(row.round), coupon: Some(id), user: Some(row.user.clone()), ..issued })
    });
    let phases = recording.phases.iter().map(|row| {
        let phase = event(row.n, EventKind::RoundPhaseChanged, row.at);
        (row.n, Event { round: Some(row.round), state: Some(row.phase.to_string()), ..phase })
    });
    let states = recording.states.iter().map(|row| {
        let state = event(row.n, EventKind::CampaignStateChanged, row.at);
        (row.n, Event { state: Some(row.state.to_string()), ..state })
    });
    let mut events: Vec<_> = rounds.chain(places).chain(coupons).chain(phases).chain(states).collect();
    events.sort_by_key(|(n, _)| *n);
    events.into_iter().map(|(_, event)| event).collect()
}
