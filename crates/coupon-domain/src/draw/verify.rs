//! Checks a published draw step by step, from nothing but its file, and says in plain words what each step shows.

use std::fmt::Display;

use super::merkle::TreeBuilder;
use super::{DrawKey, Outcome, PublishedDraw, Seed, Step, beacon, hex, leaf, rank};
use crate::ids::UserId;
use crate::supply::Rounding;

/// How many winning tickets an explanation lists.
const LISTED: usize = 10;

impl PublishedDraw {
    /// Works out the commit, the root, the key, the number of winners and the last winner's score again, and compares them with the
    /// file's: no step failed if the draw is right.
    ///
    /// The commit and the root in the file are those that were published in time only if the reader compares them with what was seen
    /// then; until the seed is published, only the root can be checked.
    #[must_use]
    pub fn verify(&self) -> Vec<Step> {
        let Some(seed) = &self.seed else {
            let unknown = ["commit", "beacon", "key", "winners", "last score"].map(|name| self.without_seed(name));
            return [vec![self.check_root()], unknown.to_vec()].concat();
        };
        let key = self.key_from(seed);
        vec![
            self.check_root(),
            self.check_commit(seed),
            self.check_beacon(),
            self.check_key(&key),
            self.check_winners(),
            self.check_last_score(&key),
        ]
    }

    /// Checks one user's place: that it took part, with which score and rank, and whether it won. Together with
    /// [`PublishedDraw::verify`] it says all about a place; a place that did not win passes too.
    #[must_use]
    pub fn check_place(&self, ticket: u32, user: &UserId, receipt: &[u8; 16]) -> Vec<Step> {
        let leaf = leaf(ticket, user, receipt);
        let own_place = Step::judge(
            "own place",
            self.leaves.get(ticket as usize) == Some(&leaf),
            format!("Ticket {ticket} of user {user} with this receipt has the leaf {leaf}."),
            "It is in the list at this ticket, so the place took part in the draw.",
            "It is not in the list at this ticket: ticket, user or receipt are not those of a place in this round, or the place was left out.",
        );
        let Some(seed) = &self.seed else {
            return vec![own_place, self.without_seed("own score"), self.without_seed("own result")];
        };
        let key = self.key_from(seed);
        vec![own_place, self.own_score(&key, ticket), self.own_result(&key, ticket)]
    }

    fn beacon_bytes(&self) -> Vec<u8> {
        match (&self.beacon_source, &self.beacon) {
            (Some(source), Some(bytes)) => beacon(source, bytes),
            (None, _) | (_, None) => Vec::new(),
        }
    }

    fn key_from(&self, seed: &Seed) -> DrawKey {
        DrawKey::of(seed, &self.params(), self.places, &self.root, &self.beacon_bytes())
    }

    fn winners_by_the_rules(&self) -> u32 {
        self.params().winners(self.places, self.added, self.remaining_total)
    }

    /// Guards what takes time and memory by places: their number is believed only if there are so many leaves.
    fn leaves_are_complete(&self) -> bool {
        u32::try_from(self.leaves.len()) == Ok(self.places)
    }

    fn without_seed(&self, name: &'static str) -> Step {
        let sealed = self.key.is_none() && self.winners.is_none() && self.last_score.is_none();
        let (outcome, explanation) = if sealed {
            (Outcome::NotPublished, "The seed is published after the claims close, and this can be checked then.")
        } else {
            (
                Outcome::Failed,
                "The seed is missing, although what was worked out from it is there: it was taken out of the file.",
            )
        };
        Step { name, outcome, explanation: explanation.to_owned() }
    }

    fn check_root(&self) -> Step {
        let computed = self.leaves.iter().copied().collect::<TreeBuilder>().root();
        Step::judge(
            "root",
            self.leaves_are_complete() && computed == self.root,
            format!(
                "The file lists {} leaves for {} places. Together they hash to {computed}; the root in the file is {}.",
                self.leaves.len(),
                self.places,
                self.root,
            ),
            "They agree. If this is the root that was published when reservation closed, no place was added, removed or changed since.",
            "They have to agree: a place was added, removed or changed, or the file is damaged.",
        )
    }

    fn check_commit(&self, seed: &Seed) -> Step {
        let computed = self.params().commit(seed);
        Step::judge(
            "commit",
            computed == self.commit,
            format!("The rules and the seed hash to {computed}; the commit in the file is {}.", self.commit),
            "They agree. If this is the commit that was published before reservation opened, neither the rules nor the seed were changed \
             since.",
            "They have to agree: the rules or the seed are not those that were committed to.",
        )
    }

    fn check_beacon(&self) -> Step {
        let name = "beacon";
        let (outcome, explanation) = match (&self.beacon_source, &self.beacon) {
            (None, None) => (
                Outcome::Passed,
                "The draw has no public randomness. That is allowed: the commit shows that the seed was not chosen after the places were \
                 known, but not that the operator did not know it."
                    .to_owned(),
            ),
            (Some(source), Some(bytes)) => (
                Outcome::Passed,
                format!(
                    "The draw used the public randomness {source}, which was {}. Compare it with what its source published.",
                    hex::encode(bytes),
                ),
            ),
            (Some(source), None) => (
                Outcome::NotPublished,
                format!(
                    "The public randomness {source} was announced, but the file has no bytes of it, so the draw went without. Ask why: \
                     whoever leaves it out has a choice between two results."
                ),
            ),
            (None, Some(_)) => (
                Outcome::Failed,
                "The file has bytes of a public randomness whose source was not announced; a draw cannot have used them.".to_owned(),
            ),
        };
        Step { name, outcome, explanation }
    }

    fn check_key(&self, key: &DrawKey) -> Step {
        Step::judge(
            "key",
            self.key == Some(key.reveal()),
            format!(
                "The seed, the rules, the number of places, the root and the beacon give the key {}; the key in the file is {}.",
                key.reveal(),
                or_missing(self.key),
            ),
            "They agree: the order of the places follows from these alone.",
            "They have to agree: the scores are not those of this seed and these places.",
        )
    }

    fn check_winners(&self) -> Step {
        let winners = self.winners_by_the_rules();
        let mut figures = vec![match self.ratio {
            Some(ratio) => format!(
                "{} places x {}/{}, rounded {}, is {}",
                self.places,
                ratio.numerator(),
                ratio.denominator(),
                match ratio.rounding() {
                    Rounding::Floor => "down",
                    Rounding::Ceil => "up",
                    Rounding::Nearest => "to the nearest, half up",
                },
                ratio.of(self.places),
            ),
            None => format!("The supply is fixed at {}", self.cap),
        }];
        if self.ratio.is_some() && self.cap > 0 {
            figures.push(format!("capped at {}", self.cap));
        }
        if self.added > 0 {
            figures.push(format!("plus {} added before reservation closed", self.added));
        }
        figures.push(format!("at most the {} places", self.places));
        if let Some(remaining) = self.remaining_total {
            figures.push(format!("at most the {remaining} that the campaign had left"));
        }
        Step::judge(
            "winners",
            self.winners == Some(winners),
            format!(
                "{}: W, the number of winners, is {winners}; the file says {}.",
                figures.join(", "),
                or_missing(self.winners),
            ),
            "They agree: as many places won as the rules say.",
            "They have to agree: not as many places won as the rules say.",
        )
    }

    fn check_last_score(&self, key: &DrawKey) -> Step {
        let name = "last score";
        if !self.leaves_are_complete() {
            return self.without_all_leaves(name);
        }
        let winners = self.winners_by_the_rules();
        let ranking = rank(key, self.places);
        let computed = ranking.last_score(key, winners);
        let lowest: Vec<String> =
            ranking.winning_tickets(winners).take(LISTED).map(|ticket| ticket.to_string()).collect();
        let figures = match computed {
            None => format!(
                "Nobody won, so there is no last winner's score; the file says {}.",
                or_missing(self.last_score)
            ),
            Some(score) => format!(
                "With every place in the order of its score, number {winners} has the score {score}; the file says {}. The lowest winning \
                 tickets are {}.",
                or_missing(self.last_score),
                lowest.join(", "),
            ),
        };
        Step::judge(
            name,
            self.last_score == computed,
            figures,
            "They agree: a place won if its score is not above this one, and no other place did.",
            "They have to agree: other places won than the scores say.",
        )
    }

    fn own_score(&self, key: &DrawKey, ticket: u32) -> Step {
        Step::judge(
            "own score",
            self.key == Some(key.reveal()),
            format!("The key gives ticket {ticket} the score {}; the lowest scores win.", key.score(ticket)),
            "The score follows from the seed and the ticket alone.",
            "The score is worked out from the seed; the key in the file is another one.",
        )
    }

    fn own_result(&self, key: &DrawKey, ticket: u32) -> Step {
        let name = "own result";
        if !self.leaves_are_complete() {
            return self.without_all_leaves(name);
        }
        let own = (key.score(ticket), ticket);
        let better = (0..self.places).filter(|other| (key.score(*other), *other) < own).count();
        let winners = self.winners_by_the_rules();
        let won = better < winners as usize;
        Step::judge(
            name,
            ticket < self.places && won == self.last_score.is_some_and(|last| own.0 <= last),
            format!(
                "{better} of {} places have a lower score and {winners} win: this place {}.",
                self.places,
                if won { "won" } else { "was not drawn" },
            ),
            "The last winner's score in the file says the same.",
            "The last winner's score in the file says otherwise, or there is no such ticket.",
        )
    }

    fn without_all_leaves(&self, name: &'static str) -> Step {
        let explanation = format!(
            "This cannot be worked out: the file lists {} leaves for {} places.",
            self.leaves.len(),
            self.places
        );
        Step { name, outcome: Outcome::Failed, explanation }
    }
}

fn or_missing<T: Display>(value: Option<T>) -> String {
    value.map_or_else(|| "nothing".to_owned(), |value| value.to_string())
}
