//! How a gate gets its state back from the ledger.

use std::collections::{BTreeMap, HashMap};

use uuid::Uuid;

use super::{CampaignModel, RoundModel, RoundView, Seat};
use crate::campaign::CampaignState;
use crate::ids::{RoundId, UserId};
use crate::position::{Chain, Position};
use crate::time::Timestamp;

/// A campaign without its rounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CampaignHead {
    /// The new epoch, and the decisions that the ledger has.
    pub position: Position,
    /// The gate's time of the last one; time does not go back behind it.
    pub last_at: Timestamp,
    /// The hash of the last journal entry that the ledger has.
    pub chain: Chain,
    /// Where it stands.
    pub state: CampaignState,
    /// Counts the changes of its rules and state.
    pub revision: u64,
    /// Coupons over all rounds together.
    pub total_limit: Option<u32>,
    /// Coupons a user may have over all rounds.
    pub max_per_user: u32,
    /// Whether it may have more than one round, so that coupons are counted over them.
    pub counts_users: bool,
    /// Coupons issued over all rounds, those that left the gate too.
    pub issued: u64,
}

/// A round without its seats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoundHead {
    /// All that is told of it.
    pub view: RoundView,
    /// The number of the last decision in it.
    pub last_n: u64,
}

/// One step of loading a gate: head first, then rounds, seats and counts in any number of chunks, `Open` last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoadChunk {
    /// Forgets what was there and begins anew, still frozen.
    Head(CampaignHead),
    /// A round, without its seats.
    Round(RoundHead),
    /// Users of a round, at most [`MAX_BATCH`](crate::ports::MAX_BATCH).
    Seats(RoundId, Vec<(UserId, Seat)>),
    /// Winners of a round that is drawn, from this byte on: bit t, from the most significant one of the first byte, is ticket t.
    Winners(RoundId, u32, Vec<u8>),
    /// What operators' requests did: their verbs. At most [`MAX_BATCH`](crate::ports::MAX_BATCH).
    Requests(Vec<(Uuid, String)>),
    /// Coupons of users over all rounds, at most [`MAX_BATCH`](crate::ports::MAX_BATCH).
    Counts(Vec<(UserId, u32)>),
    /// Checks the counts and opens; after it the gate answers.
    Open,
}

/// Why a loaded campaign cannot be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// Something came before the head.
    #[error("the campaign's head was not loaded")]
    NoHead,
    /// A round's counts are not those of its seats or winners, or a round is missing.
    #[error("round {0} is not whole")]
    RoundNotWhole(RoundId),
}

impl CampaignModel {
    /// A campaign of which nothing but the head is known.
    #[must_use]
    pub fn begin(head: &CampaignHead) -> Self {
        Self {
            position: head.position,
            last_at: head.last_at,
            chain: head.chain,
            state: head.state,
            revision: head.revision,
            total_limit: head.total_limit,
            max_per_user: head.max_per_user,
            coupons_of: head.counts_users.then(HashMap::new),
            issued: head.issued,
            rounds: BTreeMap::new(),
            requests: HashMap::new(),
        }
    }

    /// Adds what one chunk brings; `Head` begins anew.
    ///
    /// # Errors
    /// If seats or winners come before their round, or with `Open` if a round's counts are not those of its seats and winners.
    pub fn load(&mut self, chunk: LoadChunk) -> Result<(), LoadError> {
        match chunk {
            LoadChunk::Head(head) => *self = Self::begin(&head),
            LoadChunk::Round(RoundHead { view, last_n }) => {
                self.rounds.insert(view.spec.id, RoundModel::loaded(view, last_n));
            }
            LoadChunk::Seats(id, seats) => {
                let round = self.rounds.get_mut(&id).ok_or(LoadError::RoundNotWhole(id))?;
                seats.into_iter().for_each(|(user, seat)| round.seat(user, seat));
            }
            LoadChunk::Winners(id, first, part) => {
                let round = self.rounds.get_mut(&id).ok_or(LoadError::RoundNotWhole(id))?;
                round.set_winners(first as usize, &part);
            }
            LoadChunk::Requests(requests) => self.requests.extend(requests),
            LoadChunk::Counts(counts) => {
                if let Some(coupons_of) = &mut self.coupons_of {
                    coupons_of.extend(counts);
                }
            }
            LoadChunk::Open => {
                if let Some((id, _)) = self.rounds.iter().find(|(_, round)| !round.is_whole()) {
                    return Err(LoadError::RoundNotWhole(*id));
                }
            }
        }
        Ok(())
    }
}
