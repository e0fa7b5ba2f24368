//! Campaigns.

use async_trait::async_trait;
use coupon_domain::audit::{self, CREATE};
use coupon_domain::campaign::{Campaign, CampaignState, Rules};
use coupon_domain::ids::{CampaignId, RoundId};
use coupon_domain::ports::{
    CampaignRepository, CreateOutcome, Event, EventKind, LedgerError, NewCampaign, RequestRecord, RoundRecord, Standing,
};
use coupon_domain::position::Chain;
use coupon_domain::recording::{CampaignChange, Recording};
use coupon_domain::time::Timestamp;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use uuid::Uuid;

use super::schema::{campaigns, journal_cursors};
use super::titles::{self, Title};
use super::{SqliteLedger, Stamp, audit as audits, events, installation, notices, requests, rounds, standings, value};
use crate::failed::Failed;
use crate::sqlite::to_integer;

#[async_trait]
impl CampaignRepository for SqliteLedger {
    async fn installation(&self) -> Result<Uuid, LedgerError> {
        Ok(self.read(installation::id).await?)
    }

    async fn master_key(&self, key_id: u8, check: &str) -> Result<String, LedgerError> {
        let check = check.to_owned();
        Ok(self.write(move |conn, _| installation::remember_key(conn, key_id, &check)).await?)
    }

    async fn now(&self) -> Result<Timestamp, LedgerError> {
        Ok(self.clock.now())
    }

    async fn create(&self, new: &NewCampaign) -> Result<CreateOutcome, LedgerError> {
        let new = new.clone();
        Ok(self.write(move |conn, stamp| create(conn, stamp, new)).await?)
    }

    async fn campaign(&self, id: &CampaignId) -> Result<Option<Campaign>, LedgerError> {
        let id = id.clone();
        Ok(self.read(move |conn| find(conn, &id)).await?)
    }

    async fn campaigns(
        &self,
        state: Option<CampaignState>,
        after: Option<&CampaignId>,
        limit: u32,
    ) -> Result<Vec<Campaign>, LedgerError> {
        let after = after.cloned();
        Ok(self.read_at_one_instant(move |conn| list(conn, state, after.as_ref(), limit)).await?)
    }

    async fn request(&self, id: Uuid) -> Result<Option<RequestRecord>, LedgerError> {
        Ok(self.read(move |conn| requests::find(conn, id)).await?)
    }

    async fn new_round_ids(&self, count: u32) -> Result<Vec<RoundId>, LedgerError> {
        Ok(self.write(move |conn, _| installation::new_round_ids(conn, count)).await?)
    }

    async fn round(&self, id: RoundId) -> Result<Option<RoundRecord>, LedgerError> {
        Ok(self.read(move |conn| rounds::find(conn, id)).await?)
    }

    async fn rounds(
        &self,
        campaign: &CampaignId,
        after: Option<RoundId>,
        limit: u32,
    ) -> Result<Vec<RoundRecord>, LedgerError> {
        let campaign = campaign.clone();
        Ok(self.read_at_one_instant(move |conn| rounds::list(conn, &campaign, after, limit)).await?)
    }

    async fn keep_title(&self, campaign: &CampaignId, rules: &Rules) -> Result<Option<CampaignId>, LedgerError> {
        let (campaign, title) = (campaign.clone(), Title::of(rules)?);
        Ok(self.write(move |conn, _| titles::keep(conn, &campaign, &title)).await?)
    }

    async fn give_up_titles(&self, campaign: &CampaignId) -> Result<(), LedgerError> {
        let campaign = campaign.clone();
        Ok(self.write(move |conn, _| titles::settle(conn, &campaign)).await?)
    }

    async fn standings(&self) -> Result<Vec<Standing>, LedgerError> {
        Ok(self.read_at_one_instant(standings::all).await?)
    }

    async fn standing(&self, campaign: &CampaignId) -> Result<Option<Standing>, LedgerError> {
        let campaign = campaign.clone();
        Ok(self.read_at_one_instant(move |conn| standings::find(conn, &campaign)).await?)
    }

    async fn acknowledge(&self, campaign: &CampaignId, n: u64) -> Result<(), LedgerError> {
        let campaign = campaign.clone();
        Ok(self.write(move |conn, _| Ok(standings::acknowledge(conn, &campaign, n)?)).await?)
    }

    async fn raise_epoch(&self, campaign: &CampaignId, from: u64) -> Result<Option<u64>, LedgerError> {
        let campaign = campaign.clone();
        Ok(self.write(move |conn, _| standings::raise_epoch(conn, &campaign, from)).await?)
    }

    async fn mark_open(&self, campaign: &CampaignId, epoch: u64) -> Result<bool, LedgerError> {
        let campaign = campaign.clone();
        Ok(self.write(move |conn, _| Ok(standings::mark_open(conn, &campaign, epoch)?)).await?)
    }
}

fn create(conn: &mut SqliteConnection, stamp: &Stamp<'_>, new: NewCampaign) -> Result<CreateOutcome, Failed> {
    if let Some(first) = new.by.request.map(|id| requests::find(conn, id)).transpose()?.flatten() {
        let created = if first.verb == CREATE { find(conn, &first.campaign)? } else { None };
        return Ok(created.map_or(CreateOutcome::RequestUsed, CreateOutcome::Repeated));
    }
    let title = Title::of(&new.rules)?;
    if let Some(other) = titles::holder(conn, &title)? {
        return Ok(CreateOutcome::TitleTaken(other));
    }
    // From here on it must succeed.
    let record = value::spelled(audit::of_creation(&new, stamp.at))?;
    let campaign = Campaign {
        id: new.id,
        rules: new.rules,
        state: new.state,
        revision: 1,
        created_at: stamp.at,
        updated_at: stamp.at,
    };
    insert(conn, &campaign)?;
    titles::take(conn, &campaign.id, &title)?;
    if let Some(id) = new.by.request {
        requests::note(conn, id, &campaign.id, CREATE)?;
    }
    let id = stamp.event_id();
    let event = Event { id, ..Event::new(EventKind::CampaignCreated, campaign.id.clone(), stamp.at) };
    events::append(conn, &event)?;
    audits::append(conn, &record)?;
    Ok(CreateOutcome::Created(campaign))
}

fn insert(conn: &mut SqliteConnection, campaign: &Campaign) -> Result<(), Failed> {
    diesel::insert_into(campaigns::table)
        .values((
            campaigns::id.eq(campaign.id.as_str()),
            campaigns::rules.eq(value::to_json(&campaign.rules)?),
            campaigns::state.eq(campaign.state.as_str()),
            campaigns::created_at.eq(campaign.created_at.micros()),
            campaigns::updated_at.eq(campaign.updated_at.micros()),
        ))
        .execute(conn)?;
    diesel::insert_into(journal_cursors::table)
        .values((
            journal_cursors::campaign_id.eq(campaign.id.as_str()),
            journal_cursors::chain.eq(Chain::default().to_string()),
        ))
        .execute(conn)?;
    Ok(())
}

/// Writes what a recording does to the campaign, but for its rows; `there` is the campaign as it was. Answers with the rules as they are
/// now.
pub(super) fn change(
    conn: &mut SqliteConnection,
    stamp: &Stamp<'_>,
    there: Campaign,
    recording: &Recording,
) -> Result<Rules, Failed> {
    let CampaignChange { state, revisions, .. } = recording.campaign;
    if revisions == 0 && recording.coupons.is_empty() {
        return Ok(there.rules);
    }
    let rules = changed_rules(&there.rules, &recording.campaign);
    // The ledger's clock may have been set back meanwhile.
    let now = sql::<BigInt>("max(updated_at, ").bind::<BigInt, _>(stamp.at.micros()).sql(")");
    diesel::update(campaigns::table.find(there.id.as_str()))
        .set((
            state.map(|state| campaigns::state.eq(state.as_str())),
            rules.as_ref().map(value::to_json).transpose()?.map(|rules| campaigns::rules.eq(rules)),
            campaigns::revision.eq(campaigns::revision + i64::from(revisions)),
            campaigns::issued.eq(campaigns::issued + to_integer(recording.coupons.len() as u64)),
            (revisions > 0).then(|| campaigns::updated_at.eq(now)),
        ))
        .execute(conn)?;
    // Otherwise a title may be kept for a change that is on its way.
    if recording.campaign.rules.is_some() || state == Some(CampaignState::Ended) {
        titles::settle(conn, &there.id)?;
    }
    let Some(rules) = rules else { return Ok(there.rules) };
    if rules.notice_leads != there.rules.notice_leads {
        notices::look_anew(conn, &there.id, &rules.notice_leads, stamp.at)?;
    }
    Ok(rules)
}

/// The rules that a change leads to, if it changes them.
fn changed_rules(there: &Rules, change: &CampaignChange) -> Option<Rules> {
    let raised = || Some(Rules { total_limit: Some(change.total_limit?), ..there.clone() });
    change.rules.as_deref().cloned().or_else(raised)
}

type Columns = (
    campaigns::id,
    campaigns::rules,
    campaigns::state,
    campaigns::revision,
    campaigns::created_at,
    campaigns::updated_at,
);
const COLUMNS: Columns = (
    campaigns::id,
    campaigns::rules,
    campaigns::state,
    campaigns::revision,
    campaigns::created_at,
    campaigns::updated_at,
);

#[derive(Queryable)]
struct Line {
    id: String,
    rules: String,
    state: String,
    revision: i64,
    created_at: i64,
    updated_at: i64,
}

impl Line {
    fn campaign(self) -> Result<Campaign, Failed> {
        Ok(Campaign {
            id: value::campaign(&self.id)?,
            rules: value::expect(serde_json::from_str(&self.rules).ok(), "a campaign's rules")?,
            state: value::expect(CampaignState::from_word(&self.state), "a campaign's state")?,
            revision: value::count(self.revision, "a campaign's revision")?,
            created_at: Timestamp::from_micros(self.created_at),
            updated_at: Timestamp::from_micros(self.updated_at),
        })
    }
}

/// One campaign that must be there.
pub(super) fn expect(conn: &mut SqliteConnection, id: &CampaignId) -> Result<Campaign, Failed> {
    find(conn, id)?.ok_or_else(|| Failed::Missing(format!("campaign {id}")))
}

/// One campaign.
pub(super) fn find(conn: &mut SqliteConnection, id: &CampaignId) -> Result<Option<Campaign>, Failed> {
    let line = campaigns::table.find(id.as_str()).select(COLUMNS).get_result::<Line>(conn).optional()?;
    line.map(Line::campaign).transpose()
}

fn list(
    conn: &mut SqliteConnection,
    state: Option<CampaignState>,
    after: Option<&CampaignId>,
    limit: u32,
) -> Result<Vec<Campaign>, Failed> {
    let mut query = campaigns::table
        .select(COLUMNS)
        .order((campaigns::created_at.desc(), campaigns::id.desc()))
        .limit(i64::from(limit))
        .into_boxed();
    if let Some(state) = state {
        query = query.filter(campaigns::state.eq(state.as_str()));
    }
    if let Some(after) = after {
        let created_at = campaigns::table.find(after.as_str()).select(campaigns::created_at).get_result(conn);
        let Some(created_at): Option<i64> = created_at.optional()? else { return Ok(Vec::new()) };
        let same_instant = campaigns::created_at.eq(created_at).and(campaigns::id.lt(after.as_str()));
        query = query.filter(campaigns::created_at.lt(created_at).or(same_instant));
    }
    query.load::<Line>(conn)?.into_iter().map(Line::campaign).collect()
}
