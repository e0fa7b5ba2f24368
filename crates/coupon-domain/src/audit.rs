//! Who changed what: one record for each change that an operator made.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::campaign::{CampaignState, Rules};
use crate::checkout::Operator;
use crate::ids::{Actor, CampaignId, CouponId, RoundId, UserId};
use crate::ports::{NewCampaign, UserCreation};
use crate::recording::{Operation, OperationChange};
use crate::time::Timestamp;

/// What a request did that created a campaign.
pub const CREATE: &str = "CREATE";
/// What a request did that set a beacon.
pub const SET_BEACON: &str = "SET_BEACON";
/// Users were registered.
pub const CREATE_USERS: &str = "CREATE_USERS";
/// A user was deleted from the registry.
pub const DELETE_USER: &str = "DELETE_USER";

/// One operator's change. Written with it, in the same transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRecord {
    /// What was done: `CREATE`, `UPDATE`, `ADD_SUPPLY`, `SET_BEACON`, `VOID_COUPON`, `CREATE_USERS`, `DELETE_USER`, or the verb of a
    /// [`Transition`](crate::campaign::Transition).
    pub action: String,
    /// Whose call it was.
    pub by: Operator,
    /// In which campaign.
    pub campaign: Option<CampaignId>,
    /// In which round.
    pub round: Option<RoundId>,
    /// Which coupon.
    pub coupon: Option<CouponId>,
    /// Which user.
    pub user: Option<UserId>,
    /// What is changed, as it was; none of what was not there.
    pub before: Option<Value>,
    /// What is changed, as it is now; none of what is gone.
    pub after: Option<Value>,
    /// When, by the clock of the store that decided it.
    pub at: Timestamp,
}

impl AuditRecord {
    /// A record that names nothing yet.
    #[must_use]
    pub fn new(action: &str, by: Operator, at: Timestamp) -> Self {
        Self {
            action: action.to_owned(),
            by,
            campaign: None,
            round: None,
            coupon: None,
            user: None,
            before: None,
            after: None,
            at,
        }
    }
}

/// The record of a campaign's creation.
///
/// # Errors
/// If rules cannot be spelled as JSON.
pub fn of_creation(new: &NewCampaign, at: Timestamp) -> Result<AuditRecord, serde_json::Error> {
    let after = json!({ "state": new.state.as_str(), "rules": serde_json::to_value(&new.rules)? });
    Ok(AuditRecord {
        campaign: Some(new.id.clone()),
        after: Some(after),
        ..AuditRecord::new(CREATE, new.by.clone(), at)
    })
}

/// The record of a beacon.
#[must_use]
pub fn of_beacon(campaign: &CampaignId, round: RoundId, beacon: &[u8], by: &Operator, at: Timestamp) -> AuditRecord {
    let hex: String = beacon.iter().map(|byte| format!("{byte:02x}")).collect();
    AuditRecord {
        campaign: Some(campaign.clone()),
        round: Some(round),
        after: Some(json!({ "beacon": hex })),
        ..AuditRecord::new(SET_BEACON, by.clone(), at)
    }
}

/// The record of users that were registered by one call: who, and of several how many and between which. None if nobody was.
#[must_use]
pub fn of_registration(outcomes: &[UserCreation], by: &Operator, at: Timestamp) -> Option<AuditRecord> {
    let created = outcomes.iter().filter_map(|outcome| match outcome {
        UserCreation::Created(user) => Some(&user.given.id),
        UserCreation::Unchanged(_) | UserCreation::Taken => None,
    });
    let created: Vec<_> = created.collect();
    let (first, last) = (*created.first()?, *created.last()?);
    let record = AuditRecord::new(CREATE_USERS, by.clone(), at);
    Some(match created.len() {
        1 => AuditRecord { user: Some(first.clone()), ..record },
        count => {
            let after = json!({ "count": count, "first": first.as_str(), "last": last.as_str() });
            AuditRecord { after: Some(after), ..record }
        }
    })
}

/// The record of a user's deletion. Name and labels are not in it: they are gone.
#[must_use]
pub fn of_deletion(user: &UserId, by: &Operator, at: Timestamp) -> AuditRecord {
    AuditRecord { user: Some(user.clone()), ..AuditRecord::new(DELETE_USER, by.clone(), at) }
}

/// What a ledger has of a campaign before a recording is written.
#[derive(Debug, Clone)]
pub struct Before {
    /// Where it stands.
    pub state: CampaignState,
    /// What it offers.
    pub rules: Rules,
    /// Coupons that were added so far to those rounds of the recording that the ledger has.
    pub added: BTreeMap<RoundId, u32>,
}

/// The records of a gate's decisions, which the recorder brings. `actor` tells who made a request; what no operator asked for is the
/// service's own.
///
/// # Errors
/// If rules cannot be spelled as JSON.
pub fn of_operations(
    campaign: &CampaignId,
    operations: &[Operation],
    mut before: Before,
    mut actor: impl FnMut(&Operation) -> Actor,
) -> Result<Vec<AuditRecord>, serde_json::Error> {
    operations
        .iter()
        .map(|operation| {
            let by = Operator { actor: actor(operation), request: operation.request };
            let (was, is, round) = match &operation.change {
                OperationChange::State(state) => {
                    let was = std::mem::replace(&mut before.state, *state);
                    (json!({ "state": was.as_str() }), json!({ "state": state.as_str() }), None)
                }
                OperationChange::Rules(rules) => {
                    let was = std::mem::replace(&mut before.rules, Rules::clone(rules));
                    let (was, is) = different(serde_json::to_value(was)?, serde_json::to_value(rules)?);
                    (was, is, None)
                }
                OperationChange::TotalLimit(limit) => {
                    let was = before.rules.total_limit.replace(*limit);
                    (json!({ "total_limit": was }), json!({ "total_limit": limit }), None)
                }
                OperationChange::Added { round, added } => {
                    let was = before.added.insert(*round, *added).unwrap_or_default();
                    (json!({ "added": was }), json!({ "added": added }), Some(*round))
                }
            };
            Ok(AuditRecord {
                campaign: Some(campaign.clone()),
                round,
                before: Some(was),
                after: Some(is),
                ..AuditRecord::new(&operation.verb, by, operation.at)
            })
        })
        .collect()
}

/// Of two objects the fields in which they differ.
fn different(was: Value, is: Value) -> (Value, Value) {
    match (was, is) {
        (Value::Object(mut was), Value::Object(mut is)) => {
            let same: Vec<_> =
                was.iter().filter(|(key, value)| is.get(*key) == Some(value)).map(|(k, _)| k.clone()).collect();
            for key in same {
                was.remove(&key);
                is.remove(&key);
            }
            (was.into(), is.into())
        }
        whole => whole,
    }
}
