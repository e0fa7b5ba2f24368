//! Telling the owners of unused coupons that these expire.

use std::collections::HashMap;
use std::time::Duration;

use coupon_domain::ids::CouponId;
use coupon_domain::notice::{Due, Lifetime, Notice, due};
use coupon_domain::ports::{Event, EventDetails, EventKind};
use coupon_domain::redemption::CouponRecord;
use coupon_domain::time::Timestamp;
use diesel::QueryableByName;
use diesel::sql_types::{Array, BigInt, Bool, Integer, Jsonb, Nullable, Timestamptz};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};
use uuid::Uuid;

use crate::connection::{End, PostgresLedger};
use crate::failure::Failure;
use crate::rows::{column, coupon_id, instant, int, micros, number, readable, timestamp, unsigned};
use crate::statement::sql;
use crate::sweep::AtCouponRow;
use crate::write;

const LEADS: &str = "SELECT rounds.no, campaigns.rules -> 'notice_leads' AS leads
    FROM rounds JOIN campaigns ON campaigns.id = rounds.campaign_id WHERE rounds.no = ANY ($1)";

const SENT: &str = "SELECT notices.round_no, notices.serial, notices.lead
    FROM unnest($1::integer[], $2::integer[]) AS c (round_no, serial)
    JOIN notices ON notices.round_no = c.round_no AND notices.serial = c.serial";

#[derive(QueryableByName)]
struct LeadsRow {
    #[diesel(sql_type = Integer)]
    no: i32,
    #[diesel(sql_type = Nullable<Jsonb>)]
    leads: Option<serde_json::Value>,
}

#[derive(QueryableByName)]
struct SentRow {
    #[diesel(sql_type = Integer)]
    round_no: i32,
    #[diesel(sql_type = Integer)]
    serial: i32,
    #[diesel(sql_type = BigInt)]
    lead: i64,
}

/// What is done about one coupon.
struct Step {
    coupon: CouponId,
    due: Due,
}

impl PostgresLedger {
    pub(crate) async fn give_some_notice(&self, limit: u32) -> Result<u32, Failure> {
        self.transaction(move |conn| Box::pin(async move { give_notice(conn, limit).await })).await
    }
}

/// Leads and notices sent are read when the coupons are locked: who changes the leads has to look at these coupons anew, and waits.
async fn give_notice(conn: &mut AsyncPgConnection, limit: u32) -> Result<End<u32>, Failure> {
    let locked = sql(include_str!("queries/lock_noticeable.sql")).bind::<BigInt, _>(i64::from(limit));
    let locked = locked.load::<AtCouponRow>(conn).await?;
    let Some(at) = locked.as_slice().first().map(|row| timestamp(row.at)) else { return Ok(End::Rollback(0)) };
    let coupons = locked.into_iter().map(|row| row.coupon.read()).collect::<Result<Vec<_>, _>>()?;
    let leads = leads(conn, &coupons).await?;
    let sent = sent(conn, &coupons).await?;
    let mut steps = Vec::with_capacity(coupons.len());
    let mut events = Vec::new();
    for coupon in &coupons {
        let leads = readable(leads.get(&number(coupon.id.round)), "a round's campaign")?;
        let lifetime = Lifetime { claimed_at: coupon.claimed_at, expires_at: coupon.expires_at };
        let due = due(lifetime, leads, sent.get(&coupon.id).map_or(&[], Vec::as_slice), at);
        events.extend(due.notice.map(|notice| event(coupon, notice, at)));
        steps.push(Step { coupon: coupon.id, due });
    }
    write(conn, &steps, at).await?;
    write::events(conn, &events).await?;
    Ok(End::Commit(u32::try_from(steps.len()).unwrap_or(u32::MAX)))
}

fn event(coupon: &CouponRecord, notice: Notice, at: Timestamp) -> Event {
    let details = EventDetails { notice: Some(notice), expires_at: Some(coupon.expires_at), ..EventDetails::default() };
    Event {
        id: Event::id_of_uuid(Uuid::now_v7()),
        round: Some(coupon.id.round),
        coupon: Some(coupon.id),
        user: Some(coupon.user.clone()),
        details,
        ..Event::new(EventKind::CouponExpiring, coupon.campaign.clone(), at)
    }
}

/// The leads of each coupon's campaign, by round.
async fn leads(conn: &mut AsyncPgConnection, coupons: &[CouponRecord]) -> Result<HashMap<i32, Vec<Duration>>, Failure> {
    let mut rounds = column(coupons, |coupon| number(coupon.id.round));
    rounds.sort_unstable();
    rounds.dedup();
    let rows = sql(LEADS).bind::<Array<Integer>, _>(rounds).load::<LeadsRow>(conn).await?;
    rows.into_iter()
        .map(|row| {
            let leads = row.leads.map_or(Ok(Vec::new()), serde_json::from_value);
            Ok((row.no, readable(leads.ok(), "campaigns.rules")?))
        })
        .collect()
}

async fn sent(
    conn: &mut AsyncPgConnection,
    coupons: &[CouponRecord],
) -> Result<HashMap<CouponId, Vec<Duration>>, Failure> {
    let rows = sql(SENT)
        .bind::<Array<Integer>, _>(column(coupons, |coupon| number(coupon.id.round)))
        .bind::<Array<Integer>, _>(column(coupons, |coupon| int(coupon.id.serial)))
        .load::<SentRow>(conn)
        .await?;
    let mut sent: HashMap<_, Vec<_>> = HashMap::new();
    for row in rows {
        let lead = Duration::from_micros(unsigned(row.lead, "notices.lead")?);
        sent.entry(coupon_id(row.round_no, row.serial)?).or_default().push(lead);
    }
    Ok(sent)
}

async fn write(conn: &mut AsyncPgConnection, steps: &[Step], at: Timestamp) -> Result<(), Failure> {
    sql(include_str!("queries/note_notices.sql"))
        .bind::<Array<Integer>, _>(column(steps, |step| number(step.coupon.round)))
        .bind::<Array<Integer>, _>(column(steps, |step| int(step.coupon.serial)))
        .bind::<Array<Nullable<Timestamptz>>, _>(column(steps, |step| step.due.next.map(instant)))
        .bind::<Array<Nullable<BigInt>>, _>(column(steps, |step| step.due.notice.map(|notice| micros(notice.lead))))
        .bind::<Array<Nullable<Bool>>, _>(column(steps, |step| step.due.notice.map(|notice| notice.late)))
        .bind::<Timestamptz, _>(instant(at))
        .execute(conn)
        .await?;
    Ok(())
}
