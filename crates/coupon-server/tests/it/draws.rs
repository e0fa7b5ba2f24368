//! Rounds that are drawn: an equal chance, told in parts, checked by anyone, done once.

use std::collections::HashSet;
use std::sync::Arc;

use coupon_domain::draw::merkle::verify_inclusion;
use coupon_domain::draw::{DrawKey, DrawParams, Hash, Outcome, PublishedDraw, Seed, leaf, rank};
use coupon_domain::ids::{RoundId, UserId};
use coupon_domain::supply::{Ratio, Rounding, Supply};
use coupon_proto::v1 as pb;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use pb::RefusalReason as Reason;
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::shop::{On, Shop, a_fifth, assert_split, campaign, eventually, fixed, on_both, seconds, users};

on_both! {
    a_draw_is_told_in_parts_and_can_be_checked_by_anyone
    every_tenth_of_arrivals_has_the_same_chance_and_so_has_whoever_shows_up
    a_late_draw_moves_the_claim_window
    claims_that_open_at_once_wait_for_the_draw
    a_draw_waits_for_its_beacon_until_claims_open
    without_its_beacon_a_draw_goes_on_when_claims_open
    supply_that_is_added_before_reservation_closes_is_drawn_too
    a_total_limit_bounds_the_winners
    a_round_that_is_not_drawn_has_no_draw
    a_draw_of_no_places_has_no_winner
    the_seed_that_was_committed_to_is_no_ones_before_the_claims_close
}

/// A fifth of the places, drawn; reservation from 22:55 to 22:59, claims at 23:00 for a minute.
fn drawn(title: &str, supply: pb::supply::Rule) -> pb::Campaign {
    pb::Campaign { allocation: pb::Allocation::Draw.into(), ..campaign(title, supply) }
}

fn a_drawn_fifth(title: &str) -> pb::Campaign {
    drawn(title, a_fifth(pb::Rounding::Floor))
}

pub(crate) async fn get_draw(shop: &Shop, campaign: &str, round: &str) -> pb::GetDrawResponse {
    let request = pb::GetDrawRequest { campaign_id: campaign.to_owned(), round_id: round.to_owned() };
    shop.instances[0].campaigns.clone().get_draw(request).await.expect("a draw").into_inner()
}

async fn leaves(shop: &Shop, campaign: &str, round: &str) -> Vec<Hash> {
    let request = pb::ExportPlacesRequest { campaign_id: campaign.to_owned(), round_id: round.to_owned() };
    let pages = shop.instances[0].campaigns.clone().export_places(request).await.expect("a stream").into_inner();
    let pages: Vec<_> = pages.try_collect().await.expect("no fault");
    let mut leaves = Vec::new();
    for page in pages {
        assert_eq!(page.first_ticket, i64::try_from(leaves.len()).expect("few"), "in order of tickets");
        leaves.extend(page.leaves.iter().map(|leaf| hash(leaf)));
    }
    leaves
}

fn hash(bytes: &[u8]) -> Hash {
    Hash::from(<[u8; 32]>::try_from(bytes).expect("32 bytes"))
}

async fn get_place(shop: &Shop, campaign: &str, round: &str, user: &str) -> pb::GetPlaceResponse {
    let request =
        pb::GetPlaceRequest { campaign_id: campaign.to_owned(), round_id: round.to_owned(), user_id: user.to_owned() };
    shop.instances[0].coupons.clone().get_place(request).await.expect("a place").into_inner()
}

async fn is_drawn(shop: &Shop, campaign: &str, round: &str) -> pb::Round {
    eventually(|| async { Some(shop.round(campaign, round).await).filter(|round| round.drawn) }).await
}

/// All that was published, as the file that anyone can check.
async fn published(shop: &Shop, campaign: &str, round: &str) -> PublishedDraw {
    let draw = get_draw(shop, campaign, round).await;
    let leaves: Vec<_> = leaves(shop, campaign, round).await.iter().map(ToString::to_string).collect();
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let some = |bytes: &[u8]| (!bytes.is_empty()).then(|| hex(bytes));
    let rounding = |raw: i32| match pb::Rounding::try_from(raw).expect("a rounding") {
        pb::Rounding::Ceil => "CEIL",
        pb::Rounding::Nearest => "NEAREST",
        pb::Rounding::Floor | pb::Rounding::Unspecified => "FLOOR",
    };
    let ratio = draw.ratio.as_ref().map(|ratio| {
        serde_json::json!({
            "numerator": ratio.numerator, "denominator": ratio.denominator, "rounding": rounding(ratio.rounding)
        })
    });
    let json = serde_json::json!({
        "format": "coupon/draw/v1", "campaign_id": campaign, "round_id": draw.round_id, "ratio": ratio,
        "cap": draw.cap, "added": draw.added, "remaining_total": draw.remaining_total, "commit": hex(&draw.commit),
        "places": draw.places, "root": hex(&draw.root),
        "beacon_source": Some(draw.beacon_source).filter(|source| !source.is_empty()),
        "beacon": some(&draw.beacon), "seed": some(&draw.seed), "key": some(&draw.key), "winners": draw.winners,
        "last_score": some(&draw.last_score), "leaves": leaves,
    });
    PublishedDraw::parse(&json.to_string()).expect("a file")
}

#[track_caller]
fn assert_checks(file: &PublishedDraw) {
    for step in file.verify() {
        assert_ne!(step.outcome, Outcome::Failed, "{}: {}", step.name, step.explanation);
    }
}

/// Who wins a round of a fifth of its places, worked out from what was published of it, and checked by the commit.
pub(crate) fn winning_tickets(draw: &pb::GetDrawResponse) -> Vec<u32> {
    let seed = Seed::from(<[u8; 32]>::try_from(&draw.seed[..]).expect("32 bytes"));
    let fifth = Ratio::new(1, 5, Rounding::Floor).expect("a ratio");
    let round = RoundId::parse(&draw.round_id).expect("a round");
    let params = DrawParams::new(round, Supply::RatioOfPlaces(fifth), None).expect("it has a supply of its own");
    assert_eq!(params.commit(&seed), hash(&draw.commit));
    let places = u32::try_from(draw.places.expect("published")).expect("few");
    let key = DrawKey::of(&seed, &params, places, &hash(&draw.root), &[]);
    rank(&key, places).winning_tickets(params.winners(places, 0, None)).collect()
}

/// Who wins, worked out from what was published.
fn winners(file: &PublishedDraw) -> HashSet<u32> {
    let seed = file.seed.clone().expect("published");
    let source = file.beacon_source.as_deref().unwrap_or_default();
    let beacon = file.beacon.as_ref().map_or_else(Vec::new, |bytes| coupon_domain::draw::beacon(source, bytes));
    let key = DrawKey::of(&seed, &file.params(), file.places, &file.root, &beacon);
    rank(&key, file.places).winning_tickets(file.winners.expect("published")).collect()
}

fn ticket(place: &pb::Place) -> u32 {
    u32::try_from(place.ticket.expect("a ticket")).expect("small")
}

async fn a_draw_is_told_in_parts_and_can_be_checked_by_anyone(on: On) {
    let shop = Shop::open(on).await;
    let (c, r) = shop.create(a_drawn_fifth("told in parts")).await;
    let commit = shop.round(&c, &r).await.draw_commit;
    assert_eq!(commit.len(), 32, "committed to before reservation opens");
    let names = users(300);
    shop.set("22:55:00").await;
    let mut places = Vec::new();
    for user in &names {
        places.push(shop.reserve(&c, &r, user).await.granted());
    }
    let early = get_draw(&shop, &c, &r).await;
    assert_eq!((&early.commit, early.places, early.root.len(), early.seed.len()), (&commit, None, 0, 0));
    let request = pb::ExportPlacesRequest { campaign_id: c.clone(), round_id: r.clone() };
    let refused = shop.instances[0].campaigns.clone().export_places(request).await.expect_err("too early");
    assert_eq!(refused.get_error_details().error_info().map(|info| info.reason.as_str()), Some("DRAW_NOT_READY"));

    shop.set("22:59:00").await;
    let round = is_drawn(&shop, &c, &r).await;
    assert_eq!((round.supply, round.places, round.draw_commit), (Some(60), Some(300), commit));
    let fixed = get_draw(&shop, &c, &r).await;
    assert_eq!((fixed.places, fixed.root.len()), (Some(300), 32));
    assert_eq!((fixed.seed.len(), fixed.key.len(), fixed.winners), (0, 0, None), "not before the claims close");

    shop.set("23:00:00").await;
    let claims = shop.all_claim(&c, &r, &names).await;
    assert_split(&claims, 60, 240, Reason::NotDrawn);
    let refusal = claims.iter().find(|claim| claim.yes().is_none()).expect("a loser").clone().refusal();
    assert!(refusal.r#final, "a loser need not ask again");
    assert_eq!(get_draw(&shop, &c, &r).await.seed.len(), 0, "not before the claims close");

    shop.set("23:01:00").await;
    shop.round(&c, &r).await;
    let file = published(&shop, &c, &r).await;
    assert_checks(&file);
    let winners = winners(&file);
    for (place, claim) in places.iter().zip(&claims) {
        let won = winners.contains(&ticket(place));
        assert_eq!(claim.yes().is_some(), won, "ticket {}", ticket(place));
        let receipt = <[u8; 16]>::try_from(&place.receipt[..]).expect("a receipt");
        let user = UserId::parse(&place.user_id).expect("an id");
        let steps = file.check_place(ticket(place), &user, &receipt);
        assert!(steps.iter().all(|step| step.outcome == Outcome::Passed), "{steps:?}");
        let got = get_place(&shop, &c, &r, &place.user_id).await;
        assert_eq!(got.place.as_ref().map(|p| (p.ticket, &p.receipt)), Some((place.ticket, &place.receipt)));
        assert_eq!(got.rank.expect("drawn") < 60, won);
        let proof: Vec<_> = got.inclusion_proof.iter().map(|node| hash(node)).collect();
        let own = leaf(ticket(place), &user, &receipt);
        assert!(verify_inclusion(&file.root, 300, ticket(place), &own, &proof), "{} is in the tree", place.user_id);
    }
    let coupons = shop.recorded(&c, &names, 60).await;
    assert_eq!(coupons.len(), 60, "in the ledger");
}

async fn every_tenth_of_arrivals_has_the_same_chance_and_so_has_whoever_shows_up(on: On) {
    let shop = Arc::new(Shop::open(on).await);
    let (drawn, drawn_round) = shop.create(a_drawn_fifth("drawn")).await;
    let (first, first_round) = shop.create(campaign("first come", a_fifth(pb::Rounding::Floor))).await;
    let names = users(30_000);
    shop.set("22:55:00").await;
    for (c, r) in [(&drawn, &drawn_round), (&first, &first_round)] {
        let reserve = |user: &String| {
            let (shop, c, r, user) = (Arc::clone(&shop), c.clone(), r.clone(), user.clone());
            async move { shop.reserve(&c, &r, &user).await.granted().ticket.is_some() }
        };
        let reserved: Vec<_> = stream::iter(names.iter().map(reserve)).buffer_unordered(512).collect().await;
        assert_eq!(reserved.len(), names.len());
    }
    shop.set("22:59:00").await;
    assert_eq!(is_drawn(&shop, &drawn, &drawn_round).await.supply, Some(6000));
    shop.set("23:00:00").await;
    // In this order they arrive, a few hundred at a time.
    let claim = |c: &str, r: &str, user: &String| {
        let (shop, c, r, user) = (Arc::clone(&shop), c.to_owned(), r.to_owned(), user.clone());
        async move { shop.claim(&c, &r, &user).await.yes().is_some() }
    };
    let all = stream::iter(names.iter().map(|user| claim(&drawn, &drawn_round, user)));
    let won: Vec<bool> = all.buffered(256).collect().await;
    let tenths: Vec<_> = won.chunks(3000).map(|tenth| tenth.iter().filter(|won| **won).count()).collect();
    // 600 +- 2.88 standard deviations of the hypergeometric distribution, which is about 1 in 250 for a tenth; a seed is not chosen.
    assert!(tenths.iter().all(|winners| (500..=700).contains(winners)), "{tenths:?}");
    assert_eq!(won.iter().filter(|won| **won).count(), 6000);
    let shown_up = won.iter().step_by(2).filter(|won| **won).count();
    assert!((2850..=3150).contains(&shown_up), "of 15000 who show up {shown_up} win");

    let all = stream::iter(names.iter().map(|user| claim(&first, &first_round, user)));
    let won: Vec<bool> = all.buffered(256).collect().await;
    let tenths: Vec<_> = won.chunks(3000).map(|tenth| tenth.iter().filter(|won| **won).count()).collect();
    assert!(tenths[0] > 2900 && tenths[3..].iter().all(|winners| *winners == 0), "the fast win: {tenths:?}");

    let stats = |c: &str| pb::GetStatsRequest { campaign_id: c.to_owned(), round_id: String::new() };
    let mut campaigns = shop.instances[0].campaigns.clone();
    let fair = campaigns.get_stats(stats(&drawn)).await.expect("stats").into_inner();
    let unfair = campaigns.get_stats(stats(&first)).await.expect("stats").into_inner();
    assert_eq!(
        fair.deciles.iter().map(|tenth| (tenth.claims, tenth.won)).fold((0, 0), |(a, b), (c, w)| (a + c, b + w)),
        (30_000, 6000)
    );
    let refused = |stats: &pb::GetStatsResponse, reason: Reason| {
        stats
            .refusals
            .iter()
            .filter(|r| r.reason() == reason && r.call() == pb::CallKind::Claim)
            .map(|r| r.count)
            .sum::<i64>()
    };
    assert_eq!((refused(&fair, Reason::NotDrawn), refused(&unfair, Reason::SoldOut)), (24_000, 24_000));
}

async fn a_late_draw_moves_the_claim_window(on: On) {
    let shop = Shop::open(on).await;
    let (c, r) = shop.create(a_drawn_fifth("late")).await;
    shop.set("22:56:00").await;
    let names = users(10);
    shop.all_reserve(&c, &r, &names).await;
    // Nobody looked at the clock for two minutes and a half: longer than claims last.
    shop.set("23:01:30").await;
    let round = is_drawn(&shop, &c, &r).await;
    let shifted = [round.claim_opens_at, round.claim_closes_at].map(|at| at.expect("set").seconds);
    let planned = [crate::shop::at("23:01:30"), crate::shop::at("23:02:30")].map(|at| at.micros() / 1_000_000);
    assert_eq!(shifted, planned);
    let claims = shop.all_claim(&c, &r, &names).await;
    assert_split(&claims, 2, 8, Reason::NotDrawn);
    shop.set("23:02:29.999").await;
    assert!(shop.claim(&c, &r, "stranger").await.reason() == Reason::NotReserved, "still open");
    shop.set("23:02:30").await;
    assert_eq!(shop.claim(&c, &r, "stranger").await.reason(), Reason::Closed);
}

async fn claims_that_open_at_once_wait_for_the_draw(on: On) {
    let shop = Shop::open(on).await;
    let mut plan = a_drawn_fifth("at once");
    plan.schedule.as_mut().expect("a schedule").reserve_close_lead = Some(seconds(0));
    let (c, r) = shop.create(plan).await;
    shop.set("22:56:00").await;
    let names = users(5);
    shop.all_reserve(&c, &r, &names).await;
    shop.set("23:00:00").await;
    let mut pending = 0;
    let answers = eventually(|| async {
        let claim = shop.claim(&c, &r, &names[0]).await;
        Some(claim.clone()).filter(|claim| claim.yes().is_some() || claim.clone().reason() != Reason::DrawPending)
    });
    let first = shop.claim(&c, &r, &names[0]).await;
    if first.yes().is_none() && first.clone().reason() == Reason::DrawPending {
        pending += 1;
        let refusal = first.refusal();
        assert!(refusal.retry_after.is_some() && !refusal.r#final, "{refusal:?}");
    }
    answers.await;
    assert!(pending <= 1);
    let claims = shop.all_claim(&c, &r, &names).await;
    assert_split(&claims, 1, 4, Reason::NotDrawn);
}

fn with_beacon(title: &str) -> pb::Campaign {
    pb::Campaign { beacon_source: "drand:quicknet:1234567".to_owned(), ..a_drawn_fifth(title) }
}

async fn set_beacon(shop: &Shop, c: &str, r: &str, beacon: &[u8]) -> Result<pb::SetBeaconResponse, tonic::Status> {
    let request = pb::SetBeaconRequest {
        campaign_id: c.to_owned(),
        round_id: r.to_owned(),
        beacon: beacon.to_vec().into(),
        request_id: String::new(),
    };
    Ok(shop.instances[0].campaigns.clone().set_beacon(request).await?.into_inner())
}

#[track_caller]
fn assert_refused(answer: Result<pb::SetBeaconResponse, tonic::Status>) {
    let status = answer.expect_err("refused");
    assert_eq!(status.code(), Code::FailedPrecondition, "{status:?}");
    assert_eq!(status.get_error_details().error_info().map(|info| info.reason.as_str()), Some("BEACON_REFUSED"));
}

async fn a_draw_waits_for_its_beacon_until_claims_open(on: On) {
    let shop = Shop::open(on).await;
    let (c, r) = shop.create(with_beacon("beacon")).await;
    shop.set("22:56:00").await;
    let names = users(50);
    shop.all_reserve(&c, &r, &names).await;
    assert_refused(set_beacon(&shop, &c, &r, b"too early").await);
    shop.set("22:59:00").await;
    let rooted = || async { Some(get_draw(&shop, &c, &r).await).filter(|draw| draw.places.is_some()) };
    assert_eq!(eventually(rooted).await.beacon_source, "drand:quicknet:1234567");
    assert!(!shop.round(&c, &r).await.drawn, "it waits");
    set_beacon(&shop, &c, &r, b"public randomness").await.expect("it is time");
    set_beacon(&shop, &c, &r, b"public randomness").await.expect("the same again is harmless");
    assert_refused(set_beacon(&shop, &c, &r, b"other bytes").await);
    is_drawn(&shop, &c, &r).await;
    shop.set("23:00:00").await;
    let claims = shop.all_claim(&c, &r, &names).await;
    assert_split(&claims, 10, 40, Reason::NotDrawn);
    shop.set("23:01:00").await;
    let file = published(&shop, &c, &r).await;
    assert_eq!(file.beacon.as_deref(), Some(&b"public randomness"[..]));
    assert_checks(&file);
    assert_eq!(winners(&file).len(), 10);
}

async fn without_its_beacon_a_draw_goes_on_when_claims_open(on: On) {
    let shop = Shop::open(on).await;
    let (c, r) = shop.create(with_beacon("no beacon")).await;
    shop.set("22:56:00").await;
    let names = users(50);
    shop.all_reserve(&c, &r, &names).await;
    shop.set("22:59:00").await;
    let rooted = || async { get_draw(&shop, &c, &r).await.places };
    eventually(rooted).await;
    shop.set("23:00:00").await;
    is_drawn(&shop, &c, &r).await;
    assert_refused(set_beacon(&shop, &c, &r, b"too late").await);
    assert_split(&shop.all_claim(&c, &r, &names).await, 10, 40, Reason::NotDrawn);
    shop.set("23:01:30").await;
    let file = published(&shop, &c, &r).await;
    assert_eq!(file.beacon, None);
    assert_checks(&file);
}

async fn add_supply(shop: &Shop, c: &str, r: &str, amount: i64) -> Result<pb::AddSupplyResponse, tonic::Status> {
    let request =
        pb::AddSupplyRequest { campaign_id: c.to_owned(), round_id: r.to_owned(), amount, request_id: String::new() };
    Ok(shop.instances[0].campaigns.clone().add_supply(request).await?.into_inner())
}

async fn supply_that_is_added_before_reservation_closes_is_drawn_too(on: On) {
    let shop = Shop::open(on).await;
    let (c, r) = shop.create(a_drawn_fifth("added")).await;
    shop.set("22:56:00").await;
    let names = users(50);
    shop.all_reserve(&c, &r, &names).await;
    add_supply(&shop, &c, &r, 7).await.expect("it is time");
    shop.set("22:59:00").await;
    let refused = add_supply(&shop, &c, &r, 1).await.expect_err("the winners are fixed");
    assert_eq!(refused.get_error_details().error_info().map(|info| info.reason.as_str()), Some("SUPPLY_REFUSED"));
    assert_eq!(is_drawn(&shop, &c, &r).await.supply, Some(17));
    shop.set("23:00:00").await;
    assert_split(&shop.all_claim(&c, &r, &names).await, 17, 33, Reason::NotDrawn);
    shop.set("23:01:00").await;
    let file = published(&shop, &c, &r).await;
    assert_eq!((file.added, file.winners), (7, Some(17)));
    assert_checks(&file);
}

async fn a_total_limit_bounds_the_winners(on: On) {
    let shop = Shop::open(on).await;
    let (c, r) = shop.create(pb::Campaign { total_limit: Some(3), ..drawn("total", fixed(8)) }).await;
    shop.set("22:56:00").await;
    let names = users(20);
    shop.all_reserve(&c, &r, &names).await;
    shop.set("22:59:00").await;
    assert_eq!(is_drawn(&shop, &c, &r).await.supply, Some(3));
    shop.set("23:00:00").await;
    assert_split(&shop.all_claim(&c, &r, &names).await, 3, 17, Reason::NotDrawn);
    shop.set("23:01:00").await;
    let file = published(&shop, &c, &r).await;
    assert_eq!((file.remaining_total, file.cap, file.ratio), (Some(3), 8, None));
    assert_checks(&file);
}

async fn a_round_that_is_not_drawn_has_no_draw(on: On) {
    let shop = Shop::open(on).await;
    let (c, r) = shop.create(campaign("first come", fixed(8))).await;
    let request = pb::GetDrawRequest { campaign_id: c.clone(), round_id: r.clone() };
    let refused = shop.instances[0].campaigns.clone().get_draw(request).await.expect_err("no draw");
    assert_eq!(refused.get_error_details().error_info().map(|info| info.reason.as_str()), Some("NO_DRAW"));
    shop.set("22:56:00").await;
    shop.reserve(&c, &r, "ada").await.granted();
    let place = get_place(&shop, &c, &r, "ada").await;
    assert_eq!((place.rank, place.inclusion_proof.len()), (None, 0));
    let request = pb::GetPlaceRequest { campaign_id: c, round_id: r, user_id: "bob".to_owned() };
    let nobody = shop.instances[0].coupons.clone().get_place(request).await.expect_err("no place");
    assert_eq!(nobody.code(), Code::NotFound);
}

async fn a_draw_of_no_places_has_no_winner(on: On) {
    let shop = Shop::open(on).await;
    let (c, r) = shop.create(a_drawn_fifth("nobody")).await;
    shop.set("22:59:00").await;
    assert_eq!(is_drawn(&shop, &c, &r).await.supply, Some(0));
    shop.set("23:00:00").await;
    assert_eq!(shop.claim(&c, &r, "ada").await.reason(), Reason::NotReserved);
    shop.set("23:01:00").await;
    let file = published(&shop, &c, &r).await;
    assert_eq!((file.places, file.winners, file.last_score), (0, Some(0), None));
    assert_checks(&file);
}

async fn the_seed_that_was_committed_to_is_no_ones_before_the_claims_close(on: On) {
    let shop = Shop::open(on).await;
    let (c, r) = shop.create(a_drawn_fifth("secret")).await;
    let (d, s) = shop.create(a_drawn_fifth("another")).await;
    let commits = [shop.round(&c, &r).await.draw_commit, shop.round(&d, &s).await.draw_commit];
    assert_ne!(commits[0], commits[1], "each round has a seed of its own");
    shop.set("22:56:00").await;
    shop.all_reserve(&c, &r, &users(10)).await;
    for (time, published) in [("22:59:00", false), ("23:00:00", false), ("23:00:59.999", false), ("23:01:00", true)] {
        shop.set(time).await;
        is_drawn(&shop, &c, &r).await;
        let draw = get_draw(&shop, &c, &r).await;
        assert_eq!([draw.seed.len(), draw.key.len()], if published { [32, 32] } else { [0, 0] }, "at {time}");
    }
    let draw = get_draw(&shop, &c, &r).await;
    let seed = Seed::from(<[u8; 32]>::try_from(&draw.seed[..]).expect("32 bytes"));
    let file = published(&shop, &c, &r).await;
    assert_eq!(file.params().commit(&seed), hash(&commits[0]));
}

/// Each sees that the draw is due and carries it out; one result counts.
#[tokio::test(flavor = "multi_thread")]
async fn of_three_instances_that_draw_at_once_all_have_the_same_winners() {
    let shop = Shop::with_instances(On::RedisAndPostgres, 3).await;
    for turn in 0..5 {
        let (c, r) = shop.create(a_drawn_fifth(&format!("turn {turn}"))).await;
        shop.set("22:56:00").await;
        let names = users(100);
        shop.all_reserve(&c, &r, &names).await;
        shop.set("22:59:00").await;
        is_drawn(&shop, &c, &r).await;
        shop.set("23:00:00").await;
        let claims = shop.all_claim(&c, &r, &names).await;
        assert_split(&claims, 20, 80, Reason::NotDrawn);
        shop.set("23:01:00").await;
        let file = published(&shop, &c, &r).await;
        assert_checks(&file);
        let winners = winners(&file);
        for (user, claim) in names.iter().zip(&claims) {
            let place = get_place(&shop, &c, &r, user).await.place.expect("a place");
            assert_eq!(claim.yes().is_some(), winners.contains(&ticket(&place)));
        }
        shop.set("20:00:00").await;
    }
}
