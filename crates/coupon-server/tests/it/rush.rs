//! Thirty thousand users claim over plain unary calls: exactly a fifth of the places, and the time it took.

use std::sync::Arc;
use std::time::Instant;

use coupon_proto::v1 as pb;
use futures::{StreamExt as _, stream};

use crate::shop::{On, Shop, a_fifth, on_both};

const USERS: usize = 30_000;
const AT_ONCE: usize = 512;

on_both! { thirty_thousand_users_get_exactly_six_thousand_coupons }

#[expect(clippy::print_stderr, reason = "the figure that people ask for")]
async fn thirty_thousand_users_get_exactly_six_thousand_coupons(on: On) {
    let shop = Arc::new(Shop::open(on).await);
    let (c, r) = shop.create(crate::shop::campaign("thirty thousand", a_fifth(pb::Rounding::Floor))).await;
    let names: Vec<_> = crate::shop::users(USERS);

    shop.set("22:56:00").await;
    let began = Instant::now();
    let places = each(&shop, &names, |shop, user| {
        let (c, r) = (c.clone(), r.clone());
        async move { shop.reserve(&c, &r, &user).await.granted().ticket.expect("a ticket") }
    });
    let mut tickets = places.await;
    let reserved = began.elapsed();
    tickets.sort_unstable();
    assert!(tickets.into_iter().eq(0..i64::try_from(USERS).expect("small")), "dense tickets");

    shop.set("23:00:00").await;
    let began = Instant::now();
    let claims = each(&shop, &names, |shop, user| {
        let (c, r) = (c.clone(), r.clone());
        async move { shop.claim(&c, &r, &user).await }
    });
    let claims = claims.await;
    let claimed = began.elapsed();
    crate::shop::assert_split(&claims, 6_000, 24_000, pb::RefusalReason::SoldOut);
    eprintln!("{on:?}: 30000 reservations in {reserved:?}, 30000 claims in {claimed:?} (unary, debug build)");
}

async fn each<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    shop: &Arc<Shop>,
    users: &[String],
    call: impl Fn(Arc<Shop>, String) -> F,
) -> Vec<T> {
    let calls = users.iter().map(|user| tokio::spawn(call(Arc::clone(shop), user.clone())));
    // Spawned lazily: so many are under way at once.
    stream::iter(calls).buffer_unordered(AT_ONCE).map(|call| call.expect("the call ran")).collect().await
}
