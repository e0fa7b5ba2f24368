//! Rounds as the ledger has them.

use coupon_domain::campaign::CampaignState;
use coupon_domain::ids::{CampaignId, RoundId};
use coupon_domain::model::{RoundHead, RoundView};
use coupon_domain::ports::{RoundRecord, Snapshot};
use coupon_domain::recording::RoundRow;
use coupon_domain::round::{Phase, RoundSpec};
use diesel::prelude::*;

use super::schema::{campaigns, rounds};
use super::{record, value};
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

type Columns =
    (rounds::campaign_id, rounds::spec, rounds::phase, rounds::supply, rounds::places, rounds::issued, rounds::last_n);
const COLUMNS: Columns =
    (rounds::campaign_id, rounds::spec, rounds::phase, rounds::supply, rounds::places, rounds::issued, rounds::last_n);

#[derive(Queryable)]
struct Line {
    campaign_id: String,
    spec: String,
    phase: String,
    supply: Option<i64>,
    places: i64,
    issued: i64,
    last_n: i64,
}

impl Line {
    fn record(self) -> Result<RoundRecord, Failed> {
        let view = RoundView {
            spec: spec(&self.spec)?,
            phase: value::expect(Phase::from_word(&self.phase), "a round's phase")?,
            supply: self.supply.map(|s| value::count(s, "a round's supply")).transpose()?,
            places: value::count(self.places, "a round's places")?,
            issued: value::count(self.issued, "a round's coupons")?,
        };
        let head = RoundHead { view, last_n: value::count(self.last_n, "a round's last decision")? };
        Ok(RoundRecord { campaign: value::campaign(&self.campaign_id)?, head })
    }
}

fn spec(json: &str) -> Result<RoundSpec, Failed> {
    value::expect(RoundSpec::from_json(json), "a round's spec")
}

/// One round, whether or not it has left the gate.
pub(super) fn find(conn: &mut SqliteConnection, id: RoundId) -> Result<Option<RoundRecord>, Failed> {
    let line = rounds::table.find(value::number(id)).select(COLUMNS).get_result::<Line>(conn).optional()?;
    line.map(Line::record).transpose()
}

/// The latest ones of a campaign, by their start, whether or not they have left the gate.
pub(super) fn latest(conn: &mut SqliteConnection, campaign: &CampaignId, limit: u32) -> Result<Vec<RoundSpec>, Failed> {
    let specs: Vec<String> = rounds::table
        .filter(rounds::campaign_id.eq(campaign.as_str()))
        .order((rounds::claim_opens_at.desc(), rounds::no.desc()))
        .limit(i64::from(limit))
        .select(rounds::spec)
        .load(conn)?;
    specs.iter().map(|json| spec(json)).collect()
}

/// What a gate is loaded from.
pub(super) fn snapshot(conn: &mut SqliteConnection, campaign: &CampaignId) -> Result<Snapshot, Failed> {
    let state: Option<String> =
        campaigns::table.find(campaign.as_str()).select(campaigns::state).get_result(conn).optional()?;
    let state = state.ok_or_else(|| Failed::Missing(format!("campaign {campaign}")))?;
    let of_campaign = rounds::table.filter(rounds::campaign_id.eq(campaign.as_str()));
    let issued: Vec<i64> = of_campaign.select(rounds::issued).load(conn)?;
    let here = of_campaign.filter(rounds::retired.eq(false)).order(rounds::no).select(COLUMNS).load::<Line>(conn)?;
    Ok(Snapshot {
        cursor: record::cursor(conn, campaign)?,
        state: value::expect(CampaignState::from_word(&state), "a campaign's state")?,
        issued: value::count(issued.iter().sum(), "a campaign's coupons")?,
        rounds: here.into_iter().map(|line| Ok(line.record()?.head)).collect::<Result<_, Failed>>()?,
    })
}
