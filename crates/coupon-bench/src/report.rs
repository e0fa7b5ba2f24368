//! What a bench has measured, as `--json` prints it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// All of one run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    /// Where it ran.
    pub machine: Machine,
    /// The command line, so that whoever reads it can repeat it.
    pub command: String,
    /// Each load, in the order of the run.
    pub measurements: Vec<Measurement>,
    /// Ratios within the run, by name; only a suite has them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub ratios: BTreeMap<String, f64>,
    /// Rates a second by what was measured, medians; only a suite has them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub rates: BTreeMap<String, f64>,
    /// Latencies by what was measured; only a suite has them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub latency: BTreeMap<String, Latency>,
}

/// What the figures depend on most.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Machine {
    /// Processors that this process may use.
    pub processors: usize,
    /// As the operating system calls it; empty if it does not say.
    pub processor: String,
    /// In bytes; 0 if it is not known.
    pub memory: u64,
    /// Name and release of the operating system.
    pub system: String,
}

/// One load.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Measurement {
    /// The load: `claim`, `claim-stream`, `empty`, ...
    pub load: String,
    /// What was loaded: `embedded`, `redis+postgres`, or an address.
    pub target: String,
    /// How: `closed, 256 callers`, `open, 5000/s`, ...
    pub drive: String,
    /// Seconds from the first request to the last answer.
    pub seconds: f64,
    /// Successful answers a second.
    pub rate: f64,
    /// Answers that were what was asked for.
    pub successes: u64,
    /// Refusals by reason, as the contract names them.
    pub refusals: BTreeMap<String, u64>,
    /// Faults by status, as gRPC names them.
    pub faults: BTreeMap<String, u64>,
    /// Of the successes; none without any.
    pub success_latency: Option<Latency>,
    /// Of the refusals; none without any.
    pub refusal_latency: Option<Latency>,
    /// Of the faults; none without any.
    pub fault_latency: Option<Latency>,
    /// The course of it, one row for each second.
    pub course: Vec<Second>,
    /// Whether answers, gate and ledger agree; none where nothing was to be counted.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub exactness: Option<Exactness>,
    /// Seconds from the first request until the ledger had all of it; none where nothing was to be recorded.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ledger_seconds: Option<f64>,
    /// Successes a second over those seconds: what can be kept up for ever.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sustained_rate: Option<f64>,
    /// What is not as it must be, in words; nothing in a good run.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub differences: Vec<String>,
}

/// In microseconds.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Latency {
    /// The median.
    pub p50: u64,
    /// One in ten took longer.
    pub p90: u64,
    /// One in a hundred took longer.
    pub p99: u64,
    /// One in a thousand took longer.
    pub p999: u64,
    /// The longest.
    pub max: u64,
}

/// One second of a load.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Second {
    /// Since the first request, rounded down.
    pub at: u64,
    /// Successes in it.
    pub successes: u64,
    /// Refusals in it.
    pub refusals: u64,
    /// Faults in it.
    pub faults: u64,
    /// Median latency of its successes, in microseconds; 0 without any.
    pub p50: u64,
    /// The latency that one in a hundred of its successes exceeded, in microseconds; 0 without any.
    pub p99: u64,
}

/// Coupons (or places) by everyone who counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exactness {
    /// Different ones in answers.
    pub answers: u64,
    /// Issued, as the gate says.
    pub gate: u64,
    /// Recorded, as the ledger says.
    pub ledger: u64,
    /// How many there must be by the rules, where they say.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expected: Option<u64>,
}

impl Exactness {
    /// Whether all agree.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.answers == self.gate
            && self.gate == self.ledger
            && self.expected.is_none_or(|expected| expected == self.answers)
    }
}
