//! Which round a call means that does not name one.

use std::time::Duration;

use crate::ids::RoundId;
use crate::round::RoundSpec;
use crate::time::{Timestamp, Window};

/// A repeat is looked for in a round that closed less than this ago.
pub const REPEAT_LOOKBACK: Duration = Duration::from_secs(600);

/// Which of a round's windows a call is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verb {
    /// Reserve.
    Reserve,
    /// Claim.
    Claim,
}

impl Verb {
    /// The window that such a call needs open; `None` if the round has none.
    #[must_use]
    pub fn window(self, round: &RoundSpec) -> Option<Window> {
        match self {
            Self::Reserve => round.reserve,
            Self::Claim => Some(round.claim),
        }
    }
}

/// The rounds that a call without `round_id` is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice {
    /// The earliest round whose window has not closed, else the latest of all.
    pub round: RoundId,
    /// The round before it, if a yes from there still counts: it closed less than ten minutes ago, and the chosen window is not open.
    pub repeat_in: Option<RoundId>,
}

/// Chooses at this instant among a campaign's rounds; `None` if there are none.
#[must_use]
pub fn choose<'a>(rounds: impl IntoIterator<Item = &'a RoundSpec>, verb: Verb, at: Timestamp) -> Option<Choice> {
    let mut windows: Vec<(Window, RoundId)> =
        rounds.into_iter().map(|round| (verb.window(round).unwrap_or(round.claim), round.id)).collect();
    windows.sort_by_key(|(window, id)| (window.opens, *id));
    let chosen = windows.iter().position(|(window, _)| at < window.closes);
    let Some(index) = chosen else {
        return windows.last().map(|(_, round)| Choice { round: *round, repeat_in: None });
    };
    let (window, round) = windows[index];
    let repeat_in = index
        .checked_sub(1)
        .map(|before| windows[before])
        .filter(|(before, _)| at < window.opens && at < before.closes.plus(REPEAT_LOOKBACK))
        .map(|(_, id)| id);
    Some(Choice { round, repeat_in })
}

/// When the next window of this kind opens after an instant.
#[must_use]
pub fn next_opening<'a>(
    rounds: impl IntoIterator<Item = &'a RoundSpec>,
    verb: Verb,
    at: Timestamp,
) -> Option<Timestamp> {
    rounds.into_iter().filter_map(|round| verb.window(round)).map(|w| w.opens).filter(|opens| *opens > at).min()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::Validity;
    use crate::supply::Supply;

    fn second(s: i64) -> Timestamp {
        Timestamp::from_micros(s * 1_000_000)
    }

    /// Round n claims in [1000 n, 1000 n + 60) and reserves in the 300 to 60 seconds before.
    fn round(n: u32) -> RoundSpec {
        let start = i64::from(n) * 1000;
        RoundSpec {
            id: RoundId::from_number(n).expect("a round"),
            reserve: Some(Window { opens: second(start - 300), closes: second(start - 60) }),
            claim: Window { opens: second(start), closes: second(start + 60) },
            supply: Supply::Fixed(1),
            max_places: 10,
            validity: Validity::At(second(1_000_000)),
            key_id: 0,
            revision: 1,
            registered_users_only: false,
            draw: None,
        }
    }

    fn chosen(verb: Verb, at: i64) -> (u32, Option<u32>) {
        let choice = choose(&[round(2), round(1)], verb, second(at)).expect("there are rounds");
        (choice.round.number(), choice.repeat_in.map(RoundId::number))
    }

    #[test]
    fn the_earliest_round_whose_window_has_not_closed() {
        assert_eq!(chosen(Verb::Reserve, 939), (1, None));
        assert_eq!(chosen(Verb::Reserve, 1700), (2, None));
        assert_eq!(chosen(Verb::Claim, 1059), (1, None));
        assert_eq!(chosen(Verb::Claim, 2000), (2, None));
    }

    #[test]
    fn a_repeat_counts_for_ten_minutes_while_the_next_window_is_not_open() {
        assert_eq!(chosen(Verb::Claim, 1060), (2, Some(1)));
        assert_eq!(chosen(Verb::Claim, 1659), (2, Some(1)));
        assert_eq!(chosen(Verb::Claim, 1660), (2, None));
        assert_eq!(chosen(Verb::Reserve, 940), (2, Some(1)));
    }

    #[test]
    fn after_the_last_round_it_is_the_last_one() {
        assert_eq!(chosen(Verb::Claim, 9999), (2, None));
        assert_eq!(choose(&[], Verb::Claim, second(0)), None);
    }

    #[test]
    fn the_next_opening_is_that_of_a_later_round() {
        assert_eq!(next_opening(&[round(1), round(2)], Verb::Claim, second(1000)), Some(second(2000)));
        assert_eq!(next_opening(&[round(1), round(2)], Verb::Claim, second(2000)), None);
    }
}
