//! The registry, with many at once.

use std::collections::BTreeMap;

use coupon_domain::ids::UserId;
use coupon_domain::ports::{NewUser, UserCreation, UserRepository as _};
use coupon_testkit::build::{by, user, users};

use crate::shop::Shop;
use crate::{connected, migrated};

fn named(id: UserId, name: &str) -> NewUser {
    let metadata = BTreeMap::from([("city".to_owned(), "Taipei".to_owned())]);
    NewUser { id, name: name.to_owned(), metadata }
}

#[tokio::test(flavor = "multi_thread")]
async fn users_that_eight_calls_register_at_once_are_made_once_each() {
    let ledger = connected(&migrated().await).await;

    let calls: Vec<_> = (0..8)
        .map(|call| {
            let ledger = ledger.clone();
            let mut batch: Vec<_> = users(500).into_iter().map(|id| named(id, "Ada")).collect();
            // Each in another order.
            batch.rotate_left(call * 60);
            tokio::spawn(async move { ledger.create_users(&batch, &by(None)).await })
        })
        .collect();
    let mut outcomes = Vec::new();
    for call in calls {
        outcomes.extend(call.await.expect("no panic").expect("answers"));
    }

    let mut made: Vec<_> = outcomes
        .iter()
        .filter_map(|o| if let UserCreation::Created(user) = o { Some(user.given.id.clone()) } else { None })
        .collect();
    made.sort();
    let mut expected = users(500);
    expected.sort();
    assert_eq!(made, expected);
    let unchanged = outcomes.iter().filter(|o| matches!(o, UserCreation::Unchanged(_))).count();
    assert_eq!(unchanged, 7 * 500);
}

#[tokio::test]
async fn who_is_registered_by_another_at_this_moment_was_registered_before() {
    let shop = Shop::with_coupons(&[]).await;
    let other =
        shop.session_after("BEGIN; INSERT INTO users VALUES ('ada', 'Ada', '{\"city\": \"Taipei\"}', 'epoch')").await;

    let ledger = shop.ledger.clone();
    let batch = ["bob", "ada", "eve"].map(|id| named(user(id), "Ada"));
    let call = tokio::spawn(async move { ledger.create_users(&batch, &by(None)).await });
    shop.somebody_waits().await;
    commit(other).await;

    let outcomes = call.await.expect("no panic").expect("answers");
    use UserCreation::{Created, Unchanged};
    assert!(
        matches!(&outcomes[..], [Created(_), Unchanged(ada), Created(_)] if ada.created_at.micros() == 0),
        "{outcomes:?}"
    );
}

#[tokio::test]
async fn who_comes_twice_in_a_call_is_what_the_first_one_said() {
    let ledger = connected(&migrated().await).await;
    let batch = [named(user("ada"), "Ada"), named(user("ada"), "Eve"), named(user("ada"), "Ada")];

    let outcomes = ledger.create_users(&batch, &by(None)).await.expect("answers");

    use UserCreation::{Created, Taken, Unchanged};
    assert!(matches!(&outcomes[..], [Created(a), Taken, Unchanged(b)] if a == b), "{outcomes:?}");
}

async fn commit(mut session: diesel_async::AsyncPgConnection) {
    use diesel_async::SimpleAsyncConnection as _;
    session.batch_execute("COMMIT").await.expect("committed");
}
