//! What the functions that decide cost, through the gate on a private Redis: with an fsync before each answer as in production, and without
//! any, which leaves the functions and the way to them.

use std::hint::black_box;
use std::ops::Range;
use std::time::{Duration, Instant};

use coupon_domain::answer::{Answer, Outcome};
use coupon_domain::ids::{CampaignId, UserId};
use coupon_domain::model::{LoadChunk, RoundOpening};
use coupon_domain::ports::Gate as _;
use coupon_domain::position::Position;
use coupon_redis::{Durability, RedisConfig, RedisGate};
use coupon_testkit::build::{campaign_id, head, round, round_id, user};
use coupon_testkit::redis::RedisServer;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tokio::runtime::Runtime;
use uuid::Uuid;

/// Users in a call.
const BATCHES: [u32; 3] = [1, 64, 500];

/// In seconds of the builders: it is always in the middle of the first, which may be a window, and before the second.
const NOW: Range<i64> = -1_000_000_000..3_000_000_000;
const LATER: Range<i64> = 3_000_000_000..3_000_000_060;
const MANY: u32 = 200_000_000;

#[derive(Debug, Clone, Copy)]
enum Verb {
    Reserve,
    Claim,
}

/// An open round on a server of its own, whose users come one after the other.
struct Rush {
    gate: RedisGate,
    campaign: CampaignId,
    come: u32,
    _server: RedisServer,
}

impl Rush {
    async fn begin(verb: Verb, server: &[&str]) -> Self {
        let server = RedisServer::start_with(server).await.expect("a private server");
        let config = RedisConfig {
            durability: Durability::Relaxed,
            // A disk that somebody else keeps busy makes a bench slow, and does not end it.
            command_timeout: Duration::from_secs(30),
            ..RedisConfig::new(server.url(), Uuid::from_u128(7))
        };
        let gate = RedisGate::connect(config).await.expect("a server that can be used");
        let campaign = campaign_id("c");
        gate.freeze(&campaign, 1).await.expect("a new campaign freezes");
        for chunk in [LoadChunk::Head(head()), LoadChunk::Open] {
            gate.load(&campaign, 1, chunk).await.expect("a campaign without rounds is whole");
        }
        let round = match verb {
            Verb::Reserve => round(1).reserving(NOW).claiming(LATER),
            Verb::Claim => round(1).claiming(NOW),
        };
        let round = round.fixed(MANY).max_places(MANY).build();
        let opening = gate.open_round(&campaign, &round, seen()).await.expect("an open gate answers");
        assert_eq!(opening.answers, RoundOpening::Opened);
        Self { gate, campaign, come: 0, _server: server }
    }

    /// Times one call for users who have nothing yet, and makes sure that all get something.
    async fn call(&mut self, verb: Verb, batch: u32) -> Duration {
        let users: Vec<_> = (self.come..self.come + batch).map(|n| user(&format!("user-{n}"))).collect();
        self.come += batch;
        match verb {
            Verb::Reserve => self.reserve(&users).await,
            Verb::Claim => self.claim(&users).await,
        }
    }

    async fn reserve(&self, users: &[UserId]) -> Duration {
        let began = Instant::now();
        let decided = self.gate.reserve(&self.campaign, round_id(1), users, true, seen()).await;
        let took = began.elapsed();
        assert!(all_granted(&black_box(decided).expect("an open gate answers").answers));
        took
    }

    async fn claim(&self, users: &[UserId]) -> Duration {
        let began = Instant::now();
        let decided = self.gate.claim(&self.campaign, round_id(1), users, true, seen()).await;
        let took = began.elapsed();
        assert!(all_granted(&black_box(decided).expect("an open gate answers").answers));
        took
    }
}

fn seen() -> Position {
    Position { epoch: 1, n: 0 }
}

fn all_granted<T>(answers: &[Answer<T>]) -> bool {
    answers.iter().all(|answer| matches!(answer.outcome, Outcome::Granted(_)))
}

fn functions(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    for (kept, server) in [("fsync", &[][..]), ("memory", &["--appendonly", "no"])] {
        let mut group = criterion.benchmark_group(kept);
        group.sample_size(20).warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(3));
        for verb in [Verb::Reserve, Verb::Claim] {
            for batch in BATCHES {
                let mut rush = runtime.block_on(Rush::begin(verb, server));
                group.throughput(Throughput::Elements(u64::from(batch)));
                group.bench_function(format!("{verb:?}, batches of {batch}").to_lowercase(), |bench| {
                    bench.iter_custom(|calls| {
                        runtime.block_on(async {
                            let mut time = Duration::ZERO;
                            for _ in 0..calls {
                                time += rush.call(verb, batch).await;
                            }
                            time
                        })
                    });
                });
            }
        }
    }
}

criterion_group!(benches, functions);
criterion_main!(benches);
