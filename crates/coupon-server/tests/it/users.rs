//! The registry of users, each on both sets of adapters.

use std::time::Instant;

use coupon_proto::v1 as pb;
use futures::future::join_all;
use futures::stream;
use pb::RefusalReason as Reason;
use tonic::{Code, Status};

use crate::operators::calls::fault;
use crate::shop::{Instance, On, Shop, at, campaign, euros, fixed, instant, on_both, open_campaign, seconds};

on_both! {
    a_user_is_created_once
    a_hundred_thousand_users_are_created_in_one_call_and_wrong_lines_are_named
    lines_are_told_of_in_their_order_whatever_is_wrong_with_them
    a_user_is_told_with_coupons_and_counts
    of_many_coupons_the_first_fifty_are_told_and_the_way_to_the_others
    users_page_in_the_order_of_their_bytes
    a_user_who_is_deleted_keeps_what_they_hold
    only_registered_users_get_places_and_coupons
}

impl Instance {
    async fn create_user(&self, user: pb::User) -> Result<pb::User, Status> {
        let request = pb::CreateUserRequest { user: Some(user) };
        Ok(self.users.clone().create_user(request).await?.into_inner().user.expect("a user"))
    }

    async fn create_users(&self, lines: Vec<pb::CreateUsersRequest>) -> pb::CreateUsersResponse {
        self.users.clone().create_users(stream::iter(lines)).await.expect("an answer").into_inner()
    }

    async fn get_user(&self, user: &str) -> Result<pb::GetUserResponse, Status> {
        Ok(self.users.clone().get_user(pb::GetUserRequest { user_id: user.to_owned() }).await?.into_inner())
    }

    async fn delete_user(&self, user: &str) {
        let request = pb::DeleteUserRequest { user_id: user.to_owned() };
        self.users.clone().delete_user(request).await.expect("deleted");
    }

    /// All users, from pages of this size.
    async fn all_users(&self, page_size: i32) -> Vec<pb::User> {
        let (mut users, mut page_token) = (Vec::new(), String::new());
        loop {
            let request = pb::ListUsersRequest { page_size, page_token };
            let page = self.users.clone().list_users(request).await.expect("a page").into_inner();
            users.extend(page.users);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return users;
            }
        }
    }
}

fn user(id: &str, name: &str) -> pb::User {
    pb::User { id: id.to_owned(), name: name.to_owned(), ..Default::default() }
}

fn line(id: &str, name: &str) -> pb::CreateUsersRequest {
    pb::CreateUsersRequest { user: Some(user(id, name)) }
}

fn counts(response: &pb::CreateUsersResponse) -> (i64, i64, i64, i64) {
    (response.received, response.created, response.unchanged, response.failed)
}

/// Line, user and field of each error.
fn errors(response: &pb::CreateUsersResponse) -> Vec<(i64, &str, &str)> {
    assert!(response.errors.iter().all(|error| !error.description.is_empty()));
    response.errors.iter().map(|error| (error.line, error.user_id.as_str(), error.field.as_str())).collect()
}

async fn a_user_is_created_once(on: On) {
    let shop = Shop::with_company(on).await;
    let (one, another) = (&shop.instances[0], &shop.instances[shop.instances.len() - 1]);
    let ada = pb::User { metadata: [("tier".to_owned(), "gold".to_owned())].into(), ..user("ada", "Ada Lovelace") };
    let created = one.create_user(ada.clone()).await.expect("created");
    assert_eq!(created, pb::User { created_at: Some(instant(at("20:00:00"))), ..ada.clone() });
    shop.set("20:30:00").await;
    assert_eq!(another.create_user(ada.clone()).await.expect("the same again"), created);

    let (renamed, bare) = (user("ada", "Ada King"), user("ada", "Ada Lovelace"));
    for other in [pb::User { metadata: ada.metadata, ..renamed }, bare] {
        fault(another.create_user(other).await, Code::AlreadyExists, "USER_EXISTS");
    }
    for instance in [one, another] {
        assert_eq!(instance.get_user("ada").await.expect("a user").user.as_ref(), Some(&created), "nothing changed");
        fault(instance.get_user("Ada").await, Code::NotFound, "USER_NOT_FOUND");
    }
    let at_once = join_all((0..20).map(|_| one.create_user(user("bob", "Bob")))).await;
    assert!(at_once.iter().all(|answer| answer.is_ok()), "{at_once:?}");
    assert_eq!(one.all_users(50).await.len(), 2);
}

#[expect(clippy::print_stderr, reason = "the figure that people ask for")]
async fn a_hundred_thousand_users_are_created_in_one_call_and_wrong_lines_are_named(on: On) {
    const USERS: i64 = 100_000;
    let shop = Shop::open(on).await;
    let instance = &shop.instances[0];
    instance.create_user(user("taken", "Somebody")).await.expect("created");
    let labels = |count: usize, bytes: usize| (0..count).map(|n| (n.to_string(), "v".repeat(bytes))).collect();
    let wrong = [
        (line("a b", "Ada"), "user.id"),
        (line("", "Ada"), "user.id"),
        (line("lost:7", "Nobody"), "user.id"),
        (line(&"x".repeat(129), "Ada"), "user.id"),
        (line("ada", &"x".repeat(251)), "user.name"),
        (line("ada", "a\0b"), "user.name"),
        (
            pb::CreateUsersRequest { user: Some(pb::User { metadata: labels(33, 1), ..user("ada", "") }) },
            "user.metadata",
        ),
        (pb::CreateUsersRequest { user: Some(pb::User { metadata: labels(9, 512), ..user("ada", "") }) }, "user"),
        (pb::CreateUsersRequest { user: None }, "user"),
        (line("taken", "Somebody else"), "user.id"),
    ];
    let (mut lines, mut expected) = (Vec::new(), Vec::new());
    for (n, (bad, field)) in wrong.iter().enumerate() {
        lines.extend((0..10_000).map(|m| line(&format!("user-{}", n * 10_000 + m), "A user")));
        lines.push(bad.clone());
        let id: String = bad.user.iter().flat_map(|user| user.id.chars().take(128)).collect();
        expected.push((i64::try_from(lines.len()).expect("few"), id, *field));
    }
    let expected: Vec<_> = expected.iter().map(|(line, id, field)| (*line, id.as_str(), *field)).collect();

    let began = Instant::now();
    let first = instance.create_users(lines.clone()).await;
    let created = began.elapsed();
    assert_eq!(counts(&first), (USERS + 10, USERS, 0, 10));
    assert_eq!(errors(&first), expected);
    let began = Instant::now();
    let again = instance.create_users(lines).await;
    eprintln!("{on:?}: {USERS} users in {created:?}, again in {:?} (debug build)", began.elapsed());
    assert_eq!(counts(&again), (USERS + 10, 0, USERS, 10));
    assert_eq!(errors(&again), expected);

    let all = instance.all_users(1000).await;
    assert_eq!((all.len(), all.is_sorted_by(|a, b| a.id < b.id)), (100_001, true));
    assert_eq!(all.iter().filter(|user| user.name == "A user").count(), 100_000);
}

async fn lines_are_told_of_in_their_order_whatever_is_wrong_with_them(on: On) {
    let shop = Shop::open(on).await;
    let instance = &shop.instances[0];
    instance.create_user(user("ada", "Ada")).await.expect("created");
    let answer = instance
        .create_users(vec![
            line("ada", "Another"),
            line("bob", "Bob"),
            line("no id", ""),
            line("bob", "Bob"),
            line("bob", "Robert"),
            line("", "\0"),
        ])
        .await;
    assert_eq!(counts(&answer), (6, 1, 1, 4));
    let expected = [
        (1, "ada", "user.id"),
        (3, "no id", "user.id"),
        (5, "bob", "user.id"),
        (6, "", "user.id"),
        (6, "", "user.name"),
    ];
    assert_eq!(errors(&answer), expected);
    assert_eq!(instance.get_user("bob").await.expect("a user").user.expect("a user").name, "Bob", "the first line");
    assert_eq!(counts(&instance.create_users(Vec::new()).await), (0, 0, 0, 0));
    // Far more errors than are told.
    let many = (0..1500).map(|n| if n % 2 == 0 { line("ada", "Another") } else { line("no id", "") }).collect();
    let answer = instance.create_users(many).await;
    assert_eq!((counts(&answer), answer.errors.len()), ((1500, 0, 0, 1500), 1000));
    assert!(answer.errors.iter().map(|error| error.line).eq(1..=1000), "the first thousand");
}

async fn a_user_is_told_with_coupons_and_counts(on: On) {
    let shop = Shop::with_company(on).await;
    let another = &shop.instances[shop.instances.len() - 1];
    another.create_user(user("ada", "Ada")).await.expect("created");
    let nothing = another.get_user("ada").await.expect("a user");
    assert_eq!((nothing.coupons.len(), nothing.counts), (0, Some(pb::CouponCounts::default())));

    let short = pb::Validity { until: Some(pb::validity::Until::AfterClaim(seconds(86_400))) };
    let (expires, _) = shop.create(pb::Campaign { validity: Some(short), ..open_campaign("expires", 5) }).await;
    let (used, _) = shop.create(open_campaign("used", 5)).await;
    let (open, _) = shop.create(open_campaign("open", 5)).await;
    shop.set("23:00:00").await;
    let mut ids = Vec::new();
    for c in [&expires, &used, &open] {
        shop.claim(c, "", "somebody-else").await.granted();
        let coupon = shop.claim(c, "", "ada").await.granted();
        if c == &used {
            shop.redeem(&coupon.code, "ada", "order", 1000).await.granted();
        }
        ids.push(coupon.id);
        shop.ledger_caught_up(c).await;
    }
    shop.set("25 23:00:00").await;
    let told = another.get_user("ada").await.expect("a user");
    assert_eq!(
        told.counts,
        Some(pb::CouponCounts { total: 3, issued: 1, redeemed: 1, expired: 1, ..Default::default() })
    );
    let states = [pb::CouponState::Expired, pb::CouponState::Redeemed, pb::CouponState::Issued];
    assert_eq!(told.coupons.iter().map(|coupon| coupon.state()).collect::<Vec<_>>(), states);
    assert_eq!(told.coupons.iter().map(|coupon| &coupon.id).collect::<Vec<_>>(), ids.iter().collect::<Vec<_>>());
    for coupon in &told.coupons {
        assert_eq!((coupon.user_id.as_str(), coupon.code.as_str()), ("ada", ""), "codes are not for lists");
        assert!(coupon.benefit.is_some());
    }
    assert_eq!((told.coupons[1].order_id.as_str(), told.next_page_token.as_str()), ("order", ""));
}

async fn of_many_coupons_the_first_fifty_are_told_and_the_way_to_the_others(on: On) {
    let shop = Shop::open(on).await;
    let instance = &shop.instances[0];
    instance.create_user(user("ada", "Ada")).await.expect("created");
    let campaigns = join_all((0..52).map(|n| {
        let shop = &shop;
        async move { shop.create(open_campaign(&format!("number {n}"), 1)).await }
    }));
    let campaigns = campaigns.await;
    shop.set("23:00:00").await;
    let mut claimed =
        join_all(campaigns.iter().map(|(c, r)| async { shop.claim(c, r, "ada").await.granted().id })).await;
    claimed.sort_by_key(|id| id.trim_start_matches("r-").trim_end_matches("-0").parse::<u32>().expect("a number"));
    shop.recorded("", &["ada".to_owned()], 52).await;

    let told = instance.get_user("ada").await.expect("a user");
    assert_eq!(told.counts.map(|counts| (counts.total, counts.issued)), Some((52, 52)));
    let rest = pb::ListCouponsRequest {
        user_id: "ada".to_owned(),
        page_token: told.next_page_token.clone(),
        ..Default::default()
    };
    let rest = instance.coupons.clone().list_coupons(rest).await.expect("a page").into_inner();
    assert_eq!((told.coupons.len(), rest.coupons.len(), rest.next_page_token.as_str()), (50, 2, ""));
    let all: Vec<_> = told.coupons.into_iter().chain(rest.coupons).map(|coupon| coupon.id).collect();
    assert_eq!(all, claimed);
}

async fn users_page_in_the_order_of_their_bytes(on: On) {
    let shop = Shop::open(on).await;
    let instance = &shop.instances[0];
    let long = "z".repeat(128);
    let mut ids = ["b", "B", "_b", "a.b", "a-b", "ab", "a:b", "a@b", "a_b", "10", "9", "-", ".", "Zoe", "zoe", &long];
    for id in ids {
        instance.create_user(user(id, id)).await.expect("created");
    }
    ids.sort_unstable();
    for page_size in [1, 5, 16, 17, 0] {
        let listed = instance.all_users(page_size).await;
        let names: Vec<_> = listed.iter().map(|user| (user.id.as_str(), user.name.as_str())).collect();
        assert_eq!(names, ids.map(|id| (id, id)), "in pages of {page_size}");
    }
    // The token is where the page ended, whoever comes or goes meanwhile.
    let request = pb::ListUsersRequest { page_size: 3, page_token: String::new() };
    let page = instance.users.clone().list_users(request).await.expect("a page").into_inner();
    instance.delete_user(&page.users[2].id).await;
    let request = pb::ListUsersRequest { page_size: 1, page_token: page.next_page_token };
    let next = instance.users.clone().list_users(request).await.expect("a page").into_inner();
    assert_eq!(next.users[0].id, ids[3]);
}

async fn a_user_who_is_deleted_keeps_what_they_hold(on: On) {
    let shop = Shop::with_company(on).await;
    let (one, another) = (&shop.instances[0], &shop.instances[shop.instances.len() - 1]);
    let ada = pb::User { metadata: [("tier".to_owned(), "gold".to_owned())].into(), ..user("ada", "Ada") };
    one.create_user(ada).await.expect("created");
    one.create_user(user("bob", "Bob")).await.expect("created");
    let (c, r) = shop.create(campaign("kept", fixed(5))).await;
    shop.set("22:56:00").await;
    let place = shop.reserve(&c, &r, "ada").await.granted();
    shop.set("23:00:00").await;
    let coupon = shop.claim(&c, &r, "ada").await.granted();
    shop.ledger_caught_up(&c).await;

    for _ in 0..2 {
        another.delete_user("ada").await;
    }
    another.delete_user("never-there").await;
    for instance in &mut shop.instances.clone() {
        fault(instance.get_user("ada").await, Code::NotFound, "USER_NOT_FOUND");
        assert_eq!(instance.all_users(50).await.iter().map(|user| user.id.as_str()).collect::<Vec<_>>(), ["bob"]);
        let place_again = instance.reserve(&c, &r, "ada").await.expect("an answer");
        let again = instance.claim(&c, &r, "ada").await.expect("an answer");
        assert!(place_again.replayed && again.replayed);
        assert_eq!((place_again.granted(), again.granted()), (place.clone(), coupon.clone()));
    }
    assert_eq!(shop.ledger_coupons(&c, &["ada".to_owned()]).await.len(), 1);
    let redemption = shop.redeem(&coupon.code, "ada", "order", 1000).await.granted();
    assert_eq!(redemption.discount, Some(euros(200)));

    // Somebody registered under the same id anew is new by name, and by what they hold the same.
    let new = one.create_user(user("ada", "Adele")).await.expect("the id is free");
    assert_eq!((new.metadata.len(), new.created_at), (0, Some(instant(at("23:00:00")))));
    let told = another.get_user("ada").await.expect("a user");
    assert_eq!(told.counts, Some(pb::CouponCounts { total: 1, redeemed: 1, ..Default::default() }));
}

async fn only_registered_users_get_places_and_coupons(on: On) {
    let shop = Shop::with_company(on).await;
    let (mut one, mut another) = (shop.instances[0].clone(), shop.instances[shop.instances.len() - 1].clone());
    let (c, r) = shop.create(pb::Campaign { registered_users_only: true, ..campaign("members", fixed(5)) }).await;
    assert_eq!(shop.reserve(&c, &r, "ada").await.reason(), Reason::NotOpenYet, "the window's refusals come first");
    shop.set("22:56:00").await;
    let unknown = shop.reserve(&c, &r, "ada").await.refusal();
    assert_eq!((unknown.reason(), unknown.r#final), (Reason::UnknownUser, false));
    for id in ["ada", "bob"] {
        one.create_user(user(id, "")).await.expect("created");
    }
    // Whichever instance is asked, at once.
    let place = another.reserve(&c, &r, "ada").await.expect("an answer").granted();
    assert_eq!(
        (place.ticket, one.reserve(&c, &r, "bob").await.expect("an answer").granted().ticket),
        (Some(0), Some(1))
    );
    assert_eq!(one.reserve(&c, &r, "Ada").await.expect("an answer").reason(), Reason::UnknownUser);
    another.delete_user("bob").await;

    shop.set("23:00:00").await;
    assert_eq!(one.claim(&c, &r, "eve").await.expect("an answer").reason(), Reason::UnknownUser, "not NOT_RESERVED");
    assert_eq!(one.claim(&c, &r, "bob").await.expect("an answer").reason(), Reason::UnknownUser, "despite the place");
    let coupon = one.claim(&c, &r, "ada").await.expect("an answer").granted();
    another.delete_user("ada").await;
    for instance in [&mut one, &mut another] {
        let (place_again, again) = (instance.reserve(&c, &r, "ada").await, instance.claim(&c, &r, "ada").await);
        let (place_again, again) = (place_again.expect("an answer"), again.expect("an answer"));
        assert!(place_again.replayed && again.replayed, "a repeat is answered whoever is registered by now");
        assert_eq!((place_again.granted(), again.granted()), (place.clone(), coupon.clone()));
    }
    one.create_user(user("bob", "Bob again")).await.expect("created");
    assert_eq!(another.claim(&c, &r, "bob").await.expect("an answer").granted().serial, Some(1));
    shop.set("23:01:00").await;
    assert_eq!(shop.claim(&c, &r, "eve").await.reason(), Reason::Closed);
    assert_eq!(shop.round(&c, &r).await.issued, Some(2));
}
