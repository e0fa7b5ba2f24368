//! Who comes, and when: reservations spread over their window, claims in order of reaction and network.

use std::time::Duration;

use anyhow::Context as _;
use coupon_domain::ids::UserId;
use coupon_domain::schedule::Schedule;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution as _, LogNormal};
use serde::Serialize;

use super::Plan;

/// From the start to the tap, at the median.
pub const REACTION: Duration = Duration::from_millis(250);
/// Of the logarithms of reactions and latencies: two thirds of all lie between 0.6 and 1.6 times the median.
const SIGMA: f64 = 0.5;
/// More than any window.
const AN_HOUR: Duration = Duration::from_secs(3600);

/// What a call goes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// Of the smaller latency.
    Fast,
    /// Of the larger one.
    Slow,
}

/// Somebody who wants a coupon.
#[derive(Debug, Clone)]
pub struct Visitor {
    /// As the shop knows them.
    pub user: UserId,
    /// Theirs for both calls.
    pub network: Network,
    /// When their reservation arrives, since reservation opened.
    pub reserves: Duration,
    /// When their claim arrives, since claims opened; none if they stay away.
    pub claims: Option<Duration>,
}

/// All of them.
#[derive(Debug, Clone)]
pub struct Crowd {
    /// By number of the user.
    pub visitors: Vec<Visitor>,
}

/// Chance that depends on the seed alone, a stream for each use.
pub(super) fn chance(seed: u64, stream: u64) -> ChaCha8Rng {
    let mut chance = ChaCha8Rng::seed_from_u64(seed);
    chance.set_stream(stream);
    chance
}

impl Crowd {
    /// The crowd of a plan.
    ///
    /// # Errors
    /// If a latency is out of range.
    pub fn of(plan: &Plan) -> anyhow::Result<Self> {
        let mut chance = chance(plan.seed, 0);
        let (fast, slow, reaction) = (spread(plan.fast_latency)?, spread(plan.slow_latency)?, spread(REACTION)?);
        let window = Schedule::RESERVE_LEAD - Schedule::RESERVE_CLOSE_LEAD;
        let mut visitor = |number: u32| {
            // All that is random is drawn for each: another share of slow networks leaves everything else as it was.
            let [network, presses, shows_up] = chance.random::<[f64; 3]>();
            let (fast, slow, reaction) =
                (fast.sample(&mut chance), slow.sample(&mut chance), reaction.sample(&mut chance));
            let is_slow = network < plan.slow_share;
            let (network, latency) = if is_slow { (Network::Slow, slow) } else { (Network::Fast, fast) };
            Ok(Visitor {
                user: UserId::parse(&format!("user-{number}"))?,
                network,
                // Early enough for the call to arrive in time.
                reserves: window.min(span(latency)) + window.saturating_sub(span(latency)).mul_f64(presses),
                claims: (shows_up < plan.show_up).then(|| span(reaction + latency)),
            })
        };
        Ok(Self { visitors: (0..plan.users).map(&mut visitor).collect::<anyhow::Result<_>>()? })
    }

    /// Numbers of the users in the order in which their calls arrive, with the time that this happens.
    pub(super) fn in_order(&self, arrives: impl Fn(&Visitor) -> Option<Duration>) -> Vec<(Duration, usize)> {
        let mut calls: Vec<_> =
            self.visitors.iter().enumerate().filter_map(|(number, who)| Some((arrives(who)?, number))).collect();
        calls.sort_unstable();
        calls
    }

    /// When claims arrive, for a chart.
    pub(super) fn arrivals(&self) -> Arrivals {
        let claims = self.in_order(|visitor| visitor.claims);
        // The few that come much later would press all others together.
        let shown = claims.get(claims.len() * 99 / 100).map_or(Duration::ZERO, |(at, _)| *at);
        let bar = round_step(shown / BARS);
        let number = |at: Duration| usize::try_from(at.as_nanos() / bar.as_nanos()).unwrap_or(usize::MAX);
        let bars = vec![0; number(shown) + 1];
        let mut arrivals = Arrivals { bar, fast: bars.clone(), slow: bars, later: 0 };
        for (at, visitor) in claims {
            let bars = match self.visitors[visitor].network {
                Network::Fast => &mut arrivals.fast,
                Network::Slow => &mut arrivals.slow,
            };
            *bars.get_mut(number(at)).unwrap_or(&mut arrivals.later) += 1;
        }
        arrivals
    }
}

/// Of a chart at most, about.
const BARS: u32 = 80;

/// At least so long: 1, 2 or 5 milliseconds, or ten times, a hundred times as long and so on.
fn round_step(least: Duration) -> Duration {
    let mut steps = (0..).flat_map(|power| [1, 2, 5].map(|digit| Duration::from_millis(digit * 10_u64.pow(power))));
    steps.find(|step| *step >= least).unwrap_or(least)
}

/// How many claims arrived, by the time since claims opened.
#[derive(Debug, Clone, Serialize)]
pub struct Arrivals {
    /// How long a bar is.
    #[serde(serialize_with = "super::as_seconds")]
    pub bar: Duration,
    /// Claims from fast networks, bar by bar.
    pub fast: Vec<u64>,
    /// Claims from slow networks, bar by bar.
    pub slow: Vec<u64>,
    /// Claims behind the last bar.
    pub later: u64,
}

/// Log-normal with this median: what many small delays multiply to.
fn spread(median: Duration) -> anyhow::Result<LogNormal<f64>> {
    LogNormal::new(median.as_secs_f64().ln(), SIGMA).with_context(|| format!("a latency of {median:?}"))
}

/// At most what matters.
fn span(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(AN_HOUR).min(AN_HOUR)
}
