//! The registry of users.

use std::collections::BTreeMap;

use coupon_domain::ids::UserId;
use coupon_domain::ports::{NewUser, User, UserCreation};
use tokio::task::JoinSet;

use super::history::History;
use crate::build::{a_campaign, by, round, round_id, second, user, users};
use crate::under_test::LedgerUnderTest;

fn new(id: &str, name: &str, metadata: &[(&str, &str)]) -> NewUser {
    let metadata = metadata.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    NewUser { id: user(id), name: name.to_owned(), metadata }
}

fn named(id: UserId) -> NewUser {
    NewUser { name: format!("Name of {id}"), id, metadata: BTreeMap::new() }
}

async fn create(ledger: &LedgerUnderTest, users: &[NewUser]) -> Vec<UserCreation> {
    let outcomes = ledger.users.create_users(users, &by(None)).await.expect("the ledger answers");
    assert_eq!(outcomes.len(), users.len(), "one outcome each");
    outcomes
}

/// The same again is unchanged, with the time of the first; another name or another label is taken.
pub async fn a_user_is_registered_once(ledger: LedgerUnderTest) {
    ledger.clock.set(second(0)).await;
    let ada =
        new("ada", "Ada 'O\"' Lovelace, née Byron", &[("tier", "gold"), ("ünïcode", "\\ 100 % {}"), ("empty", "")]);
    let registered = User { given: ada.clone(), created_at: second(0) };
    assert_eq!(ledger.users.user(&ada.id).await.expect("answers"), None);
    assert_eq!(create(&ledger, std::slice::from_ref(&ada)).await, [UserCreation::Created(registered.clone())]);

    ledger.clock.set(second(10)).await;
    assert_eq!(create(&ledger, std::slice::from_ref(&ada)).await, [UserCreation::Unchanged(registered.clone())]);
    let without = |key: &str| ada.metadata.clone().into_iter().filter(|(k, _)| k != key).collect::<BTreeMap<_, _>>();
    for metadata in [without("tier"), without("empty"), BTreeMap::new()] {
        assert_eq!(create(&ledger, &[NewUser { metadata, ..ada.clone() }]).await, [UserCreation::Taken]);
    }
    for name in ["", "ada", "Ada 'O\"' Lovelace, née byron"] {
        let other = NewUser { name: name.to_owned(), ..ada.clone() };
        assert_eq!(create(&ledger, &[other]).await, [UserCreation::Taken]);
    }
    assert_eq!(ledger.users.user(&ada.id).await.expect("answers"), Some(registered));
    let other_case = User { given: new("Ada", "", &[]), created_at: second(10) };
    assert_eq!(create(&ledger, &[new("Ada", "", &[])]).await, [UserCreation::Created(other_case)]);
}

/// Each as if alone and in order: a repeat finds what came before it in the same call.
pub async fn many_users_are_registered_in_one_call(ledger: LedgerUnderTest) {
    ledger.clock.set(second(0)).await;
    assert_eq!(create(&ledger, &[]).await, []);
    let bob = new("bob", "Bob", &[]);
    create(&ledger, std::slice::from_ref(&bob)).await;
    ledger.clock.set(second(10)).await;
    let [zoe, ada] = [new("zoe", "Zoe", &[]), new("ada", "Ada", &[("tier", "gold")])];
    let call = [
        zoe.clone(),
        ada.clone(),
        zoe.clone(),
        new("ada", "Ada", &[]),
        bob.clone(),
        ada.clone(),
        new("bob", "Robert", &[]),
        new("new", "First", &[]),
        new("new", "Second", &[]),
    ];
    let at = |given: &NewUser, seconds| User { given: given.clone(), created_at: second(seconds) };
    let expected = [
        UserCreation::Created(at(&zoe, 10)),
        UserCreation::Created(at(&ada, 10)),
        UserCreation::Unchanged(at(&zoe, 10)),
        UserCreation::Taken,
        UserCreation::Unchanged(at(&bob, 0)),
        UserCreation::Unchanged(at(&ada, 10)),
        UserCreation::Taken,
        UserCreation::Created(at(&new("new", "First", &[]), 10)),
        UserCreation::Taken,
    ];
    assert_eq!(create(&ledger, &call).await, expected);

    let many: Vec<_> = users(5000).into_iter().map(named).collect();
    let outcomes = create(&ledger, &many).await;
    assert!(outcomes.iter().zip(&many).all(|(found, given)| *found == UserCreation::Created(at(given, 10))));
    let outcomes = create(&ledger, &many).await;
    assert!(outcomes.iter().zip(&many).all(|(found, given)| *found == UserCreation::Unchanged(at(given, 10))));
}

/// In calls that name the same users in other orders: each is made by one of them.
pub async fn users_registered_at_once_are_made_once(ledger: LedgerUnderTest) {
    ledger.clock.set(second(0)).await;
    let mut calls = JoinSet::new();
    for call in 0..8 {
        let ledger = ledger.users.clone();
        let mut some: Vec<_> = users(200).into_iter().map(named).collect();
        some.rotate_left(25 * call);
        if call % 2 == 0 {
            some.reverse();
        }
        calls.spawn(async move {
            let outcomes = ledger.create_users(&some, &by(None)).await.expect("the ledger answers");
            some.into_iter().zip(outcomes).collect::<Vec<_>>()
        });
    }
    let mut made = BTreeMap::<UserId, u32>::new();
    for (given, outcome) in calls.join_all().await.concat() {
        let registered = User { given: given.clone(), created_at: second(0) };
        match outcome {
            UserCreation::Created(user) if user == registered => *made.entry(given.id).or_default() += 1,
            UserCreation::Unchanged(user) if user == registered => {}
            other => panic!("{other:?} of {given:?}"),
        }
    }
    assert_eq!((made.len(), made.values().filter(|count| **count == 1).count()), (200, 200));
}

/// Byte by byte, whatever language the store speaks; a page may begin behind somebody who is not there any more.
pub async fn users_are_listed_by_their_bytes_and_in_pages(ledger: LedgerUnderTest) {
    ledger.clock.set(second(0)).await;
    let mut names =
        ["b", "a", "B", "_", "A", "0", "00", "a-b", "a.b", "ab", "a_b", "@", ":", "aB", "-", "Z", "z", "10"];
    let all: Vec<_> = names.map(|name| new(name, name, &[("of", name)])).to_vec();
    create(&ledger, &all).await;
    names.sort_unstable();
    for limit in [1, 4, 18, 1000] {
        let mut paged: Vec<User> = Vec::new();
        loop {
            let after = paged.last().map(|user| user.given.id.clone());
            let page = ledger.users.users(after.as_ref(), limit).await.expect("answers");
            if page.is_empty() {
                break;
            }
            assert!(page.len() <= limit as usize && paged.len() <= all.len());
            paged.extend(page);
        }
        let expected = names.map(|name| User { given: new(name, name, &[("of", name)]), created_at: second(0) });
        assert_eq!(paged, expected, "in pages of {limit}");
    }
    for (after, first) in [("Y", Some("Z")), ("a-a", Some("a-b")), ("zz", None)] {
        let page = ledger.users.users(Some(&user(after)), 1).await.expect("answers");
        assert_eq!(page.first().map(|user| user.given.id.as_str()), first, "behind {after}");
    }
}

/// As somebody new; places and coupons of that id stay.
pub async fn a_user_who_was_deleted_can_be_registered_again(ledger: LedgerUnderTest) {
    ledger.clock.set(second(400)).await;
    let ada = user("ada");
    let mut history = History::begin(&ledger, &a_campaign("c")).await;
    history.open_round(round(1).reserving(0..240).claiming(300..360), second(0));
    history.reserve(round_id(1), std::slice::from_ref(&ada), second(1));
    history.claim(round_id(1), std::slice::from_ref(&ada), second(300));
    history.record(&ledger).await;
    assert!(!ledger.users.delete_user(&ada, &by(None)).await.expect("answers"), "not registered yet");
    create(&ledger, &[new("ada", "Ada", &[("tier", "gold")]), new("Ada", "Another", &[])]).await;
    assert!(ledger.users.delete_user(&ada, &by(None)).await.expect("answers"));
    assert!(!ledger.users.delete_user(&ada, &by(None)).await.expect("answers"));
    assert_eq!(ledger.users.user(&ada).await.expect("answers"), None);
    let left = ledger.users.users(None, 10).await.expect("answers");
    assert_eq!(left.iter().map(|user| user.given.id.as_str()).collect::<Vec<_>>(), ["Ada"]);
    let seat = ledger.records.seat(round_id(1), &ada).await.expect("answers");
    assert!(seat.place.is_some() && seat.coupon.is_some());

    ledger.clock.set(second(500)).await;
    let again = User { given: new("ada", "Ada Byron", &[]), created_at: second(500) };
    assert_eq!(create(&ledger, std::slice::from_ref(&again.given)).await, [UserCreation::Created(again.clone())]);
    assert_eq!(ledger.users.user(&ada).await.expect("answers"), Some(again));
}

/// Whoever is asked for twice is told twice.
pub async fn who_is_registered_is_told_in_the_order_of_the_question(ledger: LedgerUnderTest) {
    ledger.clock.set(second(0)).await;
    let known = ["bob", "ada", "joe"].map(|id| new(id, "", &[]));
    create(&ledger, &known).await;
    ledger.users.delete_user(&user("joe"), &by(None)).await.expect("answers");

    let question = ["zoe", "bob", "Ada", "ada", "bob", "joe", "zoe", "ada", "ad"].map(user);
    let answer = [false, true, false, true, true, false, false, true, false];
    assert_eq!(ledger.users.registered(&question).await.expect("answers"), answer);
    assert_eq!(ledger.users.registered(&[]).await.expect("answers"), [true; 0]);
    create(&ledger, &users(250).into_iter().map(named).collect::<Vec<_>>()).await;
    let mut five_hundred = users(500);
    five_hundred.reverse();
    let expected: Vec<_> = (0..500).rev().map(|i| i < 250).collect();
    assert_eq!(ledger.users.registered(&five_hundred).await.expect("answers"), expected);
}
