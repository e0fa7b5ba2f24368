//! Owners of unused coupons are told before they expire: each coupon and lead once.

use std::time::Duration;

use coupon_domain::campaign::{Rules, Scope};
use coupon_domain::checkout::{Hold, MAX_HOLD};
use coupon_domain::ids::UserId;
use coupon_domain::loss::NOBODY;
use coupon_domain::notice::Notice;
use coupon_domain::ports::{Event, EventDetails, EventKind, NewCampaign};
use coupon_domain::time::Timestamp;
use tokio::task::JoinSet;

use super::desk::{ROLLED_BACK, ask, back, hold_of, redeem_of, release, rollback, sweep_all, void_of};
use super::history::{History, events_after};
use super::losses::a_declared_loss;
use crate::build::{a_campaign, campaign_id, coupon_id, eur, round, round_id, second, user, users};
use crate::under_test::LedgerUnderTest;

const HOUR: Duration = Duration::from_secs(3600);

const fn days(days: u64) -> Duration {
    Duration::from_secs(days * 86_400)
}

/// The end of validity of what was claimed in second 300: 30 days later.
fn end() -> Timestamp {
    second(300).plus(days(30))
}

/// So many coupons of round 1 in campaign `c`, the one with serial i owned by `u-i`, claimed in second 300.
async fn coupons(ledger: &LedgerUnderTest, count: u32, leads: &[Duration]) -> History {
    ledger.clock.set(second(400)).await;
    let new = a_campaign("c");
    let new = NewCampaign { rules: Rules { notice_leads: leads.to_vec(), ..new.rules.clone() }, ..new };
    let mut history = History::begin(ledger, &new).await;
    history.open_round(round(1).claiming(300..360), second(0));
    history.claim(round_id(1), &users(count), second(300));
    history.record(ledger).await;
    history
}

/// Changes the leads of the campaign.
async fn change_leads(ledger: &LedgerUnderTest, history: &mut History, leads: &[Duration], at: Timestamp) {
    let rules = Rules { notice_leads: leads.to_vec(), ..history.fold.rules.clone() };
    history.revise(Scope::Labels, &rules, None, at);
    history.record(ledger).await;
}

/// Gives all notices that are due at this instant; what is due must run out.
async fn give(ledger: &LedgerUnderTest, at: Timestamp) {
    ledger.clock.set(at).await;
    for _ in 0..1000 {
        if ledger.coupons.give_notice(7).await.expect("the ledger answers") == 0 {
            return;
        }
    }
    panic!("it looks at the same coupons again and again");
}

async fn notices(ledger: &LedgerUnderTest) -> Vec<Event> {
    let events = events_after(ledger, 0).await.into_iter().map(|(_, event)| event);
    events.filter(|event| event.kind == EventKind::CouponExpiring).collect()
}

/// The coupons' serials with the leads of their notices in days and whether these are late, in order of the serials.
async fn given(ledger: &LedgerUnderTest) -> Vec<(u32, u64, bool)> {
    let told = notices(ledger).await.into_iter().map(|event| {
        let Notice { lead, late } = event.details.notice.expect("a notice tells which");
        (event.coupon.expect("a notice is of a coupon").serial, lead.as_secs() / 86_400, late)
    });
    let mut told: Vec<_> = told.collect();
    told.sort_by_key(|(serial, ..)| *serial);
    told
}

/// To the millisecond, where a campaign names no leads; and never again.
pub async fn a_notice_goes_out_seven_days_before_and_not_earlier(ledger: LedgerUnderTest) {
    coupons(&ledger, 2, &[]).await;
    let due = end().minus(days(7));
    for early in [second(400), due.minus(days(1)), due.minus(Duration::from_millis(1))] {
        give(&ledger, early).await;
        assert_eq!(given(&ledger).await, []);
    }
    give(&ledger, due).await;
    assert_eq!(given(&ledger).await, [(0, 7, false), (1, 7, false)]);
    let expected = Event {
        round: Some(round_id(1)),
        coupon: Some(coupon_id(1, 0)),
        user: Some(user("u-0")),
        details: EventDetails {
            expires_at: Some(end()),
            notice: Some(Notice { lead: days(7), late: false }),
            ..EventDetails::default()
        },
        ..Event::new(EventKind::CouponExpiring, campaign_id("c"), due)
    };
    let of_first = notices(&ledger).await.into_iter().find(|event| event.coupon == Some(coupon_id(1, 0)));
    let of_first = of_first.expect("it was told");
    assert_ne!(of_first.id, "");
    assert_eq!(Event { id: String::new(), ..of_first }, expected, "it tells of no change of state");

    for later in [due, due.plus(HOUR), end().minus(HOUR), end(), end().plus(days(1))] {
        give(&ledger, later).await;
        assert_eq!(given(&ledger).await.len(), 2);
    }
}

/// In their order, and each once.
pub async fn each_lead_of_a_campaign_has_its_notice(ledger: LedgerUnderTest) {
    coupons(&ledger, 1, &[days(1), days(14), days(3)]).await;
    for (before, count) in [(15, 0), (14, 1), (7, 1), (4, 1), (3, 2), (2, 2), (1, 3)] {
        give(&ledger, end().minus(days(before))).await;
        assert_eq!(given(&ledger).await.len(), count, "{before} days before");
    }
    assert_eq!(given(&ledger).await, [(0, 14, false), (0, 3, false), (0, 1, false)]);
}

/// The others never do.
pub async fn of_several_notices_due_the_shortest_goes_out(ledger: LedgerUnderTest) {
    coupons(&ledger, 1, &[days(14), days(3), days(7), days(1)]).await;
    give(&ledger, end().minus(days(2))).await;
    assert_eq!(given(&ledger).await, [(0, 3, true)]);
    give(&ledger, end().minus(days(1))).await;
    assert_eq!(given(&ledger).await, [(0, 3, true), (0, 1, false)]);
}

/// By more than an hour; past the end of validity there is none.
pub async fn a_notice_after_a_downtime_is_marked_as_late(ledger: LedgerUnderTest) {
    ledger.clock.set(second(400)).await;
    for (id, number) in [("c", 1), ("d", 2), ("e", 3)] {
        let mut history = History::begin(&ledger, &a_campaign(id)).await;
        // The second one's validity ends a second earlier, that of the third before the downtime is over.
        let ends = [end(), end().minus(Duration::from_secs(1)), end().minus(days(7))][number as usize - 1];
        history.open_round(round(number).claiming(300..360).valid_until(ends), second(0));
        history.claim(round_id(number), &users(1), second(300));
        history.record(&ledger).await;
    }
    give(&ledger, end().minus(days(7)).plus(HOUR)).await;
    let told = notices(&ledger).await;
    let late = |number| {
        let own = told.iter().filter(move |event| event.round == Some(round_id(number)));
        own.filter_map(|event| event.details.notice).map(|notice| notice.late).collect::<Vec<_>>()
    };
    assert_eq!((late(1), late(2), late(3)), (vec![false], vec![true], vec![]));
}

/// At once, and that is not late.
pub async fn a_coupon_issued_with_less_time_left_has_its_notice_at_once(ledger: LedgerUnderTest) {
    ledger.clock.set(second(301)).await;
    let mut history = History::begin(&ledger, &a_campaign("c")).await;
    history.open_round(round(1).claiming(300..360).valid_for(days(2)), second(0));
    history.claim(round_id(1), &users(1), second(300));
    history.record(&ledger).await;
    give(&ledger, second(301)).await;
    assert_eq!(given(&ledger).await, [(0, 7, false)]);
    give(&ledger, second(300).plus(days(1))).await;
    assert_eq!(given(&ledger).await.len(), 1);
}

/// Their owners need none.
pub async fn used_held_and_void_coupons_have_no_notice(ledger: LedgerUnderTest) {
    coupons(&ledger, 5, &[]).await;
    let due = end().minus(days(7));
    ledger.clock.set(due.minus(HOUR)).await;
    ask(&ledger, &redeem_of(0, "o-0", eur(2000))).await;
    ask(&ledger, &Hold { ttl: MAX_HOLD, ..hold_of(1, "o-1") }).await;
    ask(&ledger, &void_of(2)).await;
    ask(&ledger, &redeem_of(3, "o-3", eur(2000))).await;
    ask(&ledger, &rollback(back(3, "o-3"))).await;
    for at in [due, due.plus(HOUR)] {
        give(&ledger, at).await;
        assert_eq!(given(&ledger).await, [(3, 7, false), (4, 7, false)]);
    }
}

/// So does the end of a hold; but no notice that went out before goes out again.
pub async fn a_coupon_that_was_given_back_has_the_notice_that_was_skipped(ledger: LedgerUnderTest) {
    coupons(&ledger, 5, &[]).await;
    let due = end().minus(days(7));
    ledger.clock.set(due.minus(HOUR)).await;
    for serial in [0, 1] {
        ask(&ledger, &redeem_of(serial, &format!("o-{serial}"), eur(2000))).await;
    }
    for serial in [2, 3] {
        ask(&ledger, &Hold { ttl: MAX_HOLD, ..hold_of(serial, &format!("o-{serial}")) }).await;
    }
    give(&ledger, due).await;
    assert_eq!(given(&ledger).await, [(4, 7, false)]);
    ask(&ledger, &redeem_of(4, "o-4", eur(2000))).await;

    ledger.clock.set(due.plus(HOUR)).await;
    for (serial, id) in [(0, "o-0"), (4, "o-4")] {
        assert_eq!(ask(&ledger, &rollback(back(serial, id))).await, ROLLED_BACK);
    }
    ask(&ledger, &release(back(2, "o-2"))).await;
    give(&ledger, due.plus(HOUR)).await;
    assert_eq!(given(&ledger).await, [(0, 7, false), (2, 7, false), (4, 7, false)]);

    // The hold runs out, the sweeper stores it, and the rollback comes last.
    ledger.clock.set(due.plus(days(2))).await;
    sweep_all(&ledger, 100).await;
    give(&ledger, due.plus(days(2))).await;
    assert_eq!(ask(&ledger, &rollback(back(1, "o-1"))).await, ROLLED_BACK);
    give(&ledger, due.plus(days(3))).await;
    let expected = [(0, 7, false), (1, 7, true), (2, 7, false), (3, 7, true), (4, 7, false)];
    assert_eq!(given(&ledger).await, expected);
}

/// Whoever gives it.
pub async fn of_two_at_once_each_notice_goes_out_once(ledger: LedgerUnderTest) {
    coupons(&ledger, 100, &[]).await;
    let due = end().minus(days(7));
    ledger.clock.set(due).await;
    let mut givers = JoinSet::new();
    for _ in 0..8 {
        let coupons = ledger.coupons.clone();
        givers.spawn(async move {
            for _ in 0..20 {
                let some = coupons.give_notice(7).await.expect("the ledger answers");
                assert!(some <= 7, "{some} of 7");
            }
        });
    }
    givers.join_all().await;
    give(&ledger, due).await;
    assert_eq!(given(&ledger).await, (0..100).map(|serial| (serial, 7, false)).collect::<Vec<_>>());
}

/// The rest is left to the next call.
pub async fn no_more_notices_go_out_than_the_limit(ledger: LedgerUnderTest) {
    coupons(&ledger, 10, &[]).await;
    ledger.clock.set(end().minus(days(7))).await;
    for (looked_at, gone) in [(4, 4), (4, 8), (2, 10), (0, 10)] {
        assert_eq!(ledger.coupons.give_notice(4).await.expect("the ledger answers"), looked_at);
        assert_eq!(given(&ledger).await.len(), gone);
    }
}

/// Also those whose notice has gone out or was not due yet; what went out does not go out again, nor does a longer one behind it.
pub async fn coupons_are_looked_at_anew_when_the_leads_change(ledger: LedgerUnderTest) {
    let mut history = coupons(&ledger, 1, &[]).await;
    let before = |days_left| end().minus(days(days_left));
    give(&ledger, before(12)).await;
    assert_eq!(given(&ledger).await, []);
    change_leads(&ledger, &mut history, &[days(10)], before(12)).await;
    give(&ledger, before(11)).await;
    assert_eq!(given(&ledger).await, [], "not yet");
    give(&ledger, before(10)).await;
    assert_eq!(given(&ledger).await, [(0, 10, false)]);

    change_leads(&ledger, &mut history, &[days(10), days(20), days(5)], before(9)).await;
    give(&ledger, before(9)).await;
    assert_eq!(given(&ledger).await, [(0, 10, false)], "it was told before");
    change_leads(&ledger, &mut history, &[days(8), days(5)], before(7)).await;
    give(&ledger, before(7)).await;
    assert_eq!(given(&ledger).await, [(0, 10, false), (0, 8, true)]);
    change_leads(&ledger, &mut history, &[], before(6)).await;
    give(&ledger, before(6)).await;
    let three = [(0, 10, false), (0, 8, true), (0, 7, true)];
    assert_eq!(given(&ledger).await, three, "the default again");
    change_leads(&ledger, &mut history, &[days(1)], before(5)).await;
    give(&ledger, before(2)).await;
    assert_eq!(given(&ledger).await, three);
    give(&ledger, before(1)).await;
    assert_eq!(given(&ledger).await.last(), Some(&(0, 1, false)));
}

/// Burnt coupons are nobody's.
pub async fn nobody_is_told_of_burnt_coupons(ledger: LedgerUnderTest) {
    a_declared_loss(&ledger).await;
    give(&ledger, second(399)).await;
    let burnt = |user: &UserId| user.as_str().starts_with(NOBODY);
    let told = notices(&ledger).await;
    assert_eq!((told.len(), told.iter().filter(|e| e.user.as_ref().is_some_and(burnt)).count()), (3, 0));
}
