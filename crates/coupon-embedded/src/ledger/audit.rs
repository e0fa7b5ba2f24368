//! Who changed what.

use std::collections::{BTreeMap, HashMap};

use async_trait::async_trait;
use coupon_domain::audit::{self, AuditRecord, Before};
use coupon_domain::campaign::Campaign;
use coupon_domain::checkout::Operator;
use coupon_domain::ids::{Actor, CampaignId, CouponId};
use coupon_domain::ports::{AuditRepository, LedgerError};
use coupon_domain::recording::{Operation, OperationChange};
use coupon_domain::time::Timestamp;
use diesel::prelude::*;
use serde_json::Value;
use uuid::Uuid;

use super::schema::{audit_records, operators};
use super::{SqliteLedger, rounds, value};
use crate::failed::Failed;

/// Who does what no operator asked for.
const SERVICE: &str = "service";

#[async_trait]
impl AuditRepository for SqliteLedger {
    async fn announce(&self, request: Uuid, actor: &Actor) -> Result<(), LedgerError> {
        let actor = actor.clone();
        Ok(self.write(move |conn, _| Ok(announce(conn, request, &actor)?)).await?)
    }

    async fn audit_records(
        &self,
        campaign: Option<&CampaignId>,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<(i64, AuditRecord)>, LedgerError> {
        let campaign = campaign.cloned();
        Ok(self.read(move |conn| list(conn, campaign.as_ref(), before, limit)).await?)
    }
}

fn announce(conn: &mut SqliteConnection, request: Uuid, actor: &Actor) -> QueryResult<()> {
    diesel::insert_into(operators::table)
        .values((operators::request.eq(request.to_string()), operators::actor.eq(actor.as_str())))
        .on_conflict(operators::request)
        .do_nothing()
        .execute(conn)?;
    Ok(())
}

/// Appends one record.
pub(super) fn append(conn: &mut SqliteConnection, record: &AuditRecord) -> QueryResult<()> {
    let round = record.round.or(record.coupon.map(|coupon| coupon.round));
    diesel::insert_into(audit_records::table)
        .values((
            audit_records::action.eq(record.action.as_str()),
            audit_records::actor.eq(record.by.actor.as_str()),
            audit_records::request.eq(record.by.request.map(|id| id.to_string())),
            audit_records::campaign_id.eq(record.campaign.as_ref().map(|campaign| campaign.as_str())),
            audit_records::round_no.eq(round.map(value::number)),
            audit_records::serial.eq(record.coupon.map(|coupon| i64::from(coupon.serial))),
            audit_records::user_id.eq(record.user.as_ref().map(|user| user.as_str())),
            audit_records::before.eq(record.before.as_ref().map(Value::to_string)),
            audit_records::after.eq(record.after.as_ref().map(Value::to_string)),
            audit_records::at.eq(record.at.micros()),
        ))
        .execute(conn)?;
    Ok(())
}

/// The records of a gate's decisions, which are about to be written over what the ledger has.
pub(super) fn of_recording(
    conn: &mut SqliteConnection,
    campaign: &Campaign,
    operations: &[Operation],
) -> Result<Vec<AuditRecord>, Failed> {
    let mut before = Before { state: campaign.state, rules: campaign.rules.clone(), added: BTreeMap::new() };
    let mut actors = HashMap::new();
    for operation in operations {
        if let OperationChange::Added { round, .. } = operation.change
            && let Some(there) = rounds::find(conn, round)?
        {
            before.added.insert(round, there.head.view.added);
        }
        if let Some(request) = operation.request
            && let Some(actor) = announced(conn, request)?
        {
            actors.insert(request, actor);
        }
    }
    let service = value::actor(SERVICE)?;
    let actor = |operation: &Operation| {
        let named = operation.request.and_then(|request| actors.get(&request));
        named.unwrap_or(&service).clone()
    };
    value::spelled(audit::of_operations(&campaign.id, operations, before, actor))
}

fn announced(conn: &mut SqliteConnection, request: Uuid) -> Result<Option<Actor>, Failed> {
    let actor: Option<String> =
        operators::table.find(request.to_string()).select(operators::actor).get_result(conn).optional()?;
    actor.as_deref().map(value::actor).transpose()
}

#[derive(Queryable)]
struct Line {
    no: i64,
    action: String,
    actor: String,
    request: Option<String>,
    campaign_id: Option<String>,
    round_no: Option<i64>,
    serial: Option<i64>,
    user_id: Option<String>,
    before: Option<String>,
    after: Option<String>,
    at: i64,
}

impl Line {
    fn record(self) -> Result<(i64, AuditRecord), Failed> {
        let request = self.request.map(|id| value::expect(id.parse().ok(), "a request's id")).transpose()?;
        let round = self.round_no.map(value::round).transpose()?;
        let serial = self.serial.map(|serial| value::count(serial, "a coupon's serial")).transpose()?;
        let record = AuditRecord {
            action: self.action,
            by: Operator { actor: value::actor(&self.actor)?, request },
            campaign: self.campaign_id.as_deref().map(value::campaign).transpose()?,
            round,
            coupon: round.zip(serial).map(|(round, serial)| CouponId { round, serial }),
            user: self.user_id.as_deref().map(value::user).transpose()?,
            before: self.before.as_deref().map(value::from_json).transpose()?,
            after: self.after.as_deref().map(value::from_json).transpose()?,
            at: Timestamp::from_micros(self.at),
        };
        Ok((self.no, record))
    }
}

fn list(
    conn: &mut SqliteConnection,
    campaign: Option<&CampaignId>,
    before: Option<i64>,
    limit: u32,
) -> Result<Vec<(i64, AuditRecord)>, Failed> {
    let mut query = audit_records::table.order(audit_records::no.desc()).limit(i64::from(limit)).into_boxed();
    if let Some(campaign) = campaign {
        query = query.filter(audit_records::campaign_id.eq(campaign.as_str()));
    }
    if let Some(before) = before {
        query = query.filter(audit_records::no.lt(before));
    }
    query.load::<Line>(conn)?.into_iter().map(Line::record).collect()
}
