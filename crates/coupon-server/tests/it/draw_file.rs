//! A published draw as a file: fetched from a running service, checked by the binary and by a program that shares no code with it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use coupon_domain::campaign::Allocation;
use coupon_domain::ids::UserId;
use coupon_domain::round::RoundSpec;
use coupon_domain::supply::{Ratio, Rounding};
use coupon_server::serve::{Service, serve};
use coupon_server::simulate::stage::{Secrets, Stage, rules};
use coupon_usecases::ask::Ask;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

use crate::cli::run;
use crate::shop::eventually;

const USERS: u32 = 30;

/// A service in this process with a round that is drawn, its clock in the test's hand.
struct Lottery {
    stage: Stage,
    spec: RoundSpec,
    target: String,
    /// For what the commands write, beside the service's data.
    folder: TempDir,
    stop: CancellationToken,
}

impl Drop for Lottery {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Lottery {
    async fn open() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let fifth = Ratio::new(1, 5, Rounding::Floor).expect("a ratio");
        let rules = rules(Allocation::Draw, fifth, USERS);
        let stage = Stage::open(&folder.path().join("data"), rules, Secrets::of(7)).await.expect("a new folder");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let target = format!("http://{}", listener.local_addr().expect("an address"));
        let stop = CancellationToken::new();
        let engine = Arc::clone(&stage.engine);
        tokio::spawn(serve(
            Service { engine, listener, ops: None, stop_timeout: Duration::from_secs(2) },
            stop.clone(),
        ));
        let spec = stage.engine.round(&stage.campaign, Some(stage.round)).await.expect("a round").view.spec;
        Self { stage, spec, target, folder, stop }
    }

    fn ask(&self, number: u32) -> Ask {
        let user = UserId::parse(&format!("user-{number}")).expect("an id");
        Ask { campaign: self.stage.campaign.clone(), round: Some(self.stage.round), user }
    }

    /// All reserve, and reservation closes; answers what the last of them has: ticket, user, receipt.
    async fn reserve_and_draw(&self) -> [String; 3] {
        let reserve = self.spec.reserve.expect("a window");
        self.stage.clock.stand_at(Some(reserve.opens));
        let mut own = None;
        for number in 0..USERS {
            let reserved = self.stage.engine.reserve(&self.ask(number)).await.expect("an answer");
            own = reserved.receipt.map(|receipt| format!("{:032x}", u128::from_be_bytes(receipt)));
        }
        self.stage.clock.stand_at(Some(reserve.closes));
        eventually(|| async { self.view().await.drawn.then_some(()) }).await;
        let last = USERS - 1;
        [last.to_string(), format!("user-{last}"), own.expect("a receipt")]
    }

    /// Nobody claims, and the seed is published.
    async fn close(&self) {
        self.stage.clock.stand_at(Some(self.spec.claim.closes));
        self.view().await;
    }

    async fn view(&self) -> coupon_domain::model::RoundView {
        let round = self.stage.engine.round(&self.stage.campaign, Some(self.stage.round)).await;
        round.expect("a round").view
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn export(&self, more: &[&str]) -> (i32, String) {
        let campaign = self.stage.campaign.to_string();
        run(&[&["draw", "export", "--target", &self.target, "--campaign", &campaign], more].concat()).await
    }
}

/// A draw that is published as a whole, and the place of one of its users.
async fn published() -> (Lottery, PathBuf, [String; 3]) {
    let lottery = Lottery::open().await;
    let own = lottery.reserve_and_draw().await;
    lottery.close().await;
    let file = lottery.file("draw.json");
    assert_eq!(lottery.export(&["--out", path(&file)]).await, (0, String::new()));
    (lottery, file, own)
}

fn path(file: &Path) -> &str {
    file.to_str().expect("UTF-8")
}

async fn verify(file: &Path, own: &[&str]) -> (i32, String) {
    run(&[&["draw", "verify", path(file)], own].concat()).await
}

/// The exit code of the verifier in Python.
async fn verify_by_python(file: &Path, own: &[&str]) -> i32 {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/verify_draw.py");
    let output = Command::new("python3").arg(script).arg(file).args(own).kill_on_drop(true).output().await;
    let output = output.expect("python3 is installed: it runs examples/verify_draw.py");
    output.status.code().unwrap_or(-1)
}

fn arguments(own: &[String; 3]) -> [&str; 6] {
    ["--ticket", &own[0], "--user", &own[1], "--receipt", &own[2]]
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exported_draw_is_verified_by_both_programs() {
    let (lottery, file, own) = published().await;
    let (code, said) = verify(&file, &arguments(&own)).await;
    assert_eq!(code, 0, "{said}");
    for step in ["root", "commit", "beacon", "key", "winners", "last score", "own place", "own score", "own result"] {
        assert!(said.contains(&format!("\n{step}: PASSED\n")), "{step}: {said}");
    }
    assert!(said.contains("VERIFIED from this file alone: root, commit"), "{said}");
    assert_eq!(verify_by_python(&file, &arguments(&own)).await, 0);

    let (code, text) = lottery.export(&["--round", "r-1"]).await;
    assert_eq!((code, text), (0, std::fs::read_to_string(&file).expect("a file")));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_published_yet_is_null_and_no_failure() {
    let lottery = Lottery::open().await;
    let (code, said) = lottery.export(&[]).await;
    assert_eq!(code, 1);
    assert!(said.contains("reservation of r-1 has not closed yet: nothing is published but its commit"), "{said}");

    let own = lottery.reserve_and_draw().await;
    let file = lottery.file("early.json");
    assert_eq!(lottery.export(&["--out", path(&file)]).await.0, 0);
    let draw: Value = serde_json::from_slice(&std::fs::read(&file).expect("a file")).expect("JSON");
    for field in ["seed", "key", "winners", "last_score", "beacon"] {
        assert_eq!(draw[field], Value::Null, "{field}");
    }
    assert_eq!(draw["leaves"].as_array().map(Vec::len), Some(USERS as usize));
    let (code, said) = verify(&file, &arguments(&own)).await;
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("root: PASSED") && said.contains("commit: NOT PUBLISHED YET"), "{said}");
    assert!(said.contains("Not published yet: commit, beacon, key"), "{said}");
    assert_eq!(verify_by_python(&file, &arguments(&own)).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draw_that_was_tampered_with_fails_for_both_programs() {
    let (lottery, file, _) = published().await;
    let sound: Value = serde_json::from_slice(&std::fs::read(&file).expect("a file")).expect("JSON");
    let other = "0".repeat(64);
    let changes = [
        ("seed", json!(other)),
        ("commit", json!(other)),
        ("root", json!(other)),
        ("key", json!(other)),
        ("last_score", json!(other)),
        ("winners", json!(7)),
        ("places", json!(USERS - 1)),
        ("added", json!(1)),
        ("cap", json!(5)),
        ("round_id", json!("r-2")),
        ("beacon", json!("00")),
        ("seed", Value::Null),
    ];
    let copy = lottery.file("copy.json");
    for (field, value) in changes {
        let mut tampered = sound.clone();
        tampered[field] = value.clone();
        fails(&copy, &tampered, 1, &format!("{field} = {value}")).await;
    }
    for change in ["one is changed", "one is missing"] {
        let mut tampered = sound.clone();
        let leaves = tampered["leaves"].as_array_mut().expect("a list");
        if change == "one is changed" {
            leaves[3] = json!(other)
        } else {
            drop(leaves.pop())
        }
        fails(&copy, &tampered, 1, change).await;
    }
    for field in ["key", "leaves", "format"] {
        let mut damaged = sound.clone();
        damaged.as_object_mut().expect("an object").remove(field);
        fails(&copy, &damaged, 2, &format!("without {field}")).await;
    }
}

/// Both programs end with this code.
async fn fails(copy: &Path, draw: &Value, code: i32, why: &str) {
    std::fs::write(copy, draw.to_string()).expect("written");
    let (found, said) = verify(copy, &[]).await;
    assert_eq!(found, code, "{why}: {said}");
    assert!(said.contains(if code == 1 { "NOT VERIFIED. Failed: " } else { "cannot be used" }), "{why}: {said}");
    assert_eq!(verify_by_python(copy, &[]).await, code, "{why}, by Python");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_place_of_somebody_else_fails_and_half_a_place_is_no_argument() {
    let (lottery, file, [ticket, user, receipt]) = published().await;
    for wrong in [
        ["0", user.as_str(), receipt.as_str()],
        [&ticket, "user-0", &receipt],
        [&ticket, &user, "00000000000000000000000000000000"],
    ] {
        let own = wrong.map(str::to_owned);
        let (code, said) = verify(&file, &arguments(&own)).await;
        assert_eq!(code, 1, "{said}");
        assert!(said.contains("own place: FAILED"), "{said}");
        assert_eq!(verify_by_python(&file, &arguments(&own)).await, 1);
    }
    for half in [&["--ticket", "3"][..], &["--user", "ada"], &["--ticket", "3", "--user", "ada", "--receipt", "+0"]] {
        assert_eq!(verify(&file, half).await.0, 2, "{half:?}");
    }
    let (code, said) = verify(&lottery.file("nowhere.json"), &[]).await;
    assert_eq!((code, said.contains("nowhere.json cannot be used: No such file")), (2, true), "{said}");
}

#[tokio::test]
async fn a_bench_of_a_small_draw_names_every_part() {
    let (code, said) = run(&["draw", "bench", "--places", "1000", "--repeat", "2"]).await;
    assert_eq!(code, 0, "{said}");
    for part in [
        "root",
        "key",
        "ranks",
        "W-th score",
        "winners' bitmap",
        "total",
        "peak memory",
        "writing ranks",
        "reading ranks",
    ] {
        assert!(said.lines().any(|line| line.trim_start().starts_with(part)), "{part}: {said}");
    }
}
