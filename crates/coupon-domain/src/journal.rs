//! The journal's entries: what a gate decided, as text, one entry per batch.
//!
//! An entry's rows are lines; a line's words are separated by single spaces, which no id contains. The Lua functions of the Redis gate
//! write the same lines, so that the chain hash is over the same bytes everywhere:
//!
//! ```text
//! place r-7 0 ada bob          tickets 0 and 1 of round r-7
//! coupon r-7 0 ada             serial 0 of round r-7
//! phase r-7 WAITING 300 60 -   phase, places, supply (`-` while unknown or unbounded), coupons left in the total limit (`-` without one)
//! drawn r-7 60 <sha1> 0        the winners are at the gate: how many, SHA-1 of their bitmap, microseconds that claims are late by
//! supply r-7 50 50 150 <uuid>  coupons added, added in all, the supply with them (`-` while unknown), the request id
//! total 50 100050 <uuid>       coupons added to the total limit, the limit with them, the request id
//! state PAUSED PAUSE <uuid>    the campaign's new state, the operator's verb, the request id (`-` without one)
//! rules <uuid> {..}            the campaign's new rules as JSON, the request id (`-` without one)
//! round {"id":7,..}            a round was opened
//! retired r-7 1                the round left the gate; one without places and coupons says 0 and is forgotten
//! lost 5                       decisions that were answered and are in no store any more; only a recovery writes it
//! ```

use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::campaign::{CampaignState, Rules};
use crate::ids::{RoundId, UserId};
use crate::position::{Chain, Position};
use crate::round::{Phase, RoundSpec};
use crate::time::Timestamp;

/// One batch of decisions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The epoch in which they were taken.
    pub epoch: u64,
    /// The number of the first one.
    pub first: u64,
    /// The number of the last one.
    pub last: u64,
    /// When they were taken, by the gate's clock.
    pub at: Timestamp,
    /// The chain hash of the entry before.
    pub prev: Chain,
    /// The rows as they were written; the hash is over these bytes.
    pub rows: String,
}

impl Entry {
    /// The position of its last decision, which is also its id in a store.
    #[must_use]
    pub fn position(&self) -> Position {
        Position { epoch: self.epoch, n: self.last }
    }

    /// SHA-1 over `<prev> <epoch>-<last> <first> <at>\n<rows>`.
    #[must_use]
    pub fn chain(&self) -> Chain {
        let head = format!("{} {} {} {}\n", self.prev, self.position(), self.first, self.at.micros());
        Chain::of(&[head.as_bytes(), self.rows.as_bytes()])
    }

    /// The rows, read.
    ///
    /// # Errors
    /// If a line is not of the form above, or the rows are not as many decisions as the entry says.
    pub fn parse(&self) -> Result<Vec<Row>, UnreadableEntry> {
        let unreadable = |line: &str| UnreadableEntry { position: self.position(), line: line.to_owned() };
        let rows = self
            .rows
            .lines()
            .map(|line| Row::parse(line).ok_or_else(|| unreadable(line)))
            .collect::<Result<Vec<_>, _>>()?;
        let decisions = rows.iter().map(Row::decisions).fold(0, u64::saturating_add);
        if decisions == 0 || self.first.checked_add(decisions - 1) != Some(self.last) {
            return Err(unreadable(""));
        }
        Ok(rows)
    }
}

/// An entry that this version cannot read: damage, or a newer writer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("journal entry {position} has an unreadable line: {line:?}")]
pub struct UnreadableEntry {
    /// The entry.
    pub position: Position,
    /// The line; empty if the number of decisions is off.
    pub line: String,
}

/// One line of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Row {
    /// Places with consecutive tickets.
    Places {
        /// The round.
        round: RoundId,
        /// The first one's ticket.
        first_ticket: u32,
        /// Whose, in order.
        users: Vec<UserId>,
    },
    /// Coupons with consecutive serials.
    Coupons {
        /// The round.
        round: RoundId,
        /// The first one's serial.
        first_serial: u32,
        /// Whose, in order.
        users: Vec<UserId>,
    },
    /// A boundary was passed.
    Phase {
        /// The round.
        round: RoundId,
        /// Its phase from now on.
        phase: Phase,
        /// Places taken.
        places: u32,
        /// Its supply; `None` while unknown or unbounded.
        supply: Option<u32>,
        /// Coupons that the campaign's total limit leaves; `None` without one.
        left: Option<u64>,
    },
    /// The winners of a round are at its gate.
    Drawn {
        /// The round.
        round: RoundId,
        /// How many.
        winners: u32,
        /// SHA-1 of their bitmap.
        digest: Chain,
        /// By how much the claim window moves, since they came late.
        delay: Duration,
    },
    /// An operator added coupons to a round.
    Supply {
        /// The round.
        round: RoundId,
        /// How many.
        amount: u32,
        /// How many were added so far, these too.
        added: u32,
        /// The round's supply with them; `None` while unknown.
        supply: Option<u32>,
        /// The request that did it.
        request: Option<Uuid>,
    },
    /// An operator raised the campaign's total limit.
    Total {
        /// By how much.
        amount: u32,
        /// To how much.
        limit: u32,
        /// The request that did it.
        request: Option<Uuid>,
    },
    /// An operator changed the campaign's rules.
    Rules {
        /// The rules from now on.
        rules: Box<Rules>,
        /// The request that did it.
        request: Option<Uuid>,
    },
    /// An operator changed the campaign's state.
    State {
        /// The new state.
        state: CampaignState,
        /// What the operator did.
        verb: String,
        /// The request that did it.
        request: Option<Uuid>,
    },
    /// A round was opened.
    Round(RoundSpec),
    /// A round left the gate.
    Retired {
        /// The round.
        round: RoundId,
        /// Whether it had a place or a coupon; one without is forgotten.
        used: bool,
    },
    /// Decisions that are in no store any more.
    Lost {
        /// How many, beside those that were burnt.
        count: u64,
    },
}

impl Row {
    /// How many decisions it counts as.
    #[must_use]
    pub fn decisions(&self) -> u64 {
        match self {
            Self::Places { users, .. } | Self::Coupons { users, .. } => users.len() as u64,
            Self::Lost { count } => *count,
            Self::Phase { .. }
            | Self::Drawn { .. }
            | Self::Supply { .. }
            | Self::Total { .. }
            | Self::Rules { .. }
            | Self::State { .. }
            | Self::Round(_)
            | Self::Retired { .. } => 1,
        }
    }

    /// The line.
    #[must_use]
    pub fn to_line(&self) -> String {
        match self {
            Self::Places { round, first_ticket, users } => users_line("place", *round, *first_ticket, users),
            Self::Coupons { round, first_serial, users } => users_line("coupon", *round, *first_serial, users),
            Self::Phase { round, phase, places, supply, left } => {
                format!("phase {round} {phase} {places} {} {}", or_dash(*supply), or_dash(*left))
            }
            Self::Drawn { round, winners, digest, delay } => {
                format!("drawn {round} {winners} {digest} {}", delay.as_micros())
            }
            Self::Supply { round, amount, added, supply, request } => {
                format!("supply {round} {amount} {added} {} {}", or_dash(*supply), or_dash(*request))
            }
            Self::Total { amount, limit, request } => format!("total {amount} {limit} {}", or_dash(*request)),
            Self::Rules { rules, request } => format!("rules {} {}", or_dash(*request), rules.to_json()),
            Self::State { state, verb, request } => format!("state {state} {verb} {}", or_dash(*request)),
            Self::Round(spec) => format!("round {}", spec.to_json()),
            Self::Lost { count } => format!("lost {count}"),
            Self::Retired { round, used } => format!("retired {round} {}", u8::from(*used)),
        }
    }

    fn parse(line: &str) -> Option<Self> {
        let (kind, rest) = line.split_once(' ')?;
        if kind == "round" {
            return RoundSpec::from_json(rest).map(Self::Round);
        }
        if kind == "rules" {
            let (request, json) = rest.split_once(' ')?;
            return Some(Self::Rules { rules: Box::new(Rules::from_json(json)?), request: none_if_dash(request)? });
        }
        let mut words = rest.split(' ');
        let row = match kind {
            "place" => {
                let (round, first_ticket, users) = parse_users(&mut words)?;
                Self::Places { round, first_ticket, users }
            }
            "coupon" => {
                let (round, first_serial, users) = parse_users(&mut words)?;
                Self::Coupons { round, first_serial, users }
            }
            "phase" => Self::Phase {
                round: RoundId::parse(words.next()?).ok()?,
                phase: Phase::from_word(words.next()?)?,
                places: words.next()?.parse().ok()?,

                supply: none_if_dash(words.next()?)?,
                left: none_if_dash(words.next()?)?,
            },
            "drawn" => Self::Drawn {
                round: RoundId::parse(words.next()?).ok()?,
                winners: words.next()?.parse().ok()?,
                digest: Chain::parse(words.next()?)?,
                delay: Duration::from_micros(words.next()?.parse().ok()?),
            },
            "supply" => Self::Supply {
                round: RoundId::parse(words.next()?).ok()?,
                amount: words.next()?.parse().ok()?,
                added: words.next()?.parse().ok()?,
                supply: none_if_dash(words.next()?)?,
                request: none_if_dash(words.next()?)?,
            },
            "total" => Self::Total {
                amount: words.next()?.parse().ok()?,
                limit: words.next()?.parse().ok()?,
                request: none_if_dash(words.next()?)?,
            },
            "state" => Self::State {
                state: CampaignState::from_word(words.next()?)?,
                verb: words.next()?.to_owned(),
                request: none_if_dash(words.next()?)?,
            },
            "lost" => Self::Lost { count: words.next()?.parse().ok()? },
            "retired" => Self::Retired { round: RoundId::parse(words.next()?).ok()?, used: words.next()? == "1" },
            _ => return None,
        };
        words.next().is_none().then_some(row)
    }
}

/// What has one spelling in journals, keys and tables.
pub trait Spelled: Serialize + DeserializeOwned {
    /// That spelling.
    #[must_use]
    fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads [`Spelled::to_json`].
    #[must_use]
    fn from_json(json: &str) -> Option<Self> {
        serde_json::from_str(json).ok()
    }
}

impl Spelled for RoundSpec {}
impl Spelled for Rules {}

/// The line of users who were granted consecutive numbers; `kind` is `place` or `coupon`.
#[must_use]
pub fn users_line<'a>(kind: &str, round: RoundId, first: u32, users: impl IntoIterator<Item = &'a UserId>) -> String {
    let mut line = format!("{kind} {round} {first}");
    for user in users {
        let _ = write!(line, " {user}");
    }
    line
}

fn parse_users<'a>(words: &mut impl Iterator<Item = &'a str>) -> Option<(RoundId, u32, Vec<UserId>)> {
    let round = RoundId::parse(words.next()?).ok()?;
    let first = words.next()?.parse().ok()?;
    let users = words.map(UserId::parse).collect::<Result<Vec<_>, _>>().ok()?;
    (!users.is_empty()).then_some((round, first, users))
}

fn or_dash<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "-".to_owned(), |v| v.to_string())
}

fn none_if_dash<T: std::str::FromStr>(word: &str) -> Option<Option<T>> {
    if word == "-" { Some(None) } else { word.parse().ok().map(Some) }
}
