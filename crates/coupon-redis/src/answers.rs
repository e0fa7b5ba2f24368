//! The answers to a batch: one word for each user.

use coupon_domain::answer::{Answer, Issued, Outcome, Place, Refusal, Witness};
use coupon_domain::model::{Decided, Seat};
use coupon_domain::ports::GateError;
use coupon_domain::position::Position;
use coupon_domain::time::Timestamp;

use crate::call::{Reply, unreadable};
use crate::seat;

/// What a batch is about: places or coupons.
pub(crate) trait Granted: Copy {
    /// A new one, with its number in the round.
    fn new(number: u32, at: Timestamp) -> Self;
    /// The one that a user has had before.
    fn of(seat: Seat) -> Option<Self>;
}

impl Granted for Place {
    fn new(ticket: u32, reserved_at: Timestamp) -> Self {
        Self { ticket, reserved_at }
    }

    fn of(seat: Seat) -> Option<Self> {
        seat.place
    }
}

impl Granted for Issued {
    fn new(serial: u32, claimed_at: Timestamp) -> Self {
        Self { serial, claimed_at }
    }

    fn of(seat: Seat) -> Option<Self> {
        seat.coupon
    }
}

const GRANTED: &str = "+";

/// A refusal's word in the functions.
fn refusal(word: &str) -> Option<Refusal> {
    Some(match word {
        "o" => Refusal::NotOpenYet,
        "c" => Refusal::Closed,
        "p" => Refusal::Paused,
        "u" => Refusal::UnknownUser,
        "f" => Refusal::Full,
        "r" => Refusal::NotReserved,
        "l" => Refusal::LimitReached,
        "d" => Refusal::DrawPending,
        "n" => Refusal::NotDrawn,
        "s" => Refusal::SoldOut,
        _ => return None,
    })
}

/// Reads the reply to a batch of so many users.
pub(crate) fn read<T: Granted>(mut reply: Reply, users: usize) -> Result<Decided<Vec<Answer<T>>>, GateError> {
    let decided = reply.decided()?;
    let (origin, mut number, words) = (reply.instant()?, reply.value::<u32>()?, reply.text()?);
    let granted = words.split(' ').filter(|word| *word == GRANTED).count() as u64;
    // A phase that was latched comes before all answers.
    let mut n = decided.position.n.checked_sub(granted).ok_or_else(|| unreadable(&words))?;
    let mut answers = Vec::with_capacity(users);
    for word in words.split(' ').filter(|word| !word.is_empty()) {
        let outcome = if word == GRANTED {
            let yes = T::new(number, decided.at);
            number += 1;
            n += 1;
            Outcome::Granted(yes)
        } else if let Some(no) = refusal(word) {
            Outcome::Refused(no)
        } else {
            let yes = seat::parse(word, origin).and_then(T::of).ok_or_else(|| unreadable(word))?;
            Outcome::Replayed(yes)
        };
        let position = Position { n, ..decided.position };
        answers.push(Answer { outcome, witness: Witness { position, at: decided.at } });
    }
    if answers.len() != users {
        return Err(unreadable(&words));
    }
    Ok(decided.map(|()| answers))
}
