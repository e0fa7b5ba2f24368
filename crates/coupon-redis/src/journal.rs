//! The journal: a stream with one entry per batch, whose id is `epoch-n` of its last decision.

use async_trait::async_trait;
use coupon_domain::ids::CampaignId;
use coupon_domain::journal::Entry;
use coupon_domain::ports::{Journal, JournalError, MAX_BATCH};
use coupon_domain::position::{Chain, Position};
use coupon_domain::time::Timestamp;

use crate::RedisGate;
use crate::call::campaign_key;
use crate::connection::Value;

/// Decisions looked at in one step of trimming.
const TRIM_STEP: usize = 5_000;

#[async_trait]
impl Journal for RedisGate {
    async fn read(&self, campaign: &CampaignId, after: u64, decisions: usize) -> Result<Vec<Entry>, JournalError> {
        let Some(mut from) = self.first_behind(campaign, after).await? else { return Ok(Vec::new()) };
        let (mut entries, mut room) = (Vec::new(), decisions as u64);
        // Entries may be full or single decisions; the pages grow, so that neither means many round trips or much too much.
        let mut page = decisions / MAX_BATCH + 1;
        loop {
            let found = self.range(campaign, from, page).await?;
            let was_last_page = found.len() < page;
            for entry in found {
                let size = entry.last - entry.first + 1;
                if size > room && !entries.is_empty() {
                    return Ok(entries);
                }
                room = room.saturating_sub(size);
                from = Position { n: entry.last + 1, epoch: entry.epoch };
                entries.push(entry);
            }
            if was_last_page || room == 0 {
                return Ok(entries);
            }
            page *= 2;
        }
    }

    async fn trim(&self, campaign: &CampaignId, up_to: u64, before: Timestamp) -> Result<(), JournalError> {
        let mut after = 0;
        loop {
            let entries = self.read(campaign, after, TRIM_STEP).await?;
            let old = entries.iter().take_while(|entry| entry.last <= up_to && entry.at < before);
            let Some(last) = old.last() else { return Ok(()) };
            after = last.last;
            let keep_from = Position { n: last.last + 1, epoch: last.epoch };
            self.journal_command("XTRIM", campaign, &["MINID", "=", &keep_from.to_string()]).await?;
        }
    }
}

impl RedisGate {
    /// Where the first entry behind a decision stands.
    ///
    /// The ids are in order of epoch first, and only the entries tell in which epoch a decision was taken; there are few epochs, so the
    /// search goes through them.
    async fn first_behind(&self, campaign: &CampaignId, after: u64) -> Result<Option<Position>, JournalError> {
        let mut at = self.range(campaign, Position::default(), 1).await?;
        while let Some(entry) = at.first() {
            if entry.last > after {
                return Ok(Some(entry.position()));
            }
            at = self.range(campaign, Position { epoch: entry.epoch, n: after + 1 }, 1).await?;
        }
        Ok(None)
    }

    /// At most so many entries from an id on.
    async fn range(&self, campaign: &CampaignId, from: Position, count: usize) -> Result<Vec<Entry>, JournalError> {
        let args = [&from.to_string(), "+", "COUNT", &count.to_string()];
        match self.journal_command("XRANGE", campaign, &args).await? {
            Value::Array(entries) => entries.into_iter().map(read_entry).collect(),
            other => Err(damaged(&other)),
        }
    }

    async fn journal_command(
        &self,
        command: &'static str,
        campaign: &CampaignId,
        args: &[&str],
    ) -> Result<Value, JournalError> {
        let mut words = vec![Value::from(format!("{}:journal", campaign_key(campaign)))];
        words.extend(args.iter().map(|arg| Value::from(*arg)));
        self.connection.of_key(command, words).await.map_err(|error| JournalError::Unavailable(Box::new(error)))
    }
}

fn read_entry(value: Value) -> Result<Entry, JournalError> {
    entry_of(&value).ok_or_else(|| damaged(&value))
}

fn entry_of(value: &Value) -> Option<Entry> {
    let Value::Array(parts) = value else { return None };
    let [id, Value::Array(fields)] = &parts[..] else { return None };
    let (epoch, last) = id.as_string()?.split_once('-').map(|(e, n)| (e.parse().ok(), n.parse().ok()))?;
    let field = |name: &str| {
        let pair = fields.chunks_exact(2).find(|pair| pair[0].as_string().as_deref() == Some(name))?;
        pair[1].as_string()
    };
    let entry = Entry {
        epoch: epoch?,
        first: field("first")?.parse().ok()?,
        last: last?,
        at: Timestamp::from_micros(field("at")?.parse().ok()?),
        prev: Chain::parse(&field("prev")?)?,
        rows: field("rows")?,
    };
    (entry.first <= entry.last).then_some(entry)
}

fn damaged(value: &Value) -> JournalError {
    let id = match value {
        Value::Array(parts) => parts.first().and_then(Value::as_string),
        _ => value.as_string(),
    };
    JournalError::Damaged(id.unwrap_or_default())
}
