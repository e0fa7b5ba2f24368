//! A call of one of the library's functions: its arguments, and its reply read word by word.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use coupon_domain::ids::{CampaignId, RoundId};
use coupon_domain::journal::Entry;
use coupon_domain::model::{Decided, LoadError, NoSuchRound};
use coupon_domain::ports::GateError;
use coupon_domain::position::{Chain, Position};
use coupon_domain::time::Timestamp;
use uuid::Uuid;

use crate::connection::{CommandError, Connection, Value};

/// The key of a campaign; its other keys begin with it.
pub(crate) fn campaign_key(campaign: &CampaignId) -> String {
    format!("{{c:{campaign}}}")
}

/// A call, argument by argument.
#[derive(Debug)]
pub(crate) struct Call(Vec<Value>);

impl Call {
    /// A call of this function for this campaign.
    pub(crate) fn new(function: &'static str, campaign: &CampaignId) -> Self {
        Self(vec![Value::from_static_str(function), Value::from_static_str("1"), Value::from(campaign_key(campaign))])
    }

    /// One more argument.
    pub(crate) fn with(mut self, argument: impl Display) -> Self {
        self.0.push(Value::from(argument.to_string()));
        self
    }

    /// One more argument; empty without a value.
    pub(crate) fn with_optional(self, argument: Option<impl Display>) -> Self {
        match argument {
            Some(argument) => self.with(argument),
            None => self.with(""),
        }
    }

    /// One more argument: a request's id, `-` without one.
    pub(crate) fn with_request(self, request: Option<Uuid>) -> Self {
        match request {
            Some(id) => self.with(id),
            None => self.with("-"),
        }
    }

    /// One more argument, as it is.
    pub(crate) fn with_bytes(mut self, bytes: &[u8]) -> Self {
        self.0.push(Value::from(bytes));
        self
    }

    /// What the caller has seen: two arguments.
    pub(crate) fn seen(self, seen: Position) -> Self {
        self.with(seen.epoch).with(seen.n)
    }

    /// Ids, one argument each.
    pub(crate) fn ids<'a>(mut self, ids: impl IntoIterator<Item = &'a str>) -> Self {
        self.0.extend(ids.into_iter().map(Value::from));
        self
    }

    /// Sends it. The reply begins behind the word `OK`.
    pub(crate) async fn send(self, connection: &Connection) -> Result<Reply, GateError> {
        let value = connection.call_function(self.0).await.map_err(|error| match error {
            // A server that was emptied has no functions either.
            CommandError::Refused(text) if text.contains("Function not found") => GateError::NotLoaded,
            CommandError::Refused(_) | CommandError::Lost(_) => unknown(error),
        })?;
        let mut reply = Reply::of(value)?;
        match reply.text()?.as_str() {
            "OK" => Ok(reply),
            no => Err(reply.refusal(no)?),
        }
    }
}

/// What a function replied, read from the front.
#[derive(Debug)]
pub(crate) struct Reply(std::vec::IntoIter<Value>);

impl Reply {
    fn of(value: Value) -> Result<Self, GateError> {
        match value {
            Value::Array(values) => Ok(Self(values.into_iter())),
            _ => Err(unreadable("no list")),
        }
    }

    /// Whether there is nothing more.
    pub(crate) fn is_at_end(&self) -> bool {
        self.0.as_slice().is_empty()
    }

    /// The next value as text.
    pub(crate) fn text(&mut self) -> Result<String, GateError> {
        self.0.next().and_then(Value::into_string).ok_or_else(|| unreadable("a value is missing"))
    }

    /// The next value, read as what it stands for.
    pub(crate) fn value<T: FromStr>(&mut self) -> Result<T, GateError> {
        self.read(|text| text.parse().ok())
    }

    /// The next value; `None` if it is empty.
    pub(crate) fn optional<T: FromStr>(&mut self) -> Result<Option<T>, GateError> {
        self.read(|text| if text.is_empty() { Some(None) } else { text.parse().ok().map(Some) })
    }

    /// The next value as a round, written as its number.
    pub(crate) fn round(&mut self) -> Result<RoundId, GateError> {
        self.read(|text| text.parse().ok().and_then(RoundId::from_number))
    }

    /// The next value as a yes or a no, written as 1 or 0.
    pub(crate) fn flag(&mut self) -> Result<bool, GateError> {
        self.value::<u8>().map(|flag| flag == 1)
    }

    /// The next value as a span, in microseconds.
    pub(crate) fn span(&mut self) -> Result<Duration, GateError> {
        self.value().map(Duration::from_micros)
    }

    /// The next value as an instant, in microseconds.
    pub(crate) fn instant(&mut self) -> Result<Timestamp, GateError> {
        self.value().map(Timestamp::from_micros)
    }

    /// The next value, read in its own way.
    pub(crate) fn read<T>(&mut self, by: impl FnOnce(&str) -> Option<T>) -> Result<T, GateError> {
        let text = self.text()?;
        by(&text).ok_or_else(|| unreadable(&text))
    }

    fn position(&mut self) -> Result<Position, GateError> {
        Ok(Position { epoch: self.value()?, n: self.value()? })
    }

    /// What a freeze found: position and chain hash.
    pub(crate) fn standing(&mut self) -> Result<(Position, Chain), GateError> {
        Ok((self.position()?, self.read(Chain::parse)?))
    }

    /// How every decision's reply begins: position, time and the journal's entry. The answers follow.
    pub(crate) fn decided(&mut self) -> Result<Decided<()>, GateError> {
        let (epoch, first, last) = (self.value()?, self.value()?, self.value()?);
        let (at, prev, rows) = (self.instant()?, self.read(Chain::parse)?, self.text()?);
        let entry = (!rows.is_empty()).then_some(Entry { epoch, first, last, at, prev, rows });
        Ok(Decided { answers: (), entry, position: Position { epoch, n: last }, at })
    }

    fn refusal(&mut self, word: &str) -> Result<GateError, GateError> {
        Ok(match word {
            "NOT_LOADED" => GateError::NotLoaded,
            "RECOVERING" => GateError::Recovering,
            "STALE" => GateError::Stale(self.position()?),
            "FENCED" => GateError::Fenced(self.value()?),
            "NO_SUCH_ROUND" => NoSuchRound(self.round()?).into(),
            "FOREIGN" => GateError::Foreign(self.value::<Uuid>()?),
            "BATCH_TOO_LARGE" => GateError::BatchTooLarge(self.value()?),
            "NO_HEAD" => LoadError::NoHead.into(),
            "ROUND_NOT_WHOLE" => LoadError::RoundNotWhole(self.round()?).into(),
            other => unreadable(other),
        })
    }
}

/// Nobody knows what became of a call.
pub(crate) fn unknown(error: CommandError) -> GateError {
    GateError::Unknown(Box::new(error))
}

/// The reply is not of the form that these functions have.
pub(crate) fn unreadable(what: &str) -> GateError {
    unknown(CommandError::Lost(format!("a reply of Redis cannot be read: {what:?}")))
}
