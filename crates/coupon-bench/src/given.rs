//! Which coupons or places were in answers: a bit for each serial, so that a million of them are 128 KiB and every repeat is seen.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

/// Words of a block; a block is made when the first of its bits is set.
const WORDS: usize = 1024;
const BITS: u64 = WORDS as u64 * 64;
/// Serials and tickets have 28 bits.
const BLOCKS: usize = 1 << 12;
/// Of the word that holds the latest serial, and below it the user.
const USER_BITS: u32 = 35;

type Block = Box<[AtomicU64]>;

/// Shared by all that load in this process, without a lock.
#[derive(Debug)]
pub(crate) struct Given {
    blocks: Box<[OnceLock<Block>]>,
    twice: AtomicU64,
    beyond: AtomicU64,
    /// One more than the latest serial, then the user: the greater word is the later one. 0 before the first.
    last: AtomicU64,
}

/// The latest coupon or place in the gate's order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Last {
    /// Its serial or ticket.
    pub serial: u64,
    /// The number of the user who has it.
    pub user: u64,
}

/// To hand over to another process.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct GivenParts {
    /// Number of the block, and its words in base64.
    blocks: Vec<(usize, String)>,
    twice: u64,
    beyond: u64,
    last: Option<Last>,
}

impl Last {
    fn packed(self) -> u64 {
        (self.serial + 1) << USER_BITS | self.user & ((1 << USER_BITS) - 1)
    }

    fn unpacked(word: u64) -> Option<Self> {
        let serial = (word >> USER_BITS).checked_sub(1)?;
        Some(Self { serial, user: word & ((1 << USER_BITS) - 1) })
    }
}

impl Default for Given {
    fn default() -> Self {
        Self {
            blocks: (0..BLOCKS).map(|_| OnceLock::new()).collect(),
            twice: AtomicU64::new(0),
            beyond: AtomicU64::new(0),
            last: AtomicU64::new(0),
        }
    }
}

impl Given {
    /// Notes what was given to this user.
    pub(crate) fn note(&self, serial: u64, user: u64) {
        let Some(block) = usize::try_from(serial / BITS).ok().and_then(|block| self.blocks.get(block)) else {
            self.beyond.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let bit = serial % BITS;
        let before = words(block)[(bit / 64) as usize].fetch_or(1 << (bit % 64), Ordering::Relaxed);
        if before & 1 << (bit % 64) != 0 {
            self.twice.fetch_add(1, Ordering::Relaxed);
        }
        self.last.fetch_max(Last { serial, user }.packed(), Ordering::Relaxed);
    }

    /// How many different ones.
    #[must_use]
    pub(crate) fn count(&self) -> u64 {
        let words = self.blocks.iter().filter_map(OnceLock::get).flatten();
        words.map(|word| u64::from(word.load(Ordering::Relaxed).count_ones())).sum()
    }

    /// Answers with one that was in an earlier answer.
    #[must_use]
    pub(crate) fn twice(&self) -> u64 {
        self.twice.load(Ordering::Relaxed)
    }

    /// Answers with one that cannot be.
    #[must_use]
    pub(crate) fn beyond(&self) -> u64 {
        self.beyond.load(Ordering::Relaxed)
    }

    /// The latest one.
    #[must_use]
    pub(crate) fn last(&self) -> Option<Last> {
        Last::unpacked(self.last.load(Ordering::Relaxed))
    }

    /// Adds what another process has noted.
    ///
    /// # Errors
    /// If the parts are none.
    pub(crate) fn add(&self, parts: &GivenParts) -> anyhow::Result<()> {
        for (number, text) in &parts.blocks {
            let bytes = STANDARD.decode(text).context("a block of serials")?;
            let block = words(self.blocks.get(*number).context("a block of serials")?);
            for (word, bytes) in block.iter().zip(bytes.as_chunks::<8>().0) {
                let others = u64::from_le_bytes(*bytes);
                let before = word.fetch_or(others, Ordering::Relaxed);
                self.twice.fetch_add(u64::from((before & others).count_ones()), Ordering::Relaxed);
            }
        }
        self.twice.fetch_add(parts.twice, Ordering::Relaxed);
        self.beyond.fetch_add(parts.beyond, Ordering::Relaxed);
        if let Some(last) = parts.last {
            self.last.fetch_max(last.packed(), Ordering::Relaxed);
        }
        Ok(())
    }

    /// What another process can add.
    #[must_use]
    pub(crate) fn parts(&self) -> GivenParts {
        let blocks = self.blocks.iter().enumerate().filter_map(|(number, block)| {
            let words = block.get()?.iter();
            let bytes: Vec<u8> = words.flat_map(|word| word.load(Ordering::Relaxed).to_le_bytes()).collect();
            Some((number, STANDARD.encode(bytes)))
        });
        GivenParts { blocks: blocks.collect(), twice: self.twice(), beyond: self.beyond(), last: self.last() }
    }
}

fn words(block: &OnceLock<Block>) -> &Block {
    block.get_or_init(|| (0..WORDS).map(|_| AtomicU64::new(0)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_serial_counts_once_and_repeats_are_seen() {
        let given = Given::default();
        for serial in [0, 1, 70_000, 1, (1 << 28) - 1] {
            given.note(serial, serial + 7);
        }
        given.note(1 << 28, 0);
        assert_eq!((given.count(), given.twice(), given.beyond()), (4, 1, 1));
        assert_eq!(given.last(), Some(Last { serial: (1 << 28) - 1, user: (1 << 28) + 6 }));
    }

    #[test]
    fn what_two_processes_were_given_is_told_apart() {
        let (ours, theirs) = (Given::default(), Given::default());
        (0..1000).for_each(|serial| ours.note(2 * serial, 1));
        (0..1000).for_each(|serial| theirs.note(2 * serial + 1, 2));
        theirs.note(500, 2);

        ours.add(&theirs.parts()).expect("whole parts");

        assert_eq!((ours.count(), ours.twice()), (2000, 1));
        assert_eq!(ours.last(), Some(Last { serial: 1999, user: 2 }));
    }
}
