//! What is no user.

use coupon_proto::v1 as pb;
use futures::stream;

use super::{named, names, no_ids};
use crate::shop::{Instance, On, Shop, on_both};

on_both! {
    what_is_no_user_is_refused_by_name_and_not_written
    lines_without_a_user_are_refused_by_name_and_not_written
    pages_of_users_that_are_none_are_refused_by_name
}

fn ada() -> pb::User {
    pb::User { id: "ada".to_owned(), name: "Ada".to_owned(), ..Default::default() }
}

fn labelled(key: &str, value: &str) -> pb::User {
    pb::User { metadata: [(key.to_owned(), value.to_owned())].into(), ..ada() }
}

fn bad_users() -> Vec<(&'static str, pb::User)> {
    let ids = no_ids().into_iter().chain(["lost:7".to_owned()]);
    let mut bad: Vec<_> = ids.map(|id| ("user.id", pb::User { id, ..ada() })).collect();
    for name in ["x".repeat(251), "é".repeat(251), "a\0b".to_owned(), "a\r\nb".to_owned(), "\u{7f}".to_owned()] {
        bad.push(("user.name", pb::User { name, ..ada() }));
    }
    let (key, value) = ("k".repeat(65), "v".repeat(513));
    for labels in [("", "v"), (&key, "v"), ("a\0b", "v"), ("k", &value), ("k", "a\0b"), ("k", "a\nb")] {
        bad.push(("user.metadata", labelled(labels.0, labels.1)));
    }
    let many = (0..33).map(|n| (n.to_string(), String::new())).collect();
    bad.push(("user.metadata", pb::User { metadata: many, ..ada() }));
    bad
}

async fn nobody_is_there(shop: &Shop) {
    let all = shop.instances[0].users.clone().list_users(pb::ListUsersRequest::default()).await.expect("a page");
    assert_eq!(all.into_inner().users, []);
}

async fn what_is_no_user_is_refused_by_name_and_not_written(on: On) {
    let shop = Shop::open(on).await;
    let Instance { mut users, .. } = shop.instances[0].clone();
    for (field, user) in bad_users() {
        names(users.create_user(pb::CreateUserRequest { user: Some(user) }).await, field);
    }
    names(users.create_user(pb::CreateUserRequest { user: None }).await, "user");
    let all = pb::User { id: "no id".to_owned(), name: "\0".to_owned(), ..labelled("", "") };
    let fields: Vec<_> = named(users.create_user(pb::CreateUserRequest { user: Some(all) }).await);
    let fields: Vec<_> = fields.iter().map(|(field, _)| field.as_str()).collect();
    assert_eq!(fields, ["user.id", "user.name", "user.metadata"], "all at once");
    for bad in no_ids() {
        names(users.get_user(pb::GetUserRequest { user_id: bad.clone() }).await, "user_id");
        names(users.delete_user(pb::DeleteUserRequest { user_id: bad }).await, "user_id");
    }
    nobody_is_there(&shop).await;
    // What looks odd and is sound.
    let odd = pb::User { name: "'; DROP TABLE users; -- {} 🎟".to_owned(), ..labelled("'; --", "{\"a\": [1]}") };
    let created = users.create_user(pb::CreateUserRequest { user: Some(odd.clone()) }).await.expect("any text");
    let created = created.into_inner().user.expect("a user");
    assert_eq!((created.name, created.metadata), (odd.name, odd.metadata));
}

async fn lines_without_a_user_are_refused_by_name_and_not_written(on: On) {
    let shop = Shop::open(on).await;
    let Instance { mut users, .. } = shop.instances[0].clone();
    let bad = bad_users();
    let lines: Vec<_> = bad.iter().map(|(_, user)| pb::CreateUsersRequest { user: Some(user.clone()) }).collect();
    let answer = users.create_users(stream::iter(lines)).await.expect("an answer").into_inner();
    let count = i64::try_from(bad.len()).expect("few");
    assert_eq!((answer.received, answer.created, answer.failed), (count, 0, count));
    for (line, (field, user)) in (1..).zip(&bad) {
        let told = answer.errors.iter().find(|error| error.line == line && error.field == *field);
        let told = told.unwrap_or_else(|| panic!("{field} of {user:?}: {:?}", answer.errors));
        assert!(user.id.starts_with(&told.user_id) && told.user_id.chars().count() <= 128);
    }
    nobody_is_there(&shop).await;
}

async fn pages_of_users_that_are_none_are_refused_by_name(on: On) {
    let shop = Shop::open(on).await;
    let Instance { mut users, .. } = shop.instances[0].clone();
    for page_size in [-1, 1001, i32::MIN, i32::MAX] {
        names(users.list_users(pb::ListUsersRequest { page_size, page_token: String::new() }).await, "page_size");
    }
    for page_token in no_ids().into_iter().filter(|token| !token.is_empty()) {
        names(users.list_users(pb::ListUsersRequest { page_size: 0, page_token }).await, "page_token");
    }
}
