//! What becomes of decisions that were answered and are in no store any more: they are declared lost, and burnt.
//!
//! Nobody knows what they were. So that no coupon is given twice, as many serials and tickets as decisions were lost go to nobody (users
//! `lost:<n>`), in each round that could have given them; the campaign is paused until an operator has read the report and resumes it.

use crate::campaign::CampaignState;
use crate::ids::UserId;
use crate::journal::{Entry, Row};
use crate::model::RoundView;
use crate::recording::Cursor;
use crate::round::Phase;
use crate::time::Timestamp;

/// The prefix of the users to whom burnt places and coupons belong.
pub const NOBODY: &str = "lost:";

/// The verb of the pause.
const VERB: &str = "LOST";

/// What is known when a loss is declared.
#[derive(Debug, Clone, Copy)]
pub struct Loss<'a> {
    /// Where the ledger is: all before it is safe.
    pub cursor: Cursor,
    /// The highest decision that anybody was told of.
    pub acknowledged: u64,
    /// The recovery's epoch.
    pub epoch: u64,
    /// The time of the declaration.
    pub at: Timestamp,
    /// Where the campaign stands.
    pub state: CampaignState,
    /// Coupons that the campaign may still give; `None` without a total limit.
    pub left_in_total: Option<u64>,
    /// Its rounds, as the ledger has them.
    pub rounds: &'a [RoundView],
}

impl Loss<'_> {
    /// How many decisions are lost.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.acknowledged.saturating_sub(self.cursor.position.n)
    }

    /// The journal entry that declares it, to be recorded like any other; `None` if nothing is lost.
    #[must_use]
    pub fn entry(&self) -> Option<Entry> {
        let lost = self.count();
        if lost == 0 {
            return None;
        }
        let first = self.cursor.position.n + 1;
        let mut last = self.cursor.position.n;
        let mut rows = Vec::new();
        let mut left_in_total = self.left_in_total;
        for round in self.rounds {
            for row in self.burnt(round, last, left_in_total) {
                if let Row::Coupons { users, .. } = &row {
                    left_in_total = left_in_total.map(|left| left.saturating_sub(users.len() as u64));
                }
                last += row.decisions();
                rows.push(row);
            }
        }
        if self.state == CampaignState::Active {
            last += 1;
            rows.push(Row::State { state: CampaignState::Paused, verb: VERB.to_owned(), request: None });
        }
        if last < self.acknowledged {
            rows.push(Row::Lost { count: self.acknowledged - last });
            last = self.acknowledged;
        }
        let at = self.cursor.last_at.map_or(self.at, |earlier| earlier.max(self.at));
        let rows: Vec<_> = rows.iter().map(Row::to_line).collect();
        Some(Entry { epoch: self.epoch, first, last, at, prev: self.cursor.chain, rows: rows.join("\n") })
    }

    /// The places and coupons of a round that could have been among the lost.
    fn burnt(&self, round: &RoundView, after: u64, left_in_total: Option<u64>) -> Vec<Row> {
        let id = round.spec.id;
        let reserving =
            round.spec.reserve.is_some_and(|window| self.at >= window.opens) && round.phase <= Phase::Reserving;
        // Winners are worked out from places that the ledger has: before it knows that reservation has closed, none can have claimed.
        let may_have_won = round.spec.draw.is_none() || round.phase > Phase::Reserving;
        let claiming = self.at >= round.claim().opens && round.phase < Phase::Closed && may_have_won;
        let tickets =
            if reserving { self.up_to(u64::from(round.spec.max_places.saturating_sub(round.places))) } else { 0 };
        let serials = if claiming { self.up_to(self.coupons_left(round, tickets, left_in_total)) } else { 0 };
        let mut n = after;
        let mut nobodies = |count: u32| -> Vec<UserId> {
            let names = (0..count).filter_map(|_| {
                n += 1;
                UserId::parse(&format!("{NOBODY}{n}")).ok()
            });
            names.collect()
        };
        let places = Row::Places { round: id, first_ticket: round.places, users: nobodies(tickets) };
        let coupons = Row::Coupons { round: id, first_serial: round.issued, users: nobodies(serials) };
        [places, coupons].into_iter().filter(|row| row.decisions() > 0).collect()
    }

    fn up_to(&self, limit: u64) -> u32 {
        u32::try_from(self.count().min(limit)).unwrap_or(u32::MAX)
    }

    fn coupons_left(&self, round: &RoundView, burnt_places: u32, left_in_total: Option<u64>) -> u64 {
        let closed = || round.spec.supply_for(round.places + burnt_places, round.added, left_in_total);
        let supply = round.supply.or_else(closed);
        let left = supply.map(|supply| u64::from(supply.saturating_sub(round.issued)));
        // Nobody without a place can have got one.
        let seated = round.spec.reserve.map(|_| u64::from((round.places + burnt_places).saturating_sub(round.issued)));
        [left, seated, left_in_total].into_iter().flatten().min().unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::Validity;
    use crate::ids::RoundId;
    use crate::position::Position;
    use std::time::Duration;

    use crate::draw::Hash;
    use crate::round::{DrawPlan, RoundSpec};
    use crate::supply::Supply;
    use crate::time::Window;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_micros(second * 1_000_000)
    }

    fn round(supply: u32, issued: u32, phase: Phase) -> RoundView {
        let spec = RoundSpec {
            id: RoundId::from_number(7).expect("a round"),
            reserve: Some(Window { opens: at(0), closes: at(100) }),
            claim: Window { opens: at(200), closes: at(300) },
            supply: Supply::Fixed(supply),
            max_places: 12,
            validity: Validity::At(at(1000)),
            key_id: 0,
            revision: 1,
            registered_users_only: false,
            draw: None,
        };
        let (added, drawn, delay) = (0, false, Duration::ZERO);
        RoundView { spec, phase, supply: Some(supply), places: 10, issued, added, drawn, delay }
    }

    fn loss(rounds: &[RoundView], second: i64) -> Loss<'_> {
        let cursor = Cursor { position: Position { epoch: 1, n: 20 }, ..Cursor::default() };
        let (state, left_in_total) = (CampaignState::Active, None);
        Loss { cursor, acknowledged: 25, epoch: 2, at: at(second), state, left_in_total, rounds }
    }

    #[test]
    fn nothing_lost_is_nothing_declared() {
        let rounds = [round(100, 3, Phase::Claiming)];
        assert_eq!(Loss { acknowledged: 20, ..loss(&rounds, 250) }.entry(), None);
    }

    #[test]
    fn as_many_serials_as_decisions_go_to_nobody_and_the_campaign_is_paused() {
        let rounds = [round(100, 3, Phase::Claiming)];
        let entry = loss(&rounds, 250).entry().expect("a loss");
        assert_eq!(entry.rows, "coupon r-7 3 lost:21 lost:22 lost:23 lost:24 lost:25\nstate PAUSED LOST -");
        assert_eq!((entry.first, entry.last, entry.epoch), (21, 26, 2));
        assert!(entry.parse().is_ok());
    }

    #[test]
    fn no_more_is_burnt_than_there_is_and_the_numbers_go_on_all_the_same() {
        let rounds = [round(5, 3, Phase::Claiming)];
        let entry = loss(&rounds, 250).entry().expect("a loss");
        assert_eq!(entry.rows, "coupon r-7 3 lost:21 lost:22\nstate PAUSED LOST -\nlost 2");
        assert_eq!((entry.last, entry.parse().map(|rows| rows.len())), (25, Ok(3)));
    }

    #[test]
    fn tickets_are_burnt_while_places_may_have_been_taken() {
        let rounds = [round(100, 0, Phase::Reserving)];
        let entry = loss(&rounds, 50).entry().expect("a loss");
        assert_eq!(entry.rows, "place r-7 10 lost:21 lost:22\nstate PAUSED LOST -\nlost 2");
    }

    #[test]
    fn rounds_that_share_a_total_limit_burn_no_more_of_it_than_is_left() {
        let second = RoundSpec { id: RoundId::from_number(8).expect("a round"), ..round(100, 0, Phase::Claiming).spec };
        let rounds = [round(100, 3, Phase::Claiming), RoundView { spec: second, ..round(100, 0, Phase::Claiming) }];
        let entry = Loss { left_in_total: Some(6), ..loss(&rounds, 250) }.entry().expect("a loss");
        let burnt = entry.rows.matches("lost:").count();
        assert_eq!(burnt, 6, "{}", entry.rows);
    }

    #[test]
    fn no_coupon_of_a_drawn_round_is_burnt_before_the_ledger_knows_its_places() {
        let draw = DrawPlan {
            commit: Hash::from([0; 32]),
            sealed_seed: String::new(),
            total_limit: None,
            beacon_source: None,
        };
        let drawn = |phase| {
            let plain = round(100, 0, phase);
            RoundView { spec: RoundSpec { draw: Some(draw.clone()), ..plain.spec.clone() }, ..plain }
        };
        let early = loss(&[drawn(Phase::Reserving)], 250).entry().expect("a loss");
        assert!(!early.rows.contains("coupon"), "{}", early.rows);
        let later = loss(&[drawn(Phase::Waiting)], 250).entry().expect("a loss");
        assert!(later.rows.starts_with("coupon r-7 0 lost:21"), "{}", later.rows);
    }
}
