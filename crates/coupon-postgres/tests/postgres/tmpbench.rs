use crate::shop::*;
use coupon_domain::ports::*;
use coupon_testkit::build::*;
#[tokio::test(flavor = "multi_thread")]
async fn bench() {
    let server = coupon_testkit::postgres::PostgresServer::start(&["log_min_duration_statement=0"]).await.expect("s");
    let mut shop = Shop::on(crate::migrated_on(&server).await).await;
    let us = users(100);
    let entries = shop.claims(&us);
    shop.record(&entries).await;
    for i in 0..50u32 {
        shop.ledger.redeem(&[redeems(&format!("u-{i}"), i, &format!("o-{i}"), Ok(eur(1)))]).await.expect("ok");
    }
    let out = std::process::Command::new("sh").arg("-c").arg("for f in /tmp/coupon-test.*/log; do grep -a -A1 'parse ' $f | grep -c 'Uses each'; grep -a 'execute s' $f | wc -l; grep -ac 'parse ' $f; done").output().expect("x");
    println!("{}", String::from_utf8_lossy(&out.stdout));
    println!("{}", shop.database.psql("select count(*) from orders").await.expect("x"));
}
