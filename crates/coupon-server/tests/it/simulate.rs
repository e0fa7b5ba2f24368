//! The simulation: the same seed gives the same winners, and its figures are those of the ledger.

use std::time::Duration;

use coupon_domain::campaign::Allocation;
use coupon_domain::supply::{Ratio, Rounding};
use coupon_server::simulate;
use coupon_server::simulate::crowd::Crowd;
use coupon_server::simulate::figures::Figures;
use coupon_server::simulate::stage::{Secrets, Stage, rules};
use coupon_server::simulate::{Plan, rush};

use crate::cli::run;

const BOTH: [Allocation; 2] = [Allocation::FirstCome, Allocation::Draw];

fn plan(users: u32) -> Plan {
    Plan {
        users,
        allocations: BOTH.to_vec(),
        ratio: Ratio::new(1, 5, Rounding::Floor).expect("a ratio"),
        show_up: 1.0,
        slow_share: 0.5,
        fast_latency: Duration::from_millis(40),
        slow_latency: Duration::from_millis(400),
        seed: 1,
    }
}

async fn both(plan: Plan) -> [Figures; 2] {
    simulate::run(plan).await.expect("simulated").rushes.try_into().expect("two rushes")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_seed_gives_the_same_answers_and_another_one_others() {
    let json = async |seed: &str| {
        let (code, said) = run(&["simulate", "--users=300", "--json", "--seed", seed]).await;
        assert_eq!(code, 0, "{said}");
        said
    };
    let first = json("7").await;
    assert_eq!(first, json("7").await);
    assert_ne!(first, json("8").await);
    let report: serde_json::Value = serde_json::from_str(&first).expect("JSON");
    for (rush, allocation) in report["rushes"].as_array().expect("two").iter().zip(["FIRST_COME", "DRAW"]) {
        assert_eq!(rush["allocation"], allocation);
        assert_eq!(rush["winners"].as_array().map(Vec::len), Some(60));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_figures_are_those_of_the_ledger() {
    let plan = Plan { show_up: 0.9, ..plan(300) };
    let crowd = Crowd::of(&plan).expect("a crowd");
    for allocation in BOTH {
        let folder = tempfile::tempdir().expect("a folder");
        let rules = rules(allocation, plan.ratio, plan.users);
        let stage = Stage::open(folder.path(), rules, Secrets::of(plan.seed)).await.expect("a new folder");
        let told = rush::run(&stage, &crowd, allocation).await.expect("simulated");
        let (ledger, round) = (stage.stores, stage.round);
        let view = ledger.campaigns.round(round).await.expect("an answer").expect("a round").head.view;
        assert_eq!((view.places, view.supply, view.issued), (told.places, Some(told.supply), told.issued));
        assert_eq!((told.places, told.supply, told.errors), (300, 60, 0));

        let seats = ledger.records.seats(round, None, 1000).await.expect("seats");
        let winners = seats.into_iter().filter(|(_, seat)| seat.coupon.is_some()).map(|(user, _)| user);
        let mut winners_told = told.winners.clone();
        winners_told.sort_unstable();
        assert!(winners.eq(winners_told), "the same winners");

        let counted = ledger.statistics.tally(round).await.expect("counts").refusals;
        let counted: Vec<_> = counted.into_iter().map(|((_, refusal), count)| (refusal.as_str(), count)).collect();
        let told_refusals: Vec<_> = told.refusals.iter().map(|refused| (refused.reason, refused.count)).collect();
        assert_eq!(counted, told_refusals);
        assert_eq!(told.claims, u64::from(told.issued) + told_refusals.iter().map(|(_, count)| count).sum::<u64>());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s5_in_a_draw_each_tenth_of_30000_arrivals_has_its_fifth_and_first_come_the_fastest_have_all() {
    let [first_come, draw] = both(plan(30_000)).await;
    assert_eq!((first_come.issued, draw.issued, first_come.errors + draw.errors), (6_000, 6_000, 0));
    for part in &draw.deciles {
        assert_eq!(part.claims, 3_000);
        assert!(part.won.abs_diff(600) <= 63, "{part:?}");
    }
    assert!(draw.p_value.is_some_and(|p| p > 0.001));
    assert!((draw.fast.win_rate - draw.slow.win_rate).abs() < 0.02);

    let won: Vec<_> = first_come.deciles.iter().map(|part| part.won).collect();
    assert_eq!(won, [3_000, 3_000, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert!(first_come.p_value.is_some_and(|p| p < 1e-300));
    assert!(first_come.fast.win_rate > 10.0 * first_come.slow.win_rate);
}

#[tokio::test(flavor = "multi_thread")]
async fn s5_if_half_show_up_a_draw_keeps_the_chance_of_a_fifth() {
    let [first_come, draw] = both(Plan { show_up: 0.5, ..plan(3_000) }).await;
    let rate = |rush: &Figures| f64::from(rush.issued) / rush.claims as f64;
    assert_eq!((first_come.issued, first_come.supply), (600, 600));
    assert!((rate(&first_come) - 0.4).abs() < 0.03, "{}", rate(&first_come));
    assert!((rate(&draw) - 0.2).abs() < 0.03, "{}", rate(&draw));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_report_is_one_page_that_needs_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let [page, charts] = ["page.html", "charts.svg"].map(|name| folder.path().join(name).display().to_string());
    let (code, said) = run(&["simulate", "--users=300", "--html", &page, "--svg", &charts]).await;
    assert_eq!(code, 0, "{said}");
    let [page, charts] = [page, charts].map(|file| std::fs::read_to_string(file).expect("written"));
    for text in [&page, &charts] {
        assert!(!text.contains("{{") && !text.contains("<script") && !text.contains(" src=") && !text.contains("url("));
        let linked = text.replace("http://www.w3.org/2000/svg", "");
        assert!(!linked.contains("http"), "nothing is fetched");
        assert_eq!(text.matches("class=\"chart\"").count(), 2);
    }
    assert!(page.contains("300 people, 60 coupons: who gets one?"));
    for rush in ["FIRST_COME", "DRAW"] {
        assert!(page.contains(rush) && charts.contains(rush) && said.contains(rush));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_report_for_a_terminal_is_for_people() {
    let report = simulate::run(plan(300)).await.expect("simulated");
    insta::assert_snapshot!("simulate", report.to_text());
}

#[tokio::test]
async fn a_plan_that_makes_no_sense_is_refused() {
    for bad in ["--users=0", "--ratio=6/5", "--ratio=0.2", "--show-up=1.5", "--show-up=NaN", "--slow-share=-1"] {
        assert_eq!(run(&["simulate", bad]).await.0, 2, "{bad}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_of_one_and_one_that_stays_away_are_rushes_too() {
    for (users, show_up, claims) in [(1, 1.0, 1), (7, 1.0, 7), (7, 0.0, 0)] {
        for rush in both(Plan { show_up, ..plan(users) }).await {
            assert_eq!((rush.places, rush.claims, rush.errors), (users, claims, 0));
            assert!(rush.issued <= rush.supply && u64::from(rush.issued) <= claims, "{rush:?}");
            assert!(rush.deciles.is_empty() && rush.chi_square.is_none());
        }
    }
}
