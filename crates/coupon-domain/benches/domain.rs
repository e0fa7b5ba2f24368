//! What the domain's hot rules cost: the round model, codes, and the scores of a draw.

use std::hint::black_box;
use std::time::{Duration, Instant};

use coupon_domain::campaign::{CampaignState, Validity};
use coupon_domain::code::MasterKeys;
use coupon_domain::draw::{DrawKey, DrawParams, Hash, Seed, rank};
use coupon_domain::ids::{CouponId, RoundId, UserId};
use coupon_domain::model::{CampaignHead, CampaignModel};
use coupon_domain::position::{Chain, Position};
use coupon_domain::round::RoundSpec;
use coupon_domain::supply::Supply;
use coupon_domain::time::{Timestamp, Window};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

/// Users in a call, as a rush coalesces them.
const BATCH: usize = 64;
/// Places in a round before the first call that is measured.
const SIZES: [usize; 3] = [1_000, 30_000, 1_000_000];

/// When a round reserves, and when it claims.
const RESERVING: Timestamp = Timestamp::from_micros(1_000_000_000);
const CLAIMING: Timestamp = Timestamp::from_micros(2_000_000_000);
const OVER: Timestamp = Timestamp::from_micros(3_000_000_000);

fn round_id() -> RoundId {
    RoundId::from_number(1).expect("a number")
}

fn users(numbers: std::ops::Range<usize>) -> Vec<UserId> {
    numbers.map(|n| UserId::parse(&format!("user-{n}")).expect("an id")).collect()
}

/// A round in which these users have places, and claims may have so many coupons.
fn model(seated: &[UserId], coupons: u32) -> CampaignModel {
    let mut model = CampaignModel::begin(&CampaignHead {
        position: Position { epoch: 1, n: 0 },
        last_at: Timestamp::EPOCH,
        chain: Chain::default(),
        state: CampaignState::Active,
        revision: 1,
        total_limit: None,
        max_per_user: 1,
        counts_users: false,
        issued: 0,
    });
    let spec = RoundSpec {
        id: round_id(),
        reserve: Some(Window { opens: RESERVING, closes: CLAIMING }),
        claim: Window { opens: CLAIMING, closes: OVER },
        supply: Supply::Fixed(coupons),
        max_places: 100_000_000,
        validity: Validity::AfterClaim(Duration::from_secs(30 * 86_400)),
        key_id: 0,
        revision: 1,
        registered_users_only: false,
        draw: None,
    };
    model.open_round(&spec, RESERVING);
    for batch in seated.chunks(500) {
        model.reserve(round_id(), batch, true, RESERVING).expect("the round is there");
    }
    model
}

/// Times so many calls for the next users in turn, each time from the model as it was as soon as a tenth of it would have changed: so that
/// it keeps its size.
fn time(calls: u64, model: &CampaignModel, users: &[UserId], call: impl Fn(&mut CampaignModel, &[UserId])) -> Duration {
    let mut left = usize::try_from(calls).expect("few");
    let mut time = Duration::ZERO;
    while left > 0 {
        let mut fresh = model.clone();
        let batches = users.chunks_exact(BATCH).take(left);
        left -= batches.len();
        let began = Instant::now();
        batches.for_each(|batch| call(&mut fresh, batch));
        time += began.elapsed();
    }
    time
}

fn round_model(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group(format!("model, batches of {BATCH}"));
    group.throughput(Throughput::Elements(BATCH as u64)).sample_size(20);
    for places in SIZES {
        let some = (places / 10).max(10 * BATCH);
        let (seated, newcomers) = (users(0..places), users(places..places + some));
        let round = model(&seated, u32::MAX);
        group.bench_function(format!("reserve at {places} places"), |bench| {
            bench.iter_custom(|calls| {
                time(calls, &round, &newcomers, |model, batch| {
                    black_box(model.reserve(round_id(), batch, true, RESERVING).expect("the round is there"));
                })
            });
        });
        let mut round = round;
        round.tick(CLAIMING);
        group.bench_function(format!("claim at {places} places"), |bench| {
            bench.iter_custom(|calls| {
                time(calls, &round, &seated[..some.min(places)], |model, batch| {
                    black_box(model.claim(round_id(), batch, true, CLAIMING).expect("the round is there"));
                })
            });
        });
    }
    let seated = users(0..30_000);
    let mut sold_out = model(&seated, 0);
    group.bench_function("claim refused, sold out, at 30000 places", |bench| {
        let mut batches = seated.chunks_exact(BATCH).cycle();
        bench.iter(|| {
            let batch = batches.next().expect("a cycle");
            black_box(sold_out.claim(round_id(), batch, true, CLAIMING).expect("the round is there"));
        });
    });
}

fn codes(criterion: &mut Criterion) {
    let keys = MasterKeys::parse(&MasterKeys::format_line(0, &[7; 32])).expect("a key");
    let user = UserId::parse("user-12345").expect("an id");
    let coupon = CouponId { round: round_id(), serial: 12_345 };
    let code = keys.code(0, coupon, &user).expect("a key");
    let code = code.reveal();
    let mut group = criterion.benchmark_group("code");
    group.bench_function("make", |bench| bench.iter(|| keys.code(0, black_box(coupon), black_box(&user))));
    group.bench_function("check", |bench| bench.iter(|| keys.authenticate(black_box(code), black_box(&user))));
    let other = UserId::parse("user-54321").expect("an id");
    group.bench_function("refuse another's", |bench| {
        bench.iter(|| keys.authenticate(black_box(code), black_box(&other)))
    });
}

fn draw(criterion: &mut Criterion) {
    let params = DrawParams::new(round_id(), Supply::Fixed(6_000), None).expect("it can be drawn");
    let key = DrawKey::of(&Seed::from([7; 32]), &params, 30_000, &Hash::from([9; 32]), &[]);
    let mut group = criterion.benchmark_group("draw");
    let mut ticket = 0;
    group.bench_function("score", |bench| {
        bench.iter(|| {
            ticket += 1;
            key.score(black_box(ticket))
        });
    });
    group.bench_function("rank 30000 places", |bench| bench.iter(|| rank(&key, black_box(30_000))));
}

criterion_group!(benches, round_model, codes, draw);
criterion_main!(benches);
