//! Campaigns, requests and epochs.

use async_trait::async_trait;
use coupon_domain::campaign::{Campaign, CampaignState};
use coupon_domain::ids::{CampaignId, RoundId};
use coupon_domain::ports::{
    CampaignRepository, CreateOutcome, Event, EventKind, LedgerError, NewCampaign, RequestRecord, RoundRecord, Standing,
};
use coupon_domain::position::Chain;
use coupon_domain::round::RoundSpec;
use coupon_domain::time::Timestamp;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Bool;
use uuid::Uuid;

use super::schema::{campaigns, installation, journal_cursors, master_keys, requests};
use super::{SqliteLedger, Stamp, events, record, rounds, value};
use crate::failed::Failed;
use crate::sqlite::to_integer;

/// The verb of the request that created a campaign.
const CREATE: &str = "CREATE";

/// The installation's row, once.
pub(super) fn make_installation(conn: &mut SqliteConnection) -> QueryResult<()> {
    diesel::insert_or_ignore_into(installation::table)
        .values((installation::one.eq(1), installation::id.eq(Uuid::new_v4().to_string())))
        .execute(conn)?;
    Ok(())
}

fn remember_key(conn: &mut SqliteConnection, key_id: u8, check: &str) -> Result<String, Failed> {
    let id = i64::from(key_id);
    diesel::insert_or_ignore_into(master_keys::table)
        .values((master_keys::id.eq(id), master_keys::check_value.eq(check)))
        .execute(conn)?;
    Ok(master_keys::table.find(id).select(master_keys::check_value).get_result(conn)?)
}

#[async_trait]
impl CampaignRepository for SqliteLedger {
    async fn installation(&self) -> Result<Uuid, LedgerError> {
        let id = self.read(|conn| {
            let id: String = installation::table.select(installation::id).get_result(conn)?;
            value::expect(id.parse().ok(), "the installation's id")
        });
        Ok(id.await?)
    }

    async fn master_key(&self, key_id: u8, check: &str) -> Result<String, LedgerError> {
        let check = check.to_owned();
        Ok(self.write(move |conn, _| remember_key(conn, key_id, &check)).await?)
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
        Ok(self.read(move |conn| request(conn, id)).await?)
    }

    async fn new_round_ids(&self, count: u32) -> Result<Vec<RoundId>, LedgerError> {
        Ok(self.write(move |conn, _| new_round_ids(conn, count)).await?)
    }

    async fn round(&self, id: RoundId) -> Result<Option<RoundRecord>, LedgerError> {
        Ok(self.read(move |conn| rounds::find(conn, id)).await?)
    }

    async fn latest_rounds(&self, campaign: &CampaignId, limit: u32) -> Result<Vec<RoundSpec>, LedgerError> {
        let campaign = campaign.clone();
        Ok(self.read(move |conn| rounds::latest(conn, &campaign, limit)).await?)
    }

    async fn standings(&self) -> Result<Vec<Standing>, LedgerError> {
        let ids = self.read_at_one_instant(|conn| {
            let ids: Vec<String> = campaigns::table
                .filter(campaigns::state.ne(CampaignState::Ended.as_str()))
                .order(campaigns::id)
                .select(campaigns::id)
                .load(conn)?;
            ids.iter().filter_map(|id| value::campaign(id).and_then(|id| standing(conn, &id)).transpose()).collect()
        });
        Ok(ids.await?)
    }

    async fn standing(&self, campaign: &CampaignId) -> Result<Option<Standing>, LedgerError> {
        let campaign = campaign.clone();
        Ok(self.read_at_one_instant(move |conn| standing(conn, &campaign)).await?)
    }

    async fn acknowledge(&self, campaign: &CampaignId, n: u64) -> Result<(), LedgerError> {
        let campaign = campaign.clone();
        let updated = self.write(move |conn, _| {
            let below =
                journal_cursors::table.find(campaign.as_str()).filter(journal_cursors::acknowledged.lt(to_integer(n)));
            diesel::update(below).set(journal_cursors::acknowledged.eq(to_integer(n))).execute(conn)?;
            Ok(())
        });
        Ok(updated.await?)
    }

    async fn raise_epoch(&self, campaign: &CampaignId, from: u64) -> Result<Option<u64>, LedgerError> {
        let campaign = campaign.clone();
        Ok(self.write(move |conn, _| raise_epoch(conn, &campaign, from)).await?)
    }

    async fn mark_open(&self, campaign: &CampaignId, epoch: u64) -> Result<bool, LedgerError> {
        let campaign = campaign.clone();
        let marked = self.write(move |conn, _| {
            let in_epoch = campaigns::table.find(campaign.as_str()).filter(campaigns::epoch.eq(to_integer(epoch)));
            Ok(diesel::update(in_epoch).set(campaigns::open.eq(true)).execute(conn)?)
        });
        Ok(marked.await? == 1)
    }
}

fn create(conn: &mut SqliteConnection, stamp: &Stamp<'_>, new: NewCampaign) -> Result<CreateOutcome, Failed> {
    if let Some(first) = new.request.map(|id| request(conn, id)).transpose()?.flatten() {
        let created = if first.verb == CREATE { find(conn, &first.campaign)? } else { None };
        return Ok(created.map_or(CreateOutcome::RequestUsed, CreateOutcome::Repeated));
    }
    if let Some(other) = holder_of_title(conn, &new)? {
        return Ok(CreateOutcome::TitleTaken(other));
    }
    // From here on it must succeed.
    let campaign = Campaign {
        id: new.id,
        rules: new.rules,
        state: new.state,
        revision: 1,
        created_at: stamp.at,
        updated_at: stamp.at,
    };
    insert(conn, &campaign)?;
    if let Some(id) = new.request {
        note_request(conn, id, &campaign.id, CREATE)?;
    }
    events::append(conn, &created(&campaign, stamp))?;
    Ok(CreateOutcome::Created(campaign))
}

fn insert(conn: &mut SqliteConnection, campaign: &Campaign) -> Result<(), Failed> {
    diesel::insert_into(campaigns::table)
        .values((
            campaigns::id.eq(campaign.id.as_str()),
            campaigns::rules.eq(to_json(&campaign.rules)?),
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

fn created(campaign: &Campaign, stamp: &Stamp<'_>) -> Event {
    Event {
        id: stamp.event_id(),
        kind: EventKind::CampaignCreated,
        campaign: campaign.id.clone(),
        round: None,
        coupon: None,
        user: None,
        order: None,
        state: None,
        at: stamp.at,
    }
}

/// The campaign that has not ended and has this one's title and end of validity.
fn holder_of_title(conn: &mut SqliteConnection, new: &NewCampaign) -> Result<Option<CampaignId>, Failed> {
    let id: Option<String> = campaigns::table
        .filter(campaigns::title.eq(&new.rules.title))
        .filter(campaigns::validity_key.eq(to_json(&new.rules.validity)?))
        // Spelled out, so that SQLite sees that the partial index fits.
        .filter(sql::<Bool>("state <> 'ENDED'"))
        .select(campaigns::id)
        .get_result(conn)
        .optional()?;
    id.map(|id| value::campaign(&id)).transpose()
}

fn to_json(value: &impl serde::Serialize) -> Result<String, Failed> {
    serde_json::to_string(value).map_err(|e| Failed::Unreadable(e.to_string()))
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

fn find(conn: &mut SqliteConnection, id: &CampaignId) -> Result<Option<Campaign>, Failed> {
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

fn request(conn: &mut SqliteConnection, id: Uuid) -> Result<Option<RequestRecord>, Failed> {
    let line: Option<(String, String)> = requests::table
        .find(id.to_string())
        .select((requests::campaign_id, requests::verb))
        .get_result(conn)
        .optional()?;
    line.map(|(campaign, verb)| Ok(RequestRecord { campaign: value::campaign(&campaign)?, verb })).transpose()
}

/// Notes what a request did. If it did something before, that stands: a caller who uses one id twice at the same time gets two changes
/// and one note, but does not stop the recorder.
pub(super) fn note_request(
    conn: &mut SqliteConnection,
    id: Uuid,
    campaign: &CampaignId,
    verb: &str,
) -> QueryResult<()> {
    diesel::insert_or_ignore_into(requests::table)
        .values((requests::id.eq(id.to_string()), requests::campaign_id.eq(campaign.as_str()), requests::verb.eq(verb)))
        .execute(conn)?;
    Ok(())
}

fn new_round_ids(conn: &mut SqliteConnection, count: u32) -> Result<Vec<RoundId>, Failed> {
    let last: i64 = diesel::update(installation::table)
        .set(installation::last_round.eq(installation::last_round + i64::from(count)))
        .returning(installation::last_round)
        .get_result(conn)?;
    (last - i64::from(count) + 1..=last).map(value::round).collect()
}

fn standing(conn: &mut SqliteConnection, campaign: &CampaignId) -> Result<Option<Standing>, Failed> {
    let line: Option<(i64, bool)> = campaigns::table
        .find(campaign.as_str())
        .select((campaigns::epoch, campaigns::open))
        .get_result(conn)
        .optional()?;
    let Some((epoch, open)) = line else { return Ok(None) };
    let cursor = record::cursor(conn, campaign)?;
    let acknowledged: i64 =
        journal_cursors::table.find(campaign.as_str()).select(journal_cursors::acknowledged).get_result(conn)?;
    Ok(Some(Standing {
        campaign: campaign.clone(),
        epoch: value::count(epoch, "a campaign's epoch")?,
        open,
        cursor,
        acknowledged: value::count(acknowledged, "an acknowledged position")?,
    }))
}

fn raise_epoch(conn: &mut SqliteConnection, campaign: &CampaignId, from: u64) -> Result<Option<u64>, Failed> {
    let in_epoch = campaigns::table.find(campaign.as_str()).filter(campaigns::epoch.eq(to_integer(from)));
    let raised: Option<i64> = diesel::update(in_epoch)
        .set((campaigns::epoch.eq(campaigns::epoch + 1), campaigns::open.eq(false)))
        .returning(campaigns::epoch)
        .get_result(conn)
        .optional()?;
    raised.map(|epoch| value::count(epoch, "a campaign's epoch")).transpose()
}
