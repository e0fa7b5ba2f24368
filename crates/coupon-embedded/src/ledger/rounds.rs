//! Rounds as the ledger has them.

use std::time::Duration;

use coupon_domain::ids::{CampaignId, RoundId};
use coupon_domain::journal::Spelled as _;
use coupon_domain::model::{RoundHead, RoundView};
use coupon_domain::ports::RoundRecord;
use coupon_domain::recording::{RetiredRow, RoundChange, RoundRow};
use coupon_domain::round::{Phase, RoundSpec};
use diesel::dsl::{case_when, sql};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Nullable};

use super::schema::rounds;
use super::value;
use crate::failed::Failed;
use crate::sqlite::to_integer;

/// Opens a round.
pub(super) fn insert(conn: &mut SqliteConnection, campaign: &CampaignId, row: &RoundRow) -> QueryResult<()> {
    diesel::insert_into(rounds::table)
        .values((
            rounds::no.eq(value::number(row.spec.id)),
            rounds::campaign_id.eq(campaign.as_str()),
            rounds::spec.eq(row.spec.to_json()),
            rounds::phase.eq(Phase::Planned.as_str()),
            rounds::supply.eq(row.spec.supply.known_at_start().map(i64::from)),
            rounds::last_n.eq(to_integer(row.n)),
        ))
        .execute(conn)?;
    Ok(())
}

/// Writes what becomes of a round: all at once, since its supply may become known by the recording that issues its coupons.
pub(super) fn change(
    conn: &mut SqliteConnection,
    campaign: &CampaignId,
    round: RoundId,
    change: &RoundChange,
) -> Result<(), Failed> {
    let before_close = rounds::phase.eq(Phase::Planned.as_str()).or(rounds::phase.eq(Phase::Reserving.as_str()));
    let left = change.left_at_close.map(|left| {
        let left = left.map(to_integer).into_sql::<Nullable<BigInt>>();
        rounds::left_at_close.eq(case_when(before_close, left).otherwise(rounds::left_at_close))
    });
    let changed = diesel::update(of_campaign(campaign, round))
        .set((
            change.phase.map(|phase| rounds::phase.eq(phase.as_str())),
            change.supply.map(|supply| rounds::supply.eq(supply.map(i64::from))),
            left,
            change.added.map(|added| rounds::added.eq(i64::from(added))),
            change.drawn.map(|delay| (rounds::drawn.eq(true), rounds::delay.eq(value::micros(delay)))),
            rounds::places.eq(rounds::places + i64::from(change.places)),
            rounds::issued.eq(rounds::issued + i64::from(change.issued)),
            rounds::last_n.eq(to_integer(change.last_n)),
        ))
        .execute(conn)?;
    expect_one(changed, round)
}

/// Keeps that a round has left the gate, or forgets it if nobody used it.
pub(super) fn retire(conn: &mut SqliteConnection, campaign: &CampaignId, row: &RetiredRow) -> Result<(), Failed> {
    let round = of_campaign(campaign, row.round);
    let changed = if row.used {
        diesel::update(round).set(rounds::retired.eq(true)).execute(conn)?
    } else {
        diesel::delete(round).execute(conn)?
    };
    expect_one(changed, row.round)
}

/// This round, if it is of this campaign.
#[diesel::dsl::auto_type(no_type_alias)]
fn of_campaign<'a>(campaign: &'a CampaignId, round: RoundId) -> _ {
    let (no, campaign): (i64, &'a str) = (value::number(round), campaign.as_str());
    rounds::table.find(no).filter(rounds::campaign_id.eq(campaign))
}

fn expect_one(changed: usize, round: RoundId) -> Result<(), Failed> {
    if changed == 1 { Ok(()) } else { Err(Failed::Missing(format!("round {round}"))) }
}

type Columns = (
    rounds::campaign_id,
    rounds::spec,
    rounds::phase,
    rounds::supply,
    rounds::places,
    rounds::issued,
    rounds::added,
    rounds::drawn,
    rounds::delay,
    rounds::left_at_close,
    rounds::last_n,
);
const COLUMNS: Columns = (
    rounds::campaign_id,
    rounds::spec,
    rounds::phase,
    rounds::supply,
    rounds::places,
    rounds::issued,
    rounds::added,
    rounds::drawn,
    rounds::delay,
    rounds::left_at_close,
    rounds::last_n,
);

#[derive(Queryable)]
struct Line {
    campaign_id: String,
    spec: String,
    phase: String,
    supply: Option<i64>,
    places: i64,
    issued: i64,
    added: i64,
    drawn: bool,
    delay: i64,
    left_at_close: Option<i64>,
    last_n: i64,
}

impl Line {
    fn record(self) -> Result<RoundRecord, Failed> {
        let view = RoundView {
            spec: value::expect(RoundSpec::from_json(&self.spec), "a round's spec")?,
            phase: value::expect(Phase::from_word(&self.phase), "a round's phase")?,
            supply: self.supply.map(|s| value::count(s, "a round's supply")).transpose()?,
            places: value::count(self.places, "a round's places")?,
            issued: value::count(self.issued, "a round's coupons")?,
            added: value::count(self.added, "a round's added coupons")?,
            drawn: self.drawn,
            delay: Duration::from_micros(value::count(self.delay, "a round's delay")?),
        };
        let head = RoundHead { view, last_n: value::count(self.last_n, "a round's last decision")? };
        let left = self.left_at_close.map(|left| value::count(left, "what a round was left")).transpose()?;
        Ok(RoundRecord { campaign: value::campaign(&self.campaign_id)?, head, left_at_close: left })
    }
}

/// One round, whether or not it has left the gate.
pub(super) fn find(conn: &mut SqliteConnection, id: RoundId) -> Result<Option<RoundRecord>, Failed> {
    let line = rounds::table.find(value::number(id)).select(COLUMNS).get_result::<Line>(conn).optional()?;
    line.map(Line::record).transpose()
}

/// Those of a campaign, latest start first, whether or not they have left the gate.
pub(super) fn list(
    conn: &mut SqliteConnection,
    campaign: &CampaignId,
    after: Option<RoundId>,
    limit: u32,
) -> Result<Vec<RoundRecord>, Failed> {
    let mut query = rounds::table
        .filter(rounds::campaign_id.eq(campaign.as_str()))
        .order((rounds::claim_opens_at.desc(), rounds::no.desc()))
        .limit(i64::from(limit))
        .select(COLUMNS)
        .into_boxed();
    if let Some(after) = after {
        let start = of_campaign(campaign, after).select(rounds::claim_opens_at).get_result(conn);
        let Some(start): Option<i64> = start.optional()? else { return Ok(Vec::new()) };
        let same_start = rounds::claim_opens_at.eq(start).and(rounds::no.lt(value::number(after)));
        query = query.filter(rounds::claim_opens_at.lt(start).or(same_start));
    }
    query.load::<Line>(conn)?.into_iter().map(Line::record).collect()
}

/// Those of a campaign that have not left the gate, by number.
pub(super) fn at_gate(conn: &mut SqliteConnection, campaign: &CampaignId) -> Result<Vec<RoundHead>, Failed> {
    let lines = rounds::table
        .filter(rounds::campaign_id.eq(campaign.as_str()))
        // Spelled out, so that SQLite sees that the partial index fits.
        .filter(sql::<Bool>("retired = 0"))
        .order(rounds::no)
        .select(COLUMNS)
        .load::<Line>(conn)?;
    lines.into_iter().map(|line| Ok(line.record()?.head)).collect()
}
