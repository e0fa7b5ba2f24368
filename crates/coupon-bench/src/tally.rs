//! What came back, and how long it took: counted by whoever asked, without a lock, and added up at the end.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use coupon_proto::v1::RefusalReason;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer as _, V2Serializer};
use serde::{Deserialize, Serialize};
use tonic::Code;

use crate::report::{Latency, Second};

/// Latencies are told apart up to an hour, in microseconds.
const LONGEST: u64 = 3_600_000_000;
/// Digits that a latency of the whole load keeps.
const DIGITS: u8 = 3;
/// Digits that a latency of one second keeps.
const DIGITS_OF_A_SECOND: u8 = 2;

/// An answer, as far as a generator looks at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// What was asked for: a coupon or a place with this number, if there is one.
    Yes(Option<u64>),
    /// A refusal with this reason, a `RefusalReason`.
    No(i32),
    /// No answer but a status.
    Fault(Code),
    /// The request was not sent: too many were unanswered.
    NotSent,
}

/// Answers of one kind: how many, and how long they took.
#[derive(Debug, Clone)]
struct Latencies(Histogram<u64>);

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct Tally {
    successes: Latencies,
    refusals: Latencies,
    faults: Latencies,
    reasons: BTreeMap<i32, u64>,
    codes: BTreeMap<String, u64>,
    course: Vec<SecondTally>,
    /// Answers before this do not count; seconds are counted from it.
    origin: Instant,
    last: Duration,
}

#[derive(Debug, Clone)]
struct SecondTally {
    refusals: u64,
    faults: u64,
    successes: Latencies,
}

/// A tally to hand over to another process: histograms as HdrHistogram writes them (V2, in base64).
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct TallyParts {
    successes: String,
    refusals: String,
    faults: String,
    reasons: BTreeMap<i32, u64>,
    codes: BTreeMap<String, u64>,
    course: Vec<(u64, u64, String)>,
    last: Duration,
}

impl Latencies {
    fn with_digits(digits: u8) -> Self {
        // The bounds are constants that it accepts.
        Self(Histogram::new_with_bounds(1, LONGEST, digits).expect("sound bounds"))
    }

    fn record(&mut self, latency: Duration) {
        self.0.saturating_record(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX).max(1));
    }

    fn add(&mut self, other: &Self) {
        // It fails only for bounds that are wider than these, and all have the same.
        let _same_bounds = self.0.add(&other.0);
    }

    fn quantile(&self, quantile: f64) -> u64 {
        self.0.value_at_quantile(quantile)
    }

    fn latency(&self) -> Option<Latency> {
        (!self.0.is_empty()).then(|| Latency {
            p50: self.quantile(0.5),
            p90: self.quantile(0.9),
            p99: self.quantile(0.99),
            p999: self.quantile(0.999),
            max: self.0.max(),
        })
    }

    fn part(&self) -> anyhow::Result<String> {
        let mut bytes = Vec::new();
        V2Serializer::new().serialize(&self.0, &mut bytes)?;
        Ok(STANDARD.encode(bytes))
    }

    fn of_part(part: &str) -> anyhow::Result<Self> {
        Ok(Self(Deserializer::new().deserialize(&mut STANDARD.decode(part)?.as_slice())?))
    }
}

impl SecondTally {
    fn new() -> Self {
        Self { refusals: 0, faults: 0, successes: Latencies::with_digits(DIGITS_OF_A_SECOND) }
    }

    fn add(&mut self, other: &Self) {
        self.refusals += other.refusals;
        self.faults += other.faults;
        self.successes.add(&other.successes);
    }
}

impl Tally {
    /// Nothing yet; the load begins at this instant.
    #[must_use]
    pub(crate) fn new(origin: Instant) -> Self {
        Self {
            successes: Latencies::with_digits(DIGITS),
            refusals: Latencies::with_digits(DIGITS),
            faults: Latencies::with_digits(DIGITS),
            reasons: BTreeMap::new(),
            codes: BTreeMap::new(),
            course: Vec::new(),
            origin,
            last: Duration::ZERO,
        }
    }

    /// Counts an answer that came now to a request that was sent, or was to be sent, then.
    pub(crate) fn count(&mut self, answer: Answer, sent: Instant, now: Instant) {
        let latency = now.saturating_duration_since(sent);
        let since = now.saturating_duration_since(self.origin);
        self.last = self.last.max(since);
        let second = self.second(since);
        match answer {
            Answer::Yes(_) => {
                second.successes.record(latency);
                self.successes.record(latency);
            }
            Answer::No(reason) => {
                second.refusals += 1;
                self.refusals.record(latency);
                *self.reasons.entry(reason).or_default() += 1;
            }
            Answer::Fault(code) => {
                second.faults += 1;
                self.faults.record(latency);
                self.count_code(&name_of_code(code));
            }
            // It has no latency.
            Answer::NotSent => {
                second.faults += 1;
                self.count_code("not sent");
            }
        }
    }

    fn second(&mut self, since: Duration) -> &mut SecondTally {
        let index = usize::try_from(since.as_secs()).unwrap_or(0);
        if self.course.len() <= index {
            self.course.resize_with(index + 1, SecondTally::new);
        }
        &mut self.course[index]
    }

    fn count_code(&mut self, name: &str) {
        match self.codes.get_mut(name) {
            Some(count) => *count += 1,
            None => drop(self.codes.insert(name.to_owned(), 1)),
        }
    }

    /// Adds what another one counted at the same time.
    pub(crate) fn add(&mut self, other: &Self) {
        self.add_from(other, 0);
    }

    /// Adds what another one counted after this one; the time between does not count.
    pub(crate) fn append(&mut self, other: &Self) {
        let (before, from) = (self.last, self.course.len());
        self.add_from(other, from);
        self.last = before + other.last;
    }

    fn add_from(&mut self, other: &Self, from: usize) {
        self.successes.add(&other.successes);
        self.refusals.add(&other.refusals);
        self.faults.add(&other.faults);
        other.reasons.iter().for_each(|(reason, count)| *self.reasons.entry(*reason).or_default() += count);
        other.codes.iter().for_each(|(code, count)| *self.codes.entry(code.clone()).or_default() += count);
        if self.course.len() < from + other.course.len() {
            self.course.resize_with(from + other.course.len(), SecondTally::new);
        }
        self.course[from..].iter_mut().zip(&other.course).for_each(|(ours, theirs)| ours.add(theirs));
        self.last = self.last.max(other.last);
    }

    /// From the first request to the last answer.
    #[must_use]
    pub(crate) fn took(&self) -> Duration {
        self.last
    }

    /// Answers that were what was asked for.
    #[must_use]
    pub(crate) fn successes(&self) -> u64 {
        self.successes.0.len()
    }

    /// How long they took.
    #[must_use]
    pub(crate) fn success_latency(&self) -> Option<Latency> {
        self.successes.latency()
    }

    /// How long refusals took.
    #[must_use]
    pub(crate) fn refusal_latency(&self) -> Option<Latency> {
        self.refusals.latency()
    }

    /// How long it took until a fault was told.
    #[must_use]
    pub(crate) fn fault_latency(&self) -> Option<Latency> {
        self.faults.latency()
    }

    /// Refusals by reason, as the contract names them without its prefix.
    #[must_use]
    pub(crate) fn refusals(&self) -> BTreeMap<String, u64> {
        self.reasons.iter().map(|(reason, count)| (name_of_reason(*reason), *count)).collect()
    }

    /// Faults by status, as gRPC names them.
    #[must_use]
    pub(crate) fn faults(&self) -> BTreeMap<String, u64> {
        self.codes.clone()
    }

    /// A row for each second.
    #[must_use]
    pub(crate) fn course(&self) -> Vec<Second> {
        let rows = self.course.iter().zip(0..);
        let row = |(second, at): (&SecondTally, u64)| Second {
            at,
            successes: second.successes.0.len(),
            refusals: second.refusals,
            faults: second.faults,
            p50: second.successes.quantile(0.5),
            p99: second.successes.quantile(0.99),
        };
        rows.map(row).collect()
    }

    /// What another process can read.
    ///
    /// # Errors
    /// If a histogram cannot be written.
    pub(crate) fn parts(&self) -> anyhow::Result<TallyParts> {
        let second = |second: &SecondTally| Ok((second.refusals, second.faults, second.successes.part()?));
        Ok(TallyParts {
            successes: self.successes.part()?,
            refusals: self.refusals.part()?,
            faults: self.faults.part()?,
            reasons: self.reasons.clone(),
            codes: self.codes.clone(),
            course: self.course.iter().map(second).collect::<anyhow::Result<_>>()?,
            last: self.last,
        })
    }

    /// What another process has counted.
    ///
    /// # Errors
    /// If the parts are none.
    pub(crate) fn of_parts(parts: &TallyParts) -> anyhow::Result<Self> {
        let second = |(refusals, faults, successes): &(u64, u64, String)| {
            let successes = Latencies::of_part(successes)?;
            Ok(SecondTally { refusals: *refusals, faults: *faults, successes })
        };
        Ok(Self {
            successes: Latencies::of_part(&parts.successes)?,
            refusals: Latencies::of_part(&parts.refusals)?,
            faults: Latencies::of_part(&parts.faults)?,
            reasons: parts.reasons.clone(),
            codes: parts.codes.clone(),
            course: parts.course.iter().map(second).collect::<anyhow::Result<_>>()?,
            origin: Instant::now(),
            last: parts.last,
        })
    }
}

fn name_of_reason(reason: i32) -> String {
    let reason = RefusalReason::try_from(reason).unwrap_or_default().as_str_name();
    reason.trim_start_matches("REFUSAL_REASON_").to_owned()
}

/// As gRPC writes it: `DEADLINE_EXCEEDED`.
fn name_of_code(code: Code) -> String {
    let mut name = String::new();
    for (index, letter) in format!("{code:?}").chars().enumerate() {
        if letter.is_uppercase() && index > 0 {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLISECOND: Duration = Duration::from_millis(1);

    /// So many answers, each a millisecond after the one before, and each that late.
    fn tally(answers: impl IntoIterator<Item = Answer>, latency: Duration) -> Tally {
        let origin = Instant::now();
        let mut tally = Tally::new(origin);
        for (answer, n) in answers.into_iter().zip(1..) {
            let now = origin + latency + n * MILLISECOND;
            tally.count(answer, now - latency, now);
        }
        tally
    }

    fn mixed() -> Tally {
        let answers = [
            Answer::Yes(Some(1)),
            Answer::No(RefusalReason::SoldOut.into()),
            Answer::Fault(Code::ResourceExhausted),
            Answer::NotSent,
        ];
        tally(answers.into_iter().cycle().take(4000), 5 * MILLISECOND)
    }

    #[test]
    fn answers_refusals_and_faults_are_counted_and_timed_apart() {
        let tally = mixed();
        assert_eq!(tally.successes(), 1000);
        assert_eq!(tally.refusals(), BTreeMap::from([("SOLD_OUT".to_owned(), 1000)]));
        let faults = BTreeMap::from([("RESOURCE_EXHAUSTED".to_owned(), 1000), ("not sent".to_owned(), 1000)]);
        assert_eq!(tally.faults(), faults);
        assert_eq!(tally.fault_latency().map(|latency| latency.max / 100), Some(50));
        assert_eq!(tally.course().len(), 5);
        assert_eq!(tally.course().iter().map(|second| second.successes).sum::<u64>(), 1000);
    }

    #[test]
    fn what_several_counted_is_what_one_would_have_counted() {
        let (fast, slow) = (vec![Answer::Yes(None); 990], vec![Answer::Yes(None); 10]);
        let mut all = tally(fast, MILLISECOND);
        all.add(&tally(slow, 100 * MILLISECOND));
        let latency = all.success_latency().expect("successes");
        assert_eq!((latency.p50 / 100, latency.p99 / 100), (10, 10));
        assert!(latency.p999 >= 100_000 && latency.max >= 100_000, "{latency:?}");
        assert_eq!(all.successes(), 1000);
    }

    #[test]
    fn what_came_later_is_counted_from_then_on() {
        let mut all = tally(vec![Answer::Yes(None); 1500], MILLISECOND);
        all.append(&tally(vec![Answer::Yes(None); 500], MILLISECOND));
        assert_eq!(all.took(), 2002 * MILLISECOND);
        assert_eq!(all.course().iter().map(|second| second.successes).collect::<Vec<_>>(), [998, 502, 500]);
    }

    #[test]
    fn a_tally_survives_the_way_to_another_process() {
        let ours = mixed();
        let text = serde_json::to_string(&ours.parts().expect("parts")).expect("JSON");
        let theirs = Tally::of_parts(&serde_json::from_str(&text).expect("JSON")).expect("whole parts");
        let summary =
            |tally: &Tally| format!("{:?} {:?} {:?}", tally.success_latency(), tally.course(), tally.faults());
        assert_eq!(summary(&ours), summary(&theirs));
        assert_eq!(ours.took(), theirs.took());
    }
}
