//! Where a thread's answers are noted.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use tonic::Code;

use crate::given::Given;
use crate::tally::{Answer, Tally};

/// The notes of one thread.
pub(crate) struct Log {
    notes: RefCell<Logged>,
    given: Arc<Given>,
    done: Arc<AtomicU64>,
}

/// What is noted.
pub(crate) struct Logged {
    pub(crate) tally: Tally,
    /// Users who may have been given something, although the answer does not say so.
    pub(crate) unsettled: Vec<u64>,
}

impl Log {
    pub(crate) fn new(origin: Instant, given: Arc<Given>, done: Arc<AtomicU64>) -> Self {
        Self { notes: RefCell::new(Logged { tally: Tally::new(origin), unsettled: Vec::new() }), given, done }
    }

    /// Notes an answer for the user with this number, to a request that was sent, or was to be sent, then.
    pub(crate) fn note(&self, number: u64, sent: Instant, now: Instant, answer: Answer) {
        self.note_all([(number, sent, answer)], now);
    }

    /// Notes answers that came together.
    pub(crate) fn note_all(&self, answers: impl IntoIterator<Item = (u64, Instant, Answer)>, now: Instant) {
        let mut notes = self.notes.borrow_mut();
        let mut count = 0;
        for (number, sent, answer) in answers {
            match answer {
                Answer::Yes(Some(serial)) => self.given.note(serial, number),
                // What was not taken on for lack of room is certainly not done.
                Answer::Fault(code) if code != Code::ResourceExhausted => notes.unsettled.push(number),
                Answer::Yes(None) | Answer::No(_) | Answer::Fault(_) | Answer::NotSent => {}
            }
            notes.tally.count(answer, sent, now);
            count += 1;
        }
        self.done.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn into_notes(self) -> Logged {
        self.notes.into_inner()
    }
}
