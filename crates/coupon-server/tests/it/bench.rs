//! The bench: what it counts is what the stores have, on private services and on one that runs. No test looks at how fast it was.

use coupon_bench::Means;
use coupon_bench::report::{Exactness, Measurement, Report};
use coupon_bench::suite::{self, Sizes};

use crate::cli::run;
use crate::process::Process;

/// Runs a bench to its end, which must be a good one; answers its loads in order.
async fn bench(arguments: &[&str]) -> Vec<Measurement> {
    let (code, said) = run(&[&["bench", "--json"], arguments].concat()).await;
    assert_eq!(code, 0, "{said}");
    let report: Report = serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"));
    assert!(report.measurements.iter().all(|measured| measured.faults.is_empty()), "{said}");
    report.measurements
}

fn exactly(count: u64) -> Option<Exactness> {
    Some(Exactness { answers: count, gate: count, ledger: count, expected: None })
}

fn exactly_as_expected(count: u64) -> Option<Exactness> {
    Some(Exactness { answers: count, gate: count, ledger: count, expected: Some(count) })
}

/// Every load on private stores, each user once.
async fn all_loads_are_exact(stores: &str) {
    let loads = ["empty", "reserve", "reserve-stream", "claim", "claim-stream", "refused", "redeem", "rush"];
    let options = ["--requests=300", "--callers=32", stores];

    let measured = bench(&[&loads[..], &options].concat()).await;

    assert_eq!(measured.iter().map(|measured| measured.load.as_str()).collect::<Vec<_>>(), loads);
    let successes = measured.iter().map(|measured| measured.successes).collect::<Vec<_>>();
    // In the rush 300 places and 60 coupons.
    assert_eq!(successes, [300, 300, 300, 300, 300, 300, 300, 360]);
    let exactness = measured.iter().map(|measured| measured.exactness).collect::<Vec<_>>();
    let (refused, rush) = (exactly_as_expected(1), exactly_as_expected(60));
    let all = exactly(300);
    assert_eq!(exactness, [None, all, all, all, all, refused, all, rush]);
    let refusals = |load: &Measurement| load.refusals.clone().into_iter().collect::<Vec<_>>();
    assert_eq!(refusals(&measured[5]), [("SOLD_OUT".to_owned(), 300)]);
    assert_eq!(refusals(&measured[7]), [("SOLD_OUT".to_owned(), 240)]);
    for load in &measured {
        let course = load.course.iter().map(|second| second.successes + second.refusals).sum::<u64>();
        assert_eq!(course, if load.load == "rush" { 600 } else { 300 }, "{load:?}");
        assert!(load.success_latency.is_some(), "{load:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_loads_are_exact_on_embedded_stores() {
    all_loads_are_exact("--stores=embedded").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_loads_are_exact_on_redis_and_postgres() {
    all_loads_are_exact("--stores=redis").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn several_processes_share_a_load_and_warm_it_up() {
    let options = ["--requests=301", "--callers=10", "--connections=4", "--workers=2", "--warmup=50ms"];

    let measured = bench(&[&["claim", "claim-stream", "redeem"], &options[..]].concat()).await;

    for load in &measured {
        assert_eq!(load.successes, 301, "{load:?}");
        let exactness = load.exactness.expect("coupons are counted");
        // Those of the warm-up are counted, though not timed.
        assert!(exactness.is_exact() && exactness.answers >= 301, "{exactness:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_loop_sends_as_many_as_are_due() {
    let options = ["--rate=500", "--duration=400ms"];

    let measured = bench(&[&["empty", "claim", "claim-stream"], &options[..]].concat()).await;

    for load in &measured {
        assert_eq!((load.drive.as_str(), load.successes), ("open, 500/s", 200), "{load:?}");
        // The last one is due two milliseconds before the end.
        assert!(load.seconds >= 0.398, "{load:?}");
    }
    assert_eq!(measured[2].exactness, exactly(200));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_service_is_left_with_campaigns_that_have_ended() {
    let service = Process::start(&["--no-sample-data"]).await;
    let target = format!("--target=http://{}", service.address());

    let measured = bench(&["claim", "reserve", "--requests=50", &target]).await;

    assert!(measured.iter().all(|load| load.target == service.address() && load.exactness == exactly(50)));
    let campaigns = service.campaigns().list_campaigns(coupon_proto::v1::ListCampaignsRequest::default()).await;
    let campaigns = campaigns.expect("a list").into_inner().campaigns;
    assert_eq!(campaigns.len(), 2);
    assert!(campaigns.iter().all(|campaign| campaign.state() == coupon_proto::v1::CampaignState::Ended));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_can_be_a_table_and_a_page() {
    let folder = tempfile::tempdir().expect("a folder");
    let page = folder.path().join("bench.html");

    let (code, said) = run(&["bench", "claim", "--requests=20", "--html", &page.display().to_string()]).await;

    assert_eq!(code, 0, "{said}");
    let lines: Vec<_> = said.lines().collect();
    assert!(lines[0].starts_with("load   target    drive"), "{said}");
    assert!(lines[1].starts_with("claim  embedded  closed, 256 callers") && lines[1].ends_with("yes"), "{said}");
    assert!(std::fs::read_to_string(page).expect("a page").contains("<html"), "a page");
}

#[tokio::test]
async fn a_target_where_nobody_is_is_named() {
    let port = coupon_testkit::server::free_port().expect("a free port");
    let (code, said) = run(&["bench", "claim", &format!("--target=http://127.0.0.1:{port}")]).await;
    assert_eq!(code, 1, "{said}");
    assert!(said.contains(&format!("no service answers at 127.0.0.1:{port}")), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_suite_has_every_ratio_and_is_exact() {
    let means = Means { program: env!("CARGO_BIN_EXE_coupon").into(), show_progress: false };
    let sizes = Sizes { turns: 1, streamed: 2000, unary: 512, redeemed: 256 };

    let findings = suite::ratios(sizes, &means).await.expect("all stores' programs are there");

    let ratios: Vec<_> = findings.ratios.keys().map(String::as_str).collect();
    let expected = [
        "claim_stream_embedded_vs_redis",
        "claim_stream_redis_vs_naive_eval",
        "claim_unary_embedded_vs_empty",
        "claim_unary_redis_vs_empty",
        "recorder_vs_insert_select",
        "redeem_vs_pgbench",
        "refusal_vs_empty",
        "reserve_stream_vs_claim_stream",
        "reserve_vs_claim",
    ];
    assert_eq!(ratios, expected);
    assert!(findings.ratios.values().all(|ratio| *ratio > 0.0), "{:?}", findings.ratios);
    let sound = |measured: &Measurement| measured.differences.is_empty() && measured.faults.is_empty();
    assert!(findings.measurements.iter().all(sound), "{:?}", findings.measurements);
}
