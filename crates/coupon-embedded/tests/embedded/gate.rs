//! What is the embedded gate's alone: groups, and trimming bit by bit.

use std::collections::HashSet;

use coupon_domain::ports::{Gate as _, Journal as _};
use coupon_testkit::build::{round, round_id, second, user};
use tokio::task::JoinSet;

use crate::shop::{Shop, granted};

#[tokio::test(flavor = "multi_thread")]
async fn what_a_group_decided_is_in_the_journal_before_any_of_it_is_answered() {
    let shop = Shop::with([round(1).fixed(300)]).await;
    shop.at(second(300)).await;
    let mut callers = JoinSet::new();
    for caller in 0..400 {
        let (gate, campaign, seen) = (shop.gate.clone(), shop.campaign.clone(), shop.seen());
        callers.spawn(async move {
            let users = [user(&format!("a-{caller}")), user(&format!("b-{}", caller / 2))];
            let decided = gate.claim(&campaign, round_id(1), &users, true, seen).await.expect("decided");
            let after = decided.position.n;
            if let Some(entry) = &decided.entry {
                let there = gate.read(&campaign, entry.first - 1, 1).await.expect("the journal answers");
                assert_eq!(there.first(), Some(entry));
            }
            (granted(&decided.answers), after)
        });
    }
    let answers = callers.join_all().await;

    assert_eq!(answers.iter().map(|(granted, _)| granted).sum::<usize>(), 300);
    let recording = shop.unrecorded().await;
    assert_eq!(recording.coupons.iter().map(|c| &c.user).collect::<HashSet<_>>().len(), 300);
    assert_eq!(Some(recording.to.position.n), answers.iter().map(|(_, n)| *n).max());
    shop.record().await;
}

#[tokio::test]
async fn a_long_journal_is_trimmed_to_the_end_and_not_beyond() {
    let shop = Shop::with([round(1).fixed(100_000)]).await;
    for caller in 0..600_u32 {
        shop.at(second(300 + i64::from(caller / 20))).await;
        let user = [user(&format!("u-{caller}"))];
        shop.gate.claim(&shop.campaign, round_id(1), &user, true, shop.seen()).await.expect("decided");
    }
    let all = shop.gate.read(&shop.campaign, 0, usize::MAX).await.expect("the journal answers");
    assert_eq!(all.len(), 601);
    let left = |up_to, before| {
        let shop = &shop;
        async move {
            shop.gate.trim(&shop.campaign, up_to, before).await.expect("trimmed");
            shop.gate.read(&shop.campaign, 0, usize::MAX).await.expect("the journal answers")
        }
    };

    assert_eq!(left(0, second(1000)).await, all);
    assert_eq!(left(10_000, second(0)).await, all);
    let young = all.iter().position(|e| e.at >= second(328)).expect("there are such");
    assert_eq!(left(10_000, second(328)).await, all[young..]);
    let keep = all.len() - 2;
    assert_eq!(left(all[keep].first, second(1000)).await, all[keep + 1..]);
    assert_eq!(left(10_000, second(1000)).await, []);
}
