//! The command line: what it says and how it ends.

use std::io::{Seek as _, Write as _};
use std::process::Stdio;
use std::time::Duration;

use coupon_testkit::postgres::PostgresServer;
use coupon_testkit::redis::RedisServer;
use coupon_testkit::server::free_port;
use tokio::io::AsyncBufReadExt as _;
use tokio::process::Command;

use crate::shop::eventually;

/// Runs the binary to its end, in an empty environment and folder; answers its exit code and all that it said.
pub(crate) async fn run(arguments: &[&str]) -> (i32, String) {
    run_with(arguments, &[]).await
}

async fn run_with(arguments: &[&str], variables: &[(&str, &str)]) -> (i32, String) {
    run_on(Stdio::null(), arguments, variables).await
}

async fn run_on(input: Stdio, arguments: &[&str], variables: &[(&str, &str)]) -> (i32, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let output = Command::new(env!("CARGO_BIN_EXE_coupon"))
        .args(arguments)
        .env_clear()
        .envs(variables.iter().copied())
        .current_dir(folder.path())
        .stdin(input)
        .kill_on_drop(true)
        .output()
        .await
        .expect("the binary runs");
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    (output.status.code().unwrap_or(-1), said)
}

#[tokio::test]
async fn one_url_alone_is_refused_with_the_reason() {
    for (one, other) in [("--database-url=postgres://h/d", "--redis-url"), ("--redis-url=redis://h", "--database-url")]
    {
        let (code, said) = run(&[one]).await;
        assert_eq!(code, 2, "{said}");
        assert!(said.contains(other) && said.contains("give both, or neither"), "{said}");
    }
}

#[tokio::test]
async fn beyond_loopback_it_does_not_listen_without_authentication() {
    let (code, said) = run(&["--listen=0.0.0.0:0"]).await;
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("without authentication the service listens only on loopback"), "{said}");
}

#[tokio::test]
async fn config_check_names_the_origin_of_each_value_and_hides_secrets() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("coupon.toml");
    std::fs::write(&file, "listen = \"127.0.0.1:6000\"\nbatch_size = 100\nqueue_length = 7\nno_sample_data = true\n")
        .expect("written");
    let file = file.display().to_string();
    let (code, said) = run_with(
        &["config", "check", "--batch-size=200"],
        &[
            ("COUPON_CONFIG", file.as_str()),
            ("COUPON_QUEUE_LENGTH", "9"),
            ("DATABASE_URL", "postgres://me:s3cret@db/coupon"),
            ("REDIS_URL", "redis://:s3cret@cache"),
        ],
    )
    .await;
    assert_eq!(code, 0, "{said}");
    let line = |name: &str| {
        said.lines().find(|line| line.starts_with(name)).unwrap_or_default().split_whitespace().collect::<Vec<_>>()
    };
    assert_eq!(line("listen "), ["listen", "file", "127.0.0.1:6000"]);
    assert_eq!(line("batch_size"), ["batch_size", "flag", "200"]);
    assert_eq!(line("queue_length"), ["queue_length", "variable", "9"]);
    assert_eq!(line("no_sample_data"), ["no_sample_data", "file", "true"]);
    assert_eq!(line("stop_timeout"), ["stop_timeout", "default", "10s"]);
    assert_eq!(line("database_url"), ["database_url", "variable", "postgres://***@db/coupon"]);
    assert!(!said.contains("s3cret"), "{said}");
}

#[tokio::test]
async fn settings_may_stand_before_or_after_the_command() {
    for arguments in [
        ["--batch-size=7", "config", "check"],
        ["config", "--batch-size=7", "check"],
        ["config", "check", "--batch-size=7"],
    ] {
        let (code, said) = run(&arguments).await;
        assert_eq!(code, 0, "{said}");
        assert!(said.lines().any(|line| line.split_whitespace().eq(["batch_size", "flag", "7"])), "{said}");
    }
}

#[tokio::test]
async fn a_file_with_an_unknown_key_is_refused_by_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("coupon.toml");
    std::fs::write(&file, "lisen = \"127.0.0.1:6000\"\n").expect("written");
    let (code, said) = run(&["config", "check", "--config", &file.display().to_string()]).await;
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("`lisen` is not a setting"), "{said}");
}

#[tokio::test]
async fn absent_stores_are_named_with_an_exit_code_of_their_own() {
    let port = free_port().expect("a free port");
    let nowhere = format!("--redis-url=redis://127.0.0.1:{port}");
    let no_database = format!("--database-url=postgres://me:s3cret@127.0.0.1:{port}/coupon");
    let (code, said) = run(&["--listen=127.0.0.1:0", "--ops-listen=", &no_database, &nowhere]).await;
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("Postgres cannot be reached at postgres://***@127.0.0.1"), "{said}");

    let database = PostgresServer::shared().await.expect("postgres").database().await.expect("a database");
    let there = format!("--database-url={}", database.url());
    let (code, said) = run(&["--listen=127.0.0.1:0", "--ops-listen=", &there, &nowhere]).await;
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("Redis cannot be reached at"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_may_lose_what_it_acknowledged_is_refused() {
    let redis = RedisServer::start_with(&["--appendfsync", "everysec"]).await.expect("redis starts");
    let database = PostgresServer::shared().await.expect("postgres").database().await.expect("a database");
    let urls = [format!("--database-url={}", database.url()), format!("--redis-url={}", redis.url())];
    let (code, said) = run(&["--listen=127.0.0.1:0", "--ops-listen=", &urls[0], &urls[1]]).await;
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("appendfsync") && said.contains("everysec"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_wait_for_stores_it_waits_until_they_are_there() {
    let mut redis = RedisServer::start().await.expect("redis starts");
    let database = PostgresServer::shared().await.expect("postgres").database().await.expect("a database");
    redis.kill().expect("killed");
    let urls = [format!("--database-url={}", database.url()), format!("--redis-url={}", redis.url())];
    let starting =
        tokio::spawn(
            async move { crate::process::Process::start(&["--wait-for-stores=30s", &urls[0], &urls[1]]).await },
        );
    redis.restart().await.expect("redis starts");
    starting.await.expect("it starts once they are there");
}

#[tokio::test]
async fn migrate_says_what_it_did_and_does_nothing_twice() {
    let database = PostgresServer::shared().await.expect("postgres").database().await.expect("a database");
    let urls = [format!("--database-url={}", database.url()), "--redis-url=redis://127.0.0.1:1".to_owned()];
    let (code, said) = run(&["migrate", &urls[0], &urls[1]]).await;
    assert_eq!((code, said.contains(": 2026")), (0, true), "{said}");
    let (code, said) = run(&["migrate", &urls[0], &urls[1]]).await;
    assert_eq!((code, said.contains("is up to date")), (0, true), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn migrate_loads_the_functions_for_a_service_that_may_not() {
    let redis = RedisServer::start().await.expect("redis starts");
    let database = PostgresServer::shared().await.expect("postgres").database().await.expect("a database");
    let admin = format!("--redis-admin-url={}", redis.url());
    let urls = [format!("--database-url={}", database.url()), format!("--redis-url={}", redis.url())];
    let (code, said) = run(&["migrate", &urls[0], &urls[1], &admin]).await;
    assert_eq!((code, said.contains("the functions are loaded")), (0, true), "{said}");
    assert!(redis.command(&["FUNCTION", "LIST"]).await.expect("an answer").contains("coupon_v1"));
}

#[tokio::test]
async fn version_and_help_are_for_people() {
    let (code, said) = run(&["version"]).await;
    assert_eq!((code, said.as_str()), (0, concat!("coupon ", env!("CARGO_PKG_VERSION"), "\n")));
    let (code, help) = run(&["--help"]).await;
    assert_eq!(code, 0);
    insta::assert_snapshot!("help", help);
}

#[tokio::test]
async fn each_command_explains_itself() {
    for command in [
        "draw",
        "draw verify",
        "draw export",
        "draw bench",
        "users import",
        "simulate",
        "bench",
        "events",
        "events tail",
        "events subscribers",
        "events dead-letters",
        "events replay",
        "export",
        "audit",
    ] {
        let words: Vec<_> = command.split(' ').chain(["--help"]).collect();
        let (code, help) = run(&words).await;
        assert_eq!(code, 0, "{help}");
        // The settings are those of every command.
        let (own, _settings) = help.split_once("\nSettings:").expect("settings behind it");
        insta::assert_snapshot!(format!("help_{}", command.replace(' ', "_")), own);
    }
}

#[tokio::test]
async fn healthcheck_tells_by_its_exit_code() {
    let service = crate::process::Process::start(&["--no-sample-data"]).await;
    let address = format!("--listen={}", service.address());
    assert_eq!(run(&["healthcheck", &address]).await, (0, "SERVING\n".to_owned()));
    let nobody = format!("--listen=127.0.0.1:{}", free_port().expect("a free port"));
    assert_eq!(run(&["healthcheck", &nobody]).await.0, 1);
}

#[tokio::test]
async fn a_second_service_on_the_same_folder_is_refused() {
    let service = crate::process::Process::start(&["--no-sample-data"]).await;
    let folder = format!("--data-dir={}", service.data_dir().display());
    let (code, said) = run(&["--listen=127.0.0.1:0", "--ops-listen=", &folder]).await;
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("is owned by another process"), "{said}");
}

const USERS: &str = r#"{"id": "ada", "name": "Ada", "metadata": {"tier": "gold"}}
not a user

{"id": "no such id!"}
{"id": "bob"}
{"id": "cy", "nmae": "Cy"}
{"id": "ada", "name": "Another"}
"#;

#[tokio::test]
async fn users_are_imported_and_each_wrong_line_is_told_by_its_number() {
    let service = crate::process::Process::start(&["--no-sample-data"]).await;
    let target = format!("--target=http://{}", service.address());
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("users.jsonl");
    std::fs::write(&file, USERS).expect("written");
    let file = file.display().to_string();

    let (code, said) = run(&["users", "import", &file, &target]).await;
    assert_eq!(code, 1, "{said}");
    insta::assert_snapshot!("import", said);

    std::fs::write(&file, "{\"id\": \"bob\"}\n{\"id\": \"dan\"}").expect("written");
    let (code, said) = run(&["users", "import", &file, &target]).await;
    assert_eq!((code, said.as_str()), (0, "1 created, 1 unchanged, 0 failed\n"));
}

#[tokio::test]
async fn users_come_from_standard_input_in_any_number() {
    let service = crate::process::Process::start(&["--no-sample-data"]).await;
    let file = tempfile::tempfile().expect("a file");
    let mut written = std::io::BufWriter::new(&file);
    for n in 0..20_000 {
        writeln!(written, r#"{{"id":"user-{n}"}}"#).expect("written");
    }
    written.seek(std::io::SeekFrom::Start(0)).expect("at the beginning");
    drop(written);
    let listen = format!("--listen={}", service.address());
    let (code, said) = run_on(file.into(), &["users", "import", "-", &listen], &[]).await;
    assert_eq!((code, said.as_str()), (0, "20,000 created, 0 unchanged, 0 failed\n"));
}

#[tokio::test]
async fn an_import_without_file_or_service_says_which_is_missing() {
    let nobody = format!("--target=http://127.0.0.1:{}", free_port().expect("a free port"));
    let (code, said) = run(&["users", "import", "nowhere.jsonl", &nobody]).await;
    assert_eq!((code, said.contains("nowhere.jsonl cannot be used")), (2, true), "{said}");
    let (code, said) = run(&["users", "import", "-", &nobody]).await;
    assert_eq!((code, said.contains("no service answers at http://127.0.0.1")), (1, true), "{said}");
    let (code, said) = run(&["users", "import", "-", "--target=127.0.0.1:50051"]).await;
    assert_eq!((code, said.contains("must begin with http://")), (2, true), "{said}");
}

#[tokio::test]
async fn coupons_are_exported_to_a_file_without_their_codes() {
    let service = crate::process::Process::start(&[]).await;
    let target = format!("--target=http://{}", service.address());
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("coupons.csv");
    let output = format!("--output={}", file.display());
    let welcome = ["export", "--campaign=sample-welcome", &target];

    let (code, said) = run(&[&welcome[..], &["--format=csv", &output]].concat()).await;
    assert_eq!((code, said.as_str()), (0, "2 exported\n"));
    let csv = std::fs::read_to_string(&file).expect("written");
    let rows: Vec<Vec<&str>> = csv.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!((rows[0][0], rows[0][5], rows.len()), ("id", "state", 3));
    assert_eq!((rows[1][4], rows[1][5]), ("ada", "REDEEMED"));

    let (code, said) = run(&[&welcome[..], &["--state=redeemed"]].concat()).await;
    assert_eq!(code, 0, "{said}");
    let (line, told) = said.split_once('\n').expect("a line and what was told");
    let coupon: serde_json::Value = serde_json::from_str(line).expect("JSON");
    assert_eq!((&coupon["userId"], &coupon["code"], told), (&"ada".into(), &().into(), "1 exported\n"));

    let (code, said) = run(&["export", "--campaign=nowhere", &output, &target]).await;
    assert_eq!((code, said.contains("campaign nowhere is not known")), (1, true), "{said}");
    assert_eq!(std::fs::read_to_string(&file).expect("as it was"), csv);
}

#[tokio::test]
async fn audit_records_are_printed_one_a_line() {
    let service = crate::process::Process::start(&[]).await;
    let target = format!("--target=http://{}", service.address());
    let (code, said) = run(&["audit", "--campaign=sample-welcome", &target]).await;
    assert_eq!(code, 0, "{said}");
    let first: serde_json::Value = serde_json::from_str(said.lines().last().expect("a line")).expect("JSON");
    assert_eq!((&first["action"], &first["campaignId"]), (&"CREATE".into(), &"sample-welcome".into()));
    let (code, said) = run(&["audit", "--campaign=nowhere", &target]).await;
    assert_eq!((code, said.contains("campaign nowhere is not known")), (1, true), "{said}");
}

/// A busy machine prints a line within it.
const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_tail_acknowledges_what_it_has_printed() {
    let service = crate::process::Process::start(&[]).await;
    let target = format!("--target=http://{}", service.address());
    let mut tail = Command::new(env!("CARGO_BIN_EXE_coupon"))
        .args(["events", "tail", "--subscriber=crm", "--kind=coupon.redeemed", &target])
        .env_clear()
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the binary runs");
    let mut lines = tokio::io::BufReader::new(tail.stdout.take().expect("a pipe")).lines();
    let line =
        tokio::time::timeout(PATIENCE, lines.next_line()).await.expect("in time").expect("readable").expect("a line");
    let told: serde_json::Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!(told["event"]["kind"], "EVENT_KIND_COUPON_REDEEMED");
    let position: i64 = told["position"].as_str().expect("a position").parse().expect("a number");
    let acknowledged = eventually(|| async {
        let (code, said) = run(&["events", "subscribers", &target]).await;
        assert_eq!(code, 0, "{said}");
        let crm: serde_json::Value = serde_json::from_str(said.lines().next()?).expect("JSON");
        let at: i64 = crm["position"].as_str()?.parse().expect("a number");
        (at >= position).then_some(crm)
    });
    assert_eq!(acknowledged.await["name"], "crm");
}

#[tokio::test]
async fn an_outlet_that_is_not_there_has_nothing_to_replay() {
    let service = crate::process::Process::start(&["--no-sample-data"]).await;
    let target = format!("--target=http://{}", service.address());
    for command in [&["dead-letters"][..], &["replay", "--dead-letters"], &["replay", "--after=0"]] {
        let (code, said) = run(&[&["events"], command, &["nowhere", &target]].concat()).await;
        assert_eq!((code, said.contains("subscriber outlet:nowhere is not known")), (1, true), "{said}");
    }
    let (code, said) = run(&["events", "replay", "nowhere", &target]).await;
    assert_eq!((code, said.contains("--dead-letters|--after")), (2, true), "{said}");
}
