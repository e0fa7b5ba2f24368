//! What a courier carries: events that wait to be told, and what has become of the others.

use std::collections::HashSet;
use std::time::Duration;

use coupon_domain::ports::{Event, EventKind, FeedPage, NotTold, Parked, Parking, Progress};

use super::Pace;
use super::health::Verdict;

/// What is noted of an event beside itself.
#[derive(Debug)]
pub(super) struct Tag {
    pub(super) position: i64,
    pub(super) key: String,
    /// How often it was tried.
    attempts: u32,
    /// Whether it is parked.
    parked: bool,
}

/// Events to be told at once: no two of one key.
#[derive(Debug, Default)]
pub(super) struct Wave {
    pub(super) tags: Vec<Tag>,
    pub(super) events: Vec<Event>,
}

impl Wave {
    fn push(&mut self, (tag, event): (Tag, Event)) {
        self.tags.push(tag);
        self.events.push(event);
    }
}

/// An event that will not be tried any more.
#[derive(Debug)]
pub(super) struct Dead {
    pub(super) position: i64,
    pub(super) id: String,
    pub(super) kind: EventKind,
    pub(super) attempts: u32,
    pub(super) error: String,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Load {
    /// Neither told nor parked yet, in order.
    fresh: Vec<(Tag, Event)>,
    /// All events of the feed up to here were fetched.
    up_to: i64,
    /// Whether any was told since progress was last taken down.
    told: bool,
    taken: Vec<i64>,
    parked: Vec<Parking>,
}

impl Load {
    pub(super) fn behind(position: i64) -> Self {
        Self { up_to: position, ..Self::default() }
    }

    pub(super) fn up_to(&self) -> i64 {
        self.up_to
    }

    /// Whether nothing waits but what is parked.
    pub(super) fn is_empty(&self) -> bool {
        self.fresh.is_empty()
    }

    /// Takes a page of the feed on.
    pub(super) fn add(&mut self, page: FeedPage) {
        let tagged = page.events.into_iter().map(|(position, event)| {
            let tag = Tag { position, key: event.key(), attempts: 0, parked: false };
            (tag, event)
        });
        self.fresh.extend(tagged);
        self.up_to = self.up_to.max(page.up_to);
    }

    /// The keys of what waits, each once.
    pub(super) fn keys(&self) -> Vec<String> {
        let keys: HashSet<&String> = self.fresh.iter().map(|(tag, _)| &tag.key).collect();
        keys.into_iter().cloned().collect()
    }

    /// Parks what waits of these keys, behind what is parked of them.
    pub(super) fn park_behind(&mut self, keys: &HashSet<String>) {
        if keys.is_empty() {
            return;
        }
        for (tag, _) in self.fresh.extract_if(.., |(tag, _)| keys.contains(&tag.key)) {
            self.parked.push(Parking {
                position: tag.position,
                key: tag.key,
                attempts: 0,
                retry_in: Some(Duration::ZERO),
                error: "waits for an earlier event of its key".to_owned(),
            });
        }
    }

    /// The next wave: parked events that are due, up to half of it while others wait, and those in their order.
    pub(super) fn wave(&mut self, due: Vec<Parked>, width: usize) -> Wave {
        let share = if self.fresh.is_empty() { width } else { width.div_ceil(2) };
        let mut wave = Wave::default();
        due.into_iter().take(share).map(tagged).for_each(|event| wave.push(event));
        // A dead letter that was made due again does not stop its key; still it must not be told at once with another one of it.
        let mut keys: HashSet<String> = wave.tags.iter().map(|tag| tag.key.clone()).collect();
        let mut room = width.saturating_sub(wave.tags.len());
        // Once there is no room any more nothing is taken, so nothing overtakes an event of its key.
        let chosen = self.fresh.extract_if(.., |(tag, _)| {
            let fits = room > 0 && keys.insert(tag.key.clone());
            room -= usize::from(fits);
            fits
        });
        chosen.for_each(|event| wave.push(event));
        wave
    }

    /// A single event, any that may be told now: if it is always the same that fails, others are tried too. Most often one that was not
    /// tried before: what is parked has failed already.
    pub(super) fn probe(&mut self, mut due: Vec<Parked>) -> Wave {
        let mut wave = Wave::default();
        if !due.is_empty() && (self.fresh.is_empty() || rand::random_ratio(1, 4)) {
            let any = rand::random_range(0..due.len());
            wave.push(tagged(due.swap_remove(any)));
        } else if !self.fresh.is_empty() {
            let any = rand::random_range(0..self.fresh.len());
            let key = &self.fresh[any].0.key;
            let first = self.fresh.iter().position(|(tag, _)| tag.key == *key).unwrap_or(any);
            wave.push(self.fresh.remove(first));
        }
        wave
    }

    /// Takes note of what has become of a wave; answers which of its events are dead letters now.
    pub(super) fn settle(
        &mut self,
        wave: Wave,
        answers: Vec<Result<(), NotTold>>,
        verdict: Verdict,
        pace: &Pace,
    ) -> Vec<Dead> {
        let mut failed = Vec::new();
        for ((tag, event), answer) in wave.tags.into_iter().zip(wave.events).zip(answers) {
            match answer {
                Ok(()) => {
                    self.told = true;
                    self.taken.extend(tag.parked.then_some(tag.position));
                }
                Err(_) if verdict != Verdict::Up && !tag.parked => self.fresh.push((tag, event)),
                Err(why) => failed.push((tag, event, why)),
            }
        }
        self.fresh.sort_by_key(|(tag, _)| tag.position);
        // That the receiver is down does not count against an event. But where nothing else waits that could tell whether it is, these
        // may be to blame themselves; then it counts, and their waits are so long that an outage of hours makes no dead letter.
        if verdict != Verdict::Up && !self.fresh.is_empty() {
            return Vec::new();
        }
        let mut blocked = HashSet::new();
        let mut dead = Vec::new();
        for (tag, event, NotTold(error)) in failed {
            let attempts = tag.attempts.saturating_add(1);
            let retry_in = (attempts < pace.max_attempts).then(|| pace.retry.after(attempts));
            if retry_in.is_some() {
                blocked.insert(tag.key.clone());
            } else {
                let (id, kind, error) = (event.id, event.kind, error.clone());
                dead.push(Dead { position: tag.position, id, kind, attempts, error });
            }
            self.parked.push(Parking { position: tag.position, key: tag.key, attempts, retry_in, error });
        }
        self.park_behind(&blocked);
        dead
    }

    /// All events up to here are told or parked.
    pub(super) fn position(&self) -> i64 {
        self.fresh.first().map_or(self.up_to, |(tag, _)| tag.position - 1)
    }

    /// Whether there is something that should be written down at once.
    pub(super) fn is_urgent(&self) -> bool {
        !self.taken.is_empty() || !self.parked.is_empty() || (self.told && self.fresh.is_empty())
    }

    /// What was done since this was last asked.
    pub(super) fn progress(&mut self) -> Progress {
        self.told = false;
        Progress {
            position: Some(self.position()),
            taken: std::mem::take(&mut self.taken),
            parked: std::mem::take(&mut self.parked),
        }
    }
}

fn tagged(Parked { position, event, attempts }: Parked) -> (Tag, Event) {
    (Tag { position, key: event.key(), attempts, parked: true }, event)
}
