//! What can go wrong with a call. A rule's "no" is not here: it is an answer.

use std::sync::Arc;
use std::time::Duration;

use coupon_domain::campaign::{CampaignState, Transition, Violation};
use coupon_domain::ids::{CampaignId, InvalidId, SubscriberName, UserId};
use coupon_domain::ports::{GateError, JournalError, LedgerError};
use coupon_domain::redemption::CouponState;

/// How soon a caller may come again while a campaign is being recovered or a store is away.
pub(crate) const RETRY_SOON: Duration = Duration::from_millis(500);

/// A fault. Cloned to each caller of a batch that failed as a whole.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Fault {
    /// Malformed input: every wrong field.
    #[error("{} of the request's fields are wrong", .0.len())]
    Invalid(Arc<[Violation]>),
    /// No such campaign.
    #[error("campaign {0} is not known")]
    UnknownCampaign(CampaignId),
    /// No such round in this campaign.
    #[error("round {0} is not known in this campaign")]
    UnknownRound(String),
    /// No such coupon of this user.
    #[error("this user has no such coupon")]
    UnknownCoupon,
    /// No such order of this user.
    #[error("this user has no such order")]
    UnknownOrder,
    /// The coupon's state does not allow it.
    #[error("a coupon that is {0} cannot be withdrawn")]
    WrongCouponState(CouponState),
    /// No such subscriber or outlet.
    #[error("subscriber {0} is not known")]
    UnknownSubscriber(SubscriberName),
    /// Another reader has subscribed under this name.
    #[error("another reader has subscribed under this name")]
    TakenOver,
    /// A campaign that has not ended has the same title and end of validity.
    #[error("campaign {0} has the same title and end of validity and has not ended")]
    TitleTaken(CampaignId),
    /// The request id did something else before.
    #[error("this request_id was used for another call")]
    RequestUsed,
    /// The campaign's state does not allow it.
    #[error("a campaign that is {state} cannot be {}", past(*transition))]
    WrongState {
        /// Where it stands.
        state: CampaignState,
        /// What was asked.
        transition: Transition,
    },
    /// The campaign was changed since the caller read it.
    #[error("the campaign has changed: it has etag \"{0}\" now")]
    EtagMismatch(u64),
    /// The rules are in use: what is to be changed has a place or a coupon.
    #[error("these rules can change only while {0}")]
    RulesInUse(String),
    /// The campaign has ended.
    #[error("the campaign has ended")]
    Ended,
    /// No supply can be added.
    #[error("no supply can be added: {0}")]
    SupplyRefused(&'static str),
    /// The round is not drawn.
    #[error("the round has no draw: its allocation is FIRST_COME")]
    NoDraw,
    /// The draw has not come so far.
    #[error("reservation has not closed yet")]
    DrawNotReady,
    /// The beacon cannot be set.
    #[error("the beacon cannot be set: {0}")]
    BeaconRefused(&'static str),
    /// This user has no place in the round.
    #[error("this user has no place in the round")]
    UnknownPlace,
    /// No such user in the registry.
    #[error("user {0} is not registered")]
    UnknownUser(UserId),
    /// The user is registered with another name or other labels.
    #[error("user {0} is registered with another name or other metadata")]
    UserExists(UserId),
    /// Too many callers are waiting; certainly not applied.
    #[error("too many calls are waiting")]
    Overloaded {
        /// When to come again.
        retry_after: Duration,
    },
    /// The campaign's gate is being recovered.
    #[error("the campaign is being recovered")]
    Recovering {
        /// When to come again.
        retry_after: Duration,
    },
    /// The campaign's stores disagree, and a person has to look.
    #[error("the campaign is halted for an operator")]
    Halted,
    /// A store is away or did not answer: the same call again is answered like the first.
    #[error("a store did not answer")]
    Unavailable {
        /// For the log.
        #[source]
        source: Arc<dyn std::error::Error + Send + Sync>,
    },
    /// A bug or damage.
    #[error("internal error")]
    Internal {
        /// For the log.
        #[source]
        source: Arc<dyn std::error::Error + Send + Sync>,
    },
}

fn past(transition: Transition) -> &'static str {
    match transition {
        Transition::Activate => "activated",
        Transition::Pause => "paused",
        Transition::Resume => "resumed",
        Transition::End => "ended",
    }
}

impl Fault {
    /// One field is wrong.
    #[must_use]
    pub fn field(field: &'static str, description: impl Into<String>) -> Self {
        Self::Invalid([Violation::new(field, description)].into())
    }

    /// One field is not an id.
    #[must_use]
    pub fn bad_id(field: &'static str, why: InvalidId) -> Self {
        Self::field(field, why.to_string())
    }

    /// A bug, with what is known about it for the log.
    pub fn internal(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Internal { source: source.into().into() }
    }

    pub(crate) fn missing_key(id: u8) -> Self {
        Self::internal(format!("master key {id}, which this round uses, is not among the keys"))
    }

    pub(crate) fn unavailable(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Unavailable { source: source.into().into() }
    }
}

impl From<LedgerError> for Fault {
    fn from(error: LedgerError) -> Self {
        match error {
            LedgerError::Unavailable(_) | LedgerError::Unknown(_) => Self::unavailable(error),
            LedgerError::Broken(_) => Self::internal(error),
        }
    }
}

impl From<JournalError> for Fault {
    fn from(error: JournalError) -> Self {
        match error {
            JournalError::Unavailable(_) => Self::unavailable(error),
            JournalError::Damaged(_) => Self::internal(error),
        }
    }
}

impl From<GateError> for Fault {
    fn from(error: GateError) -> Self {
        match error {
            GateError::NotLoaded | GateError::Recovering | GateError::Stale(_) | GateError::Fenced(_) => {
                Self::Recovering { retry_after: RETRY_SOON }
            }
            GateError::NoSuchRound(no) => Self::UnknownRound(no.0.to_string()),
            GateError::Foreign(_) | GateError::Unsafe(_) | GateError::Unknown(_) => Self::unavailable(error),
            GateError::BatchTooLarge(_) | GateError::Load(_) => Self::internal(error),
        }
    }
}
