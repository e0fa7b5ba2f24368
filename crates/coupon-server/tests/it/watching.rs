//! WatchRound: the latest state, as it changes.

use coupon_proto::v1 as pb;
use pb::RoundPhase as Phase;
use tonic::{Code, Streaming};
use tonic_types::StatusExt as _;

use crate::shop::{On, Shop, a_fifth, campaign, on_both, users};

on_both! {
    a_watcher_sees_each_phase_and_the_counts_and_the_end
    a_watcher_that_comes_again_is_told_what_has_changed_since
    many_watchers_and_a_rush_are_told_of_ten_times_a_second_at_most
    a_watcher_is_told_when_the_service_stops
}

async fn watch(
    shop: &Shop,
    c: &str,
    r: &str,
    after: Option<pb::Witness>,
) -> Result<Streaming<pb::WatchRoundResponse>, tonic::Status> {
    let request = pb::WatchRoundRequest { campaign_id: c.to_owned(), round_id: r.to_owned(), after };
    Ok(shop.instances[0].campaigns.clone().watch_round(request).await?.into_inner())
}

async fn next(watch: &mut Streaming<pb::WatchRoundResponse>) -> Option<(pb::Round, Option<pb::Witness>)> {
    let message = watch.message().await.expect("no fault")?;
    Some((message.round.expect("a round"), message.witness))
}

/// Reads until a state like this comes.
async fn until(
    watch: &mut Streaming<pb::WatchRoundResponse>,
    like: impl Fn(&pb::Round) -> bool,
) -> (pb::Round, Option<pb::Witness>) {
    loop {
        let (round, witness) = next(watch).await.expect("it goes on");
        if like(&round) {
            return (round, witness);
        }
    }
}

async fn a_watcher_sees_each_phase_and_the_counts_and_the_end(on: On) {
    let shop = Shop::open(on).await;
    let (c, r) = shop.create(campaign("watched", a_fifth(pb::Rounding::Floor))).await;
    let mut told = watch(&shop, &c, &r, None).await.expect("a stream");
    assert_eq!(next(&mut told).await.expect("at once").0.phase(), Phase::Planned);
    shop.set("22:56:00").await;
    shop.all_reserve(&c, &r, &users(10)).await;
    let (reserving, _) = until(&mut told, |round| round.places == Some(10)).await;
    assert_eq!(reserving.phase(), Phase::Reserving);
    shop.set("22:59:00").await;
    assert_eq!(until(&mut told, |round| round.phase() == Phase::Waiting).await.0.supply, Some(2));
    shop.set("23:00:00").await;
    shop.all_claim(&c, &r, &users(10)).await;
    let (claiming, _) = until(&mut told, |round| round.issued == Some(2)).await;
    assert_eq!((claiming.phase(), claiming.remaining), (Phase::Claiming, Some(0)));
    shop.set("23:01:00").await;
    until(&mut told, |round| round.phase() == Phase::Closed).await;
    assert_eq!(next(&mut told).await, None, "it ends");
    // Once more, from the closed round.
    let mut again = watch(&shop, &c, &r, None).await.expect("a stream");
    assert_eq!(next(&mut again).await.expect("its last state").0.phase(), Phase::Closed);
    assert_eq!(next(&mut again).await, None);
    let unknown = watch(&shop, &c, "r-99999", None).await.expect_err("no such round");
    assert_eq!(unknown.code(), Code::NotFound);
}

async fn a_watcher_that_comes_again_is_told_what_has_changed_since(on: On) {
    let shop = Shop::open(on).await;
    let (c, r) = shop.create(campaign("resumed", a_fifth(pb::Rounding::Floor))).await;
    shop.set("22:56:00").await;
    shop.all_reserve(&c, &r, &users(3)).await;
    let mut told = watch(&shop, &c, &r, None).await.expect("a stream");
    let (_, seen) = until(&mut told, |round| round.places == Some(3)).await;
    drop(told);
    let mut again = watch(&shop, &c, &r, seen).await.expect("a stream");
    shop.reserve(&c, &r, "one-more").await.granted();
    let (round, _) = next(&mut again).await.expect("what has changed");
    assert_eq!(round.places, Some(4), "nothing before that");
}

async fn many_watchers_and_a_rush_are_told_of_ten_times_a_second_at_most(on: On) {
    let shop = Shop::open(on).await;
    let (c, r) = shop.create(campaign("many", a_fifth(pb::Rounding::Floor))).await;
    shop.set("22:56:00").await;
    let mut watchers = Vec::new();
    for _ in 0..20 {
        watchers.push(watch(&shop, &c, &r, None).await.expect("a stream"));
    }
    let began = std::time::Instant::now();
    let names = users(2000);
    shop.all_reserve(&c, &r, &names).await;
    let all = watchers.iter_mut().map(|told| async move {
        let mut messages = 0_u32;
        while next(told).await.is_some_and(|(round, _)| {
            messages += 1;
            round.places != Some(2000)
        }) {}
        messages
    });
    let messages = futures::future::join_all(all).await;
    let tenths = u32::try_from(began.elapsed().as_millis() / 100).expect("short");
    assert!(messages.iter().all(|told| *told <= tenths + 2), "{messages:?} in {tenths} tenths of a second");
}

async fn a_watcher_is_told_when_the_service_stops(on: On) {
    let shop = Shop::open(on).await;
    let (c, r) = shop.create(campaign("stopped", a_fifth(pb::Rounding::Floor))).await;
    let mut told = watch(&shop, &c, &r, None).await.expect("a stream");
    next(&mut told).await.expect("at once");
    shop.instances[0].stop.cancel();
    let ended = told.message().await.expect_err("not the end of the round");
    let reason = ended.get_error_details().error_info().map(|info| info.reason.clone());
    assert_eq!((ended.code(), reason.as_deref()), (Code::Unavailable, Some("STOPPING")));
}
