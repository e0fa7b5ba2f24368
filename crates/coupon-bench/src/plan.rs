//! How a load is put on: how much of it, how fast, and who of several does which part.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::load::Load;

/// A load and how it is put on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The load.
    pub load: Load,
    /// How much of it.
    pub amount: Amount,
    /// When the next request is sent.
    pub drive: Drive,
    /// HTTP/2 connections over all workers.
    pub connections: usize,
    /// Loaded so long before anything is measured.
    pub warmup: Duration,
    /// Processes that share the load; one means this very process.
    pub workers: usize,
}

/// How much of a load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Amount {
    /// So many requests.
    Requests(u64),
    /// For so long.
    Duration(Duration),
}

/// When the next request is sent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Drive {
    /// Closed loop: each caller sends one when the one before is answered.
    Callers(usize),
    /// Closed loop: a stream sends more as long as fewer than `window` are unanswered.
    Streams {
        /// How many.
        streams: usize,
        /// Unanswered requests of each.
        window: usize,
    },
    /// Open loop: at fixed times, whatever the answers do.
    Rate {
        /// Requests a second.
        per_second: f64,
        /// Unanswered requests at most; one more is not sent, and is a fault.
        outstanding: usize,
        /// Streams that carry them; 0 means unary calls.
        streams: usize,
    },
}

impl fmt::Display for Drive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Callers(callers) => write!(f, "closed, {callers} callers"),
            Self::Streams { streams, window } => write!(f, "closed, {streams} streams of {window}"),
            Self::Rate { per_second, .. } => write!(f, "open, {per_second}/s"),
        }
    }
}

/// The part of one of `of` that share something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// Which one, from 0.
    pub index: usize,
    /// Of how many.
    pub of: usize,
}

impl Share {
    /// All of it.
    pub const WHOLE: Self = Self { index: 0, of: 1 };

    /// How many of `total` are this one's; those of all add up to it.
    #[must_use]
    pub fn part(self, total: u64) -> u64 {
        let (index, of) = (self.index as u64, self.of as u64);
        total / of + u64::from(index < total % of)
    }

    /// The number, among those of all, of this one's `n`th: no two have the same.
    #[must_use]
    pub fn number(self, n: u64) -> u64 {
        n * self.of as u64 + self.index as u64
    }

    /// This one's part, shared once more.
    #[must_use]
    pub fn split(self, inner: Self) -> Self {
        Self { index: inner.index * self.of + self.index, of: self.of * inner.of }
    }
}

impl Plan {
    /// How many may share it: each needs a caller, a stream or a request of its own.
    #[must_use]
    pub fn most_shares(&self) -> usize {
        let by_drive = match self.drive {
            Drive::Callers(callers) => callers,
            Drive::Streams { streams, .. } => streams,
            Drive::Rate { outstanding, streams: 0, .. } => outstanding,
            Drive::Rate { outstanding, streams, .. } => outstanding.min(streams),
        };
        let by_amount = match self.amount {
            Amount::Requests(requests) => usize::try_from(requests).unwrap_or(usize::MAX),
            Amount::Duration(_) => usize::MAX,
        };
        by_drive.min(by_amount).min(self.connections).max(1)
    }

    /// What one of several does. Rates are not divided: all go by the same times, in turn.
    #[must_use]
    pub fn part(&self, share: Share) -> Self {
        let part = |total: usize| usize::try_from(share.part(total as u64)).unwrap_or(total);
        let amount = match self.amount {
            Amount::Requests(requests) => Amount::Requests(share.part(requests)),
            duration @ Amount::Duration(_) => duration,
        };
        let drive = match self.drive {
            Drive::Callers(callers) => Drive::Callers(part(callers)),
            Drive::Streams { streams, window } => Drive::Streams { streams: part(streams), window },
            Drive::Rate { per_second, outstanding, streams } => {
                Drive::Rate { per_second, outstanding: part(outstanding), streams: part(streams) }
            }
        };
        Self { amount, drive, connections: part(self.connections).max(1), ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Plan {
        Plan {
            load: Load::Claim,
            amount: Amount::Requests(1003),
            drive: Drive::Callers(10),
            connections: 8,
            warmup: Duration::ZERO,
            workers: 1,
        }
    }

    #[test]
    fn parts_add_up_to_the_whole() {
        let parts: Vec<_> = (0..3).map(|index| plan().part(Share { index, of: 3 })).collect();
        let requests = parts.iter().map(|part| match part.amount {
            Amount::Requests(requests) => requests,
            Amount::Duration(_) => 0,
        });
        assert_eq!(requests.sum::<u64>(), 1003);
        assert_eq!(parts.iter().map(|part| part.connections).sum::<usize>(), 8);
        let callers = parts.iter().map(|part| if let Drive::Callers(callers) = part.drive { callers } else { 0 });
        assert_eq!(callers.sum::<usize>(), 10);
    }

    #[test]
    fn numbers_of_nested_shares_are_all_different_and_dense() {
        let (workers, threads) = (3, 2);
        let mut numbers: Vec<_> = (0..workers)
            .flat_map(|worker| (0..threads).map(move |thread| (worker, thread)))
            .map(|(worker, thread)| Share { index: worker, of: workers }.split(Share { index: thread, of: threads }))
            .flat_map(|share| (0..share.part(100)).map(move |n| share.number(n)))
            .collect();
        numbers.sort_unstable();
        assert!(numbers.into_iter().eq(0..100));
    }

    #[test]
    fn nobody_is_left_without_a_caller() {
        assert_eq!(plan().most_shares(), 8);
        assert_eq!(Plan { amount: Amount::Requests(2), ..plan() }.most_shares(), 2);
        assert_eq!(Plan { drive: Drive::Streams { streams: 1, window: 9 }, ..plan() }.most_shares(), 1);
    }
}
