//! What a receiver has not taken is parked, and so is all of the same key behind it.

use std::time::Duration;

use coupon_domain::ids::SubscriberName;
use coupon_domain::ports::{Event, EventFilter, EventKind, Parked, Parking, Progress};
use uuid::Uuid;

use super::desk::{ask, back, hold_of, release, ten_coupons};
use crate::build::{campaign_id, coupon_id, second, subscriber};
use crate::under_test::LedgerUnderTest;

/// An outlet with its lease, and what it has to tell: of each of three coupons that it was held, released and held again.
struct Outlet<'a> {
    ledger: &'a LedgerUnderTest,
    name: SubscriberName,
    session: Uuid,
    /// In order: the first change of each coupon, then the second of each ...
    events: Vec<(i64, Event)>,
}

const SECOND: Duration = Duration::from_secs(1);

impl<'a> Outlet<'a> {
    /// The outlet `hook`, leased for an hour from second 400 on.
    async fn open(ledger: &'a LedgerUnderTest) -> Self {
        ten_coupons(ledger).await;
        let ids: Vec<_> = (0..3).map(|serial| (serial, format!("o-{serial}"))).collect();
        for (serial, id) in &ids {
            ask(ledger, &hold_of(*serial, id)).await;
        }
        for (serial, id) in &ids {
            ask(ledger, &release(back(*serial, id))).await;
        }
        for (serial, id) in &ids {
            ask(ledger, &hold_of(*serial, id)).await;
        }
        let kinds = vec![EventKind::CouponHeld, EventKind::CouponReleased];
        let filter = EventFilter { kinds, campaign: Some(campaign_id("c")) };
        let (mut events, mut after) = (Vec::new(), 0);
        while events.len() < 9 {
            let page = ledger.feed.events(after, &filter, 100).await.expect("the ledger answers");
            assert!(page.up_to > after, "nine were told");
            events.extend(page.events);
            after = page.up_to;
        }
        Self::beside(ledger, "hook", events).await
    }

    async fn beside(ledger: &'a LedgerUnderTest, name: &str, events: Vec<(i64, Event)>) -> Self {
        let (name, session) = (subscriber(name), Uuid::new_v4());
        let leased = ledger.feed.lease(&name, session, 3600 * SECOND).await.expect("the ledger answers");
        assert_eq!(leased, Some(0), "a new outlet begins at the first event");
        Self { ledger, name, session, events }
    }

    fn position(&self, index: usize) -> i64 {
        self.events[index].0
    }

    fn key(&self, index: usize) -> String {
        self.events[index].1.key()
    }

    /// The event of this index, tried so often, to be tried again after so many seconds.
    fn parking(&self, index: usize, attempts: u32, retry_in: Option<u32>) -> Parking {
        Parking {
            position: self.position(index),
            key: self.key(index),
            attempts,
            retry_in: retry_in.map(|seconds| seconds * SECOND),
            error: if attempts > 0 { format!("try {attempts} of {index}") } else { String::new() },
        }
    }

    fn parked(&self, index: usize, attempts: u32) -> Parked {
        let (position, event) = self.events[index].clone();
        Parked { position, event, attempts }
    }

    async fn progress(&self, progress: &Progress) -> bool {
        self.ledger.deliveries.progress(&self.name, self.session, progress).await.expect("the ledger answers")
    }

    async fn park(&self, parked: Vec<Parking>) {
        assert!(self.progress(&Progress { parked, ..Progress::default() }).await);
    }

    async fn took(&self, index: usize) {
        let taken = vec![self.position(index)];
        assert!(self.progress(&Progress { taken, ..Progress::default() }).await);
    }

    async fn due(&self) -> Vec<Parked> {
        self.ledger.deliveries.due(&self.name, 100).await.expect("the ledger answers")
    }

    /// Their indices.
    async fn due_now(&self) -> Vec<usize> {
        let index = |parked: Parked| self.events.iter().position(|(position, _)| *position == parked.position);
        self.due().await.into_iter().filter_map(index).collect()
    }

    async fn dead(&self) -> Vec<i64> {
        let dead = self.ledger.deliveries.dead_letters(&self.name, 0, 100).await.expect("the ledger answers");
        dead.into_iter().map(|letter| letter.parked.position).collect()
    }

    /// Its own position, by renewing its lease.
    async fn stands_at(&self) -> i64 {
        let renewed = self.ledger.feed.lease(&self.name, self.session, 3600 * SECOND).await;
        renewed.expect("the ledger answers").expect("it has the lease")
    }
}

/// Of each key the first one, once its time has come; what is behind it waits, whatever its own time.
pub async fn parked_events_are_due_one_of_each_key(ledger: LedgerUnderTest) {
    let outlet = Outlet::open(&ledger).await;
    // Events 0, 3 and 6 are of the first coupon, 1, 4 and 7 of the second, 2, 5 and 8 of the third.
    let parked = vec![
        outlet.parking(6, 0, Some(0)),
        outlet.parking(3, 0, Some(0)),
        outlet.parking(0, 1, Some(10)),
        outlet.parking(4, 2, Some(0)),
        outlet.parking(7, 0, Some(0)),
        outlet.parking(8, 1, Some(20)),
    ];
    outlet.park(parked).await;
    assert_eq!(outlet.due().await, [outlet.parked(4, 2)]);
    ledger.clock.set(second(410)).await;
    assert_eq!(outlet.due().await, [outlet.parked(0, 1), outlet.parked(4, 2)], "in order of their positions");
    let first = ledger.deliveries.due(&outlet.name, 1).await.expect("answers");
    assert_eq!(first, [outlet.parked(0, 1)]);

    outlet.took(0).await;
    assert_eq!(outlet.due_now().await, [3, 4]);
    outlet.park(vec![outlet.parking(3, 1, Some(5))]).await;
    assert_eq!(outlet.due_now().await, [4], "it waits anew, and so does what is behind it");
    ledger.clock.set(second(420)).await;
    assert_eq!(outlet.due().await, [outlet.parked(3, 1), outlet.parked(4, 2), outlet.parked(8, 1)]);
    for index in [3, 4, 8] {
        outlet.took(index).await;
    }
    assert_eq!(outlet.due_now().await, [6, 7]);
    for index in [6, 7] {
        outlet.took(index).await;
    }
    assert_eq!(outlet.due().await, []);
}

/// They wait for somebody to look at them; others go on.
pub async fn dead_letters_stop_nothing_behind_them(ledger: LedgerUnderTest) {
    let outlet = Outlet::open(&ledger).await;
    let parked = vec![
        outlet.parking(0, 9, None),
        outlet.parking(3, 0, Some(0)),
        outlet.parking(1, 1, Some(60)),
        outlet.parking(2, 9, None),
    ];
    outlet.park(parked).await;
    assert_eq!(outlet.due_now().await, [3]);
    let keys: Vec<_> = [0, 1, 2].map(|index| outlet.key(index)).to_vec();
    let mut waiting = ledger.deliveries.parked_keys(&outlet.name, &keys).await.expect("answers");
    waiting.sort_unstable();
    assert_eq!(waiting, [outlet.key(0), outlet.key(1)], "the third coupon has a dead letter only");
    let of_one = ledger.deliveries.parked_keys(&outlet.name, &keys[1..2]).await.expect("answers");
    assert_eq!(of_one, [outlet.key(1)]);
    assert_eq!(ledger.deliveries.parked_keys(&outlet.name, &[]).await.expect("answers"), [""; 0]);

    let letters = ledger.deliveries.dead_letters(&outlet.name, 0, 10).await.expect("answers");
    let facts: Vec<_> =
        letters.iter().map(|letter| (letter.parked.clone(), &*letter.error, letter.failed_at)).collect();
    let expected = [(0, "try 9 of 0"), (2, "try 9 of 2")];
    assert_eq!(facts, expected.map(|(index, error)| (outlet.parked(index, 9), error, second(400))));
    let behind = ledger.deliveries.dead_letters(&outlet.name, outlet.position(0), 10).await.expect("answers");
    assert_eq!(behind, letters[1..]);
    assert_eq!(ledger.deliveries.dead_letters(&outlet.name, 0, 1).await.expect("answers"), letters[..1]);
}

/// As if it had never been tried, and in its place before what is parked behind it.
pub async fn a_dead_letter_that_is_revived_is_due_at_once(ledger: LedgerUnderTest) {
    let outlet = Outlet::open(&ledger).await;
    let parked = vec![
        outlet.parking(0, 9, None),
        outlet.parking(3, 0, Some(0)),
        outlet.parking(2, 9, None),
        outlet.parking(1, 3, Some(60)),
    ];
    outlet.park(parked).await;
    ledger.clock.set(second(500)).await;
    assert_eq!(ledger.deliveries.revive(&subscriber("another")).await.expect("answers"), 0);
    assert_eq!(ledger.deliveries.revive(&outlet.name).await.expect("answers"), 2);
    assert_eq!(outlet.dead().await, [0; 0]);
    assert_eq!(outlet.due().await, [outlet.parked(0, 0), outlet.parked(1, 3), outlet.parked(2, 0)]);
    assert_eq!(ledger.deliveries.revive(&outlet.name).await.expect("answers"), 0);
    outlet.took(0).await;
    assert_eq!(outlet.due_now().await, [1, 2, 3]);
}

/// All of it or nothing; whoever lost the lease writes nothing.
pub async fn progress_is_written_by_whoever_has_the_lease(ledger: LedgerUnderTest) {
    let outlet = Outlet::open(&ledger).await;
    let parked = vec![outlet.parking(0, 1, Some(0)), outlet.parking(3, 0, Some(0))];
    let first = Progress { position: Some(outlet.position(3)), taken: Vec::new(), parked };
    assert!(outlet.progress(&first).await);
    assert_eq!(outlet.stands_at().await, outlet.position(3));
    let then = Progress {
        position: Some(outlet.position(5)),
        taken: vec![outlet.position(0)],
        parked: vec![outlet.parking(3, 1, Some(0)), outlet.parking(4, 1, Some(0))],
    };
    for stranger in [Uuid::new_v4(), Uuid::nil()] {
        let written = ledger.deliveries.progress(&outlet.name, stranger, &then).await.expect("answers");
        assert!(!written, "it never had the lease");
    }
    let nobodys = ledger.deliveries.progress(&subscriber("nobody"), outlet.session, &then).await.expect("answers");
    assert!(!nobodys, "there is no such outlet");
    assert_eq!(outlet.due().await, [outlet.parked(0, 1)]);

    ledger.clock.set(second(400 + 3600)).await;
    assert!(!outlet.progress(&then).await, "it has run out");
    let thief = Uuid::new_v4();
    let taken_over = ledger.feed.lease(&outlet.name, thief, 60 * SECOND).await.expect("answers");
    assert_eq!(taken_over, Some(outlet.position(3)), "nothing of it was written");
    assert!(!outlet.progress(&then).await, "another one has it");
    assert_eq!(outlet.due().await, [outlet.parked(0, 1)]);

    assert!(ledger.deliveries.progress(&outlet.name, thief, &then).await.expect("answers"));
    assert_eq!(outlet.due().await, [outlet.parked(3, 1), outlet.parked(4, 1)]);
    let back = Progress { position: Some(outlet.position(1)), ..Progress::default() };
    assert!(ledger.deliveries.progress(&outlet.name, thief, &back).await.expect("answers"));
    let position = ledger.feed.position(&outlet.name, thief).await.expect("answers");
    assert_eq!(position, Some(outlet.position(5)), "it never goes back");
}

/// So that all behind it is told again; it cannot be moved ahead.
pub async fn an_outlet_can_be_moved_back(ledger: LedgerUnderTest) {
    let outlet = Outlet::open(&ledger).await;
    let there = Progress { position: Some(outlet.position(5)), ..Progress::default() };
    assert!(outlet.progress(&there).await);
    let rewind = async |name: &str, position| {
        ledger.deliveries.rewind(&subscriber(name), position).await.expect("the ledger answers")
    };
    assert!(!rewind("nobody", 0).await);
    assert!(!rewind("hook", outlet.position(6)).await);
    assert_eq!(outlet.stands_at().await, outlet.position(5));
    assert!(rewind("hook", outlet.position(2)).await);
    assert_eq!(outlet.stands_at().await, outlet.position(2));
    assert!(rewind("hook", 0).await);
    assert_eq!(outlet.stands_at().await, 0);
}

/// Each has its own; one that is gone leaves nothing behind.
pub async fn what_is_parked_belongs_to_one_outlet(ledger: LedgerUnderTest) {
    let outlet = Outlet::open(&ledger).await;
    let other = Outlet::beside(&ledger, "stream", outlet.events.clone()).await;
    outlet.park(vec![outlet.parking(0, 1, Some(0)), outlet.parking(1, 9, None)]).await;
    other.park(vec![other.parking(0, 2, Some(0)), other.parking(2, 9, None)]).await;
    assert_eq!(outlet.due().await, [outlet.parked(0, 1)]);
    assert_eq!(other.due().await, [other.parked(0, 2)]);
    assert_eq!((outlet.dead().await, other.dead().await), (vec![outlet.position(1)], vec![other.position(2)]));
    other.took(0).await;
    assert_eq!(outlet.due_now().await, [0]);

    assert!(ledger.feed.unsubscribe(&outlet.name).await.expect("answers"));
    let again = Outlet::beside(&ledger, "hook", outlet.events.clone()).await;
    assert_eq!((again.due().await, again.dead().await), (vec![], vec![]));
    assert_eq!(other.dead().await, [other.position(2)]);
    assert_eq!(again.events[0].1.coupon, Some(coupon_id(1, 0)));
}
