//! The coupon script that everybody writes first, by `redis-benchmark`: it takes from the stock, remembers who got one, and appends to a
//! stream that nothing reads.

use anyhow::{Context as _, ensure};

use super::programs;

/// Once for each user, while there is stock.
const SCRIPT: &str = "if redis.call('SISMEMBER', KEYS[2], ARGV[1]) == 1 then return 0 end \
    if redis.call('DECR', KEYS[1]) < 0 then redis.call('INCR', KEYS[1]) return 0 end \
    redis.call('SADD', KEYS[2], ARGV[1]) \
    redis.call('XADD', KEYS[3], '*', 'user', ARGV[1]) \
    return 1";

const STOCK: &str = "coupon-bench:eval:stock";
const USERS: &str = "coupon-bench:eval:users";
const STREAM: &str = "coupon-bench:eval:stream";

/// Users are drawn out of so many.
const CROWD: &str = "100000000";
const CROWD_SIZE: f64 = 1e8;

/// The columns of `redis-benchmark --csv` behind the name of the test; the first of them is the rate.
const COLUMNS: usize = 7;

/// How many coupons a second a pipelined `EVAL` gives (`redis-benchmark -P 64 -c 50`), of so many requests that nearly all succeed.
///
/// Its keys are gone afterwards. Requests of users who had one before, less than one in a hundred of a million, count as well: they are
/// cheaper, so the rate is rather too high.
///
/// # Errors
/// If Redis' programs are not installed or fail, or coupons, users and stock do not agree.
pub async fn naive_eval(redis_url: &str, requests: u32) -> anyhow::Result<f64> {
    redis_cli(redis_url, &["DEL", STOCK, USERS, STREAM]).await?;
    // The last pipelines may be more than was asked for.
    let stock = u64::from(requests) * 2 + 10_000;
    redis_cli(redis_url, &["SET", STOCK, &stock.to_string()]).await?;
    let measured = benchmark(redis_url, requests).await;
    let checked = check(redis_url, requests, stock).await;
    redis_cli(redis_url, &["DEL", STOCK, USERS, STREAM]).await?;
    let rate = measured?;
    checked?;
    Ok(rate)
}

async fn benchmark(redis_url: &str, requests: u32) -> anyhow::Result<f64> {
    let mut command = programs::of_redis("redis-benchmark");
    command.args(["-u", redis_url, "-P", "64", "-c", "50", "-r", CROWD, "-n", &requests.to_string(), "--csv"]);
    command.args(["EVAL", SCRIPT, "3", STOCK, USERS, STREAM, "__rand_int__"]);
    let said = programs::run(&mut command, "").await?;
    rate(&said).with_context(|| format!("redis-benchmark: {said}"))
}

/// Of the last line. The name of the test is the command, which has commas in it.
fn rate(csv: &str) -> Option<f64> {
    csv.lines().last()?.rsplit(',').nth(COLUMNS - 1)?.trim_matches('"').parse().ok()
}

async fn check(redis_url: &str, requests: u32, stock: u64) -> anyhow::Result<()> {
    let users = number(redis_url, &["SCARD", USERS]).await?;
    let coupons = number(redis_url, &["XLEN", STREAM]).await?;
    let left = number(redis_url, &["GET", STOCK]).await?;
    ensure!(users == coupons && stock - left == coupons, "{coupons} coupons, {users} users, {left} of {stock} left");
    let requests = f64::from(requests);
    // Of n users out of a crowd of c about n * n / 2c come again; twice as many, and some, do not matter.
    let repeats = requests * requests / CROWD_SIZE + 20.0;
    ensure!(coupons as f64 >= requests - repeats, "{coupons} coupons for {requests} requests");
    Ok(())
}

async fn number(redis_url: &str, words: &[&str]) -> anyhow::Result<u64> {
    let said = redis_cli(redis_url, words).await?;
    said.parse().with_context(|| format!("{} answers {said:?}", words[0]))
}

async fn redis_cli(redis_url: &str, words: &[&str]) -> anyhow::Result<String> {
    // -e: an error is an exit code.
    let mut command = programs::of_redis("redis-cli");
    programs::run(command.args(["-u", redis_url, "-e"]).args(words), "").await
}

#[cfg(test)]
mod tests {
    use super::*;
    use coupon_testkit::redis::RedisServer;

    #[tokio::test]
    async fn coupons_are_given_counted_and_gone_afterwards() {
        let server = RedisServer::start().await.expect("a private server");
        let fsync = server.command(&["CONFIG", "GET", "appendfsync"]).await.expect("it answers");
        assert!(fsync.ends_with("always"), "{fsync}");

        let rate = naive_eval(&server.url(), 20_000).await.expect("a rate");

        assert!(rate > 100.0, "{rate}");
        assert_eq!(server.command(&["DBSIZE"]).await.expect("it answers"), "0");
        let calls = server.command(&["INFO", "commandstats"]).await.expect("it answers");
        let added =
            calls.lines().find_map(|line| line.strip_prefix("cmdstat_xadd:calls=")?.split(',').next()?.parse().ok());
        assert!(added.is_some_and(|added: u32| added > 19_900), "{calls}");
    }

    #[tokio::test]
    async fn a_set_that_lacks_users_is_found_out() {
        let server = RedisServer::start().await.expect("a private server");
        for words in [&["SET", STOCK, "9"][..], &["SADD", USERS, "ada"], &["XADD", STREAM, "*", "user", "ada"]] {
            server.command(words).await.expect("set");
        }
        check(&server.url(), 1, 10).await.expect("one of one");
        check(&server.url(), 1, 11).await.expect_err("two left the stock");
        check(&server.url(), 100, 10).await.expect_err("one of a hundred");
    }

    #[test]
    fn the_rate_stands_behind_a_command_with_commas() {
        let header = "\"test\",\"rps\",\"avg_latency_ms\",\"min_latency_ms\",\"p50_latency_ms\",\"p95_latency_ms\",\"p99_latency_ms\",\"max_latency_ms\"";
        let row = "\"EVAL redis.call('DECR', KEYS[1])\",\"133333.33\",\"1\",\"2\",\"3\",\"4\",\"5\",\"6\"";
        assert_eq!(rate(&format!("{header}\n{row}")), Some(133_333.33));
        assert_eq!(rate(header), None);
    }
}
