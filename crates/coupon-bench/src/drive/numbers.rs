//! Which users a thread asks for.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::plan::Share;

/// Gives each user's number once, as long as there is something to do.
#[derive(Debug)]
pub(crate) struct Numbers {
    share: Share,
    base: u64,
    next: AtomicU64,
    limit: u64,
    until: Option<Instant>,
}

/// The users who were asked for: the numbers of a share, in order.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Asked {
    share: Share,
    base: u64,
    count: u64,
}

impl Asked {
    pub(crate) fn count(self) -> u64 {
        self.count
    }

    pub(crate) fn numbers(self) -> impl Iterator<Item = u64> {
        (0..self.count).map(move |n| self.base + self.share.number(n))
    }
}

impl Numbers {
    /// So many of a share of the numbers from `base` on, none after `until`.
    pub(crate) fn new(share: Share, base: u64, limit: u64, until: Option<Instant>) -> Self {
        Self { share, base, next: AtomicU64::new(0), limit, until }
    }

    /// The next one.
    pub(crate) fn next(&self) -> Option<u64> {
        if self.is_exhausted() {
            return None;
        }
        // Nobody else changes it but callers on the same thread.
        let n = self.next.load(Ordering::Relaxed);
        self.next.store(n + 1, Ordering::Relaxed);
        Some(self.base + self.share.number(n))
    }

    /// Whether there is no next one.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.next.load(Ordering::Relaxed) >= self.limit || self.until.is_some_and(|until| Instant::now() >= until)
    }

    /// Those that were given.
    pub(crate) fn asked(&self) -> Asked {
        Asked { share: self.share, base: self.base, count: self.next.load(Ordering::Relaxed) }
    }
}
