//! Notices: which one is due, and when to look again.

use std::time::Duration;

use coupon_domain::notice::{DEFAULT_LEAD, Due, LATE_AFTER, Lifetime, Notice, due, first_due};
use coupon_domain::time::Timestamp;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::build::second;

const DAY: i64 = 86_400;

fn days(days: u64) -> Duration {
    Duration::from_secs(days * 86_400)
}

/// Claimed on day 0, valid for thirty days.
fn coupon() -> Lifetime {
    Lifetime { claimed_at: second(0), expires_at: day(30) }
}

fn day(day: i64) -> Timestamp {
    second(day * DAY)
}

fn nothing(next: Option<i64>) -> Due {
    Due { notice: None, next: next.map(day) }
}

fn now(lead: u64, late: bool, next: Option<i64>) -> Due {
    Due { notice: Some(Notice { lead: days(lead), late }), next: next.map(day) }
}

#[test]
fn without_leads_it_is_seven_days() {
    assert_eq!(DEFAULT_LEAD, days(7));
    assert_eq!(first_due(day(30), &[]), day(23));
    let before = day(23).minus(Duration::from_micros(1));
    for (at, expected) in [(before, nothing(Some(23))), (day(23), now(7, false, None)), (day(30), nothing(None))] {
        assert_eq!(due(coupon(), &[], &[], at), expected, "at {at:?}");
    }
}

#[test]
fn one_is_due_from_its_instant_until_the_end_of_validity() {
    let leads = [days(1), days(14), days(3)];
    assert_eq!(first_due(day(30), &leads), day(16));
    for (at, sent, expected) in [
        (15, vec![], nothing(Some(16))),
        (16, vec![], now(14, false, Some(27))),
        (17, vec![], now(14, true, Some(27))),
        (17, vec![14], nothing(Some(27))),
        (27, vec![14], now(3, false, Some(29))),
        (28, vec![14, 3], nothing(Some(29))),
        (29, vec![14, 3], now(1, false, None)),
        (29, vec![14, 3, 1], nothing(None)),
        (30, vec![14, 3], nothing(None)),
        (31, vec![], nothing(None)),
    ] {
        let sent: Vec<_> = sent.into_iter().map(days).collect();
        assert_eq!(due(coupon(), &leads, &sent, day(at)), expected, "on day {at} after {sent:?}");
    }
}

#[test]
fn of_several_the_shortest_goes_out_and_none_behind_it() {
    let leads = [days(14), days(3), days(7), days(1)];
    assert_eq!(due(coupon(), &leads, &[], day(28)), now(3, true, Some(29)));
    assert_eq!(due(coupon(), &leads, &[days(3)], day(28)), nothing(Some(29)));
    // A longer one that is added later never goes out behind a shorter one.
    assert_eq!(due(coupon(), &[days(20)], &[days(7)], day(24)), nothing(None));
    assert_eq!(due(coupon(), &[days(5)], &[days(7)], day(25)), now(5, false, None));
}

#[test]
fn late_is_more_than_an_hour_after_it_was_due_or_the_coupon_issued() {
    let at = |due: Timestamp| due.plus(LATE_AFTER);
    let after = |due: Timestamp| at(due).plus(Duration::from_micros(1));
    let issued_late = Lifetime { claimed_at: day(25), ..coupon() };
    for (coupon, due_at) in [(coupon(), day(23)), (issued_late, day(25))] {
        for (now, late) in [(due_at, false), (at(due_at), false), (after(due_at), true)] {
            let notice = due(coupon, &[], &[], now).notice.expect("it is due");
            assert_eq!((notice.lead, notice.late), (days(7), late), "{coupon:?} at {now:?}");
        }
    }
}

proptest! {
    #[test]
    fn however_often_one_looks_each_lead_goes_out_once_and_they_get_shorter(
        leads in vec(1u64..29, 0..6),
        looks in vec(0i64..32 * 24, 0..60),
    ) {
        let leads: Vec<_> = leads.into_iter().map(days).collect();
        let mut looks = looks;
        looks.sort_unstable();
        let mut sent: Vec<Duration> = Vec::new();
        for hour in looks {
            let at = second(hour * 3600);
            let found = due(coupon(), &leads, &sent, at);
            prop_assert!(found.next.is_none_or(|next| next > at));
            if at < first_due(day(30), &leads) {
                prop_assert_eq!(found.notice, None);
            }
            if let Some(notice) = found.notice {
                prop_assert!(sent.iter().all(|earlier| *earlier > notice.lead));
                prop_assert!(leads.contains(&notice.lead) || (leads.is_empty() && notice.lead == DEFAULT_LEAD));
                prop_assert!(at < day(30) && day(30).minus(notice.lead) <= at);
                sent.push(notice.lead);
            }
            prop_assert_eq!(due(coupon(), &leads, &sent, at).notice, None, "not twice");
        }
    }

    #[test]
    fn whoever_looks_when_told_to_misses_none(leads in vec(1u64..29, 0..6)) {
        let leads: Vec<_> = leads.into_iter().map(days).collect();
        let (mut sent, mut at) = (Vec::new(), first_due(day(30), &leads));
        loop {
            let found = due(coupon(), &leads, &sent, at);
            sent.extend(found.notice.map(|notice| notice.lead));
            prop_assert!(found.notice.is_none_or(|notice| !notice.late));
            match found.next {
                Some(next) => at = next,
                None => break,
            }
        }
        let mut expected = if leads.is_empty() { vec![DEFAULT_LEAD] } else { leads };
        expected.sort_unstable_by(|a, b| b.cmp(a));
        expected.dedup();
        prop_assert_eq!(sent, expected);
    }
}
