//! Declared losses are recorded like anything else.

use std::collections::HashMap;

use coupon_domain::campaign::CampaignState;
use coupon_domain::ids::CampaignId;
use coupon_domain::loss::{Loss, NOBODY};
use coupon_domain::recording::Recording;

use super::history::History;
use crate::build::{a_campaign, keys, round, round_id, second, users};
use crate::under_test::LedgerUnderTest;

/// Campaign `c`, where ten users had places and three of them coupons, and twenty decisions were lost: seven coupons were burnt.
/// Coupons are valid until second 400. Returns the recording of the loss.
pub(super) async fn a_declared_loss(ledger: &LedgerUnderTest) -> (CampaignId, Recording) {
    ledger.clock.set(second(0)).await;
    let mut history = History::begin(ledger, &a_campaign("c")).await;
    let (id, records) = (history.campaign.clone(), &ledger.records);
    let rush = round(1).reserving(0..240).claiming(300..360).fixed(100).valid_until(second(400));
    history.open_round(rush, second(1));
    history.reserve(round_id(1), &users(10), second(100));
    history.claim(round_id(1), &users(3), second(310));
    history.record(ledger).await;

    let before = records.snapshot(&id).await.expect("answers");
    let rounds: Vec<_> = before.rounds.into_iter().map(|round| round.view).collect();
    let (cursor, state) = (before.cursor, CampaignState::Active);
    let acknowledged = cursor.position.n + 20;
    let loss = Loss { cursor, acknowledged, epoch: 2, at: second(450), state, left_in_total: None, rounds: &rounds };
    let entry = loss.entry().expect("a loss");
    let known: HashMap<_, _> = rounds.iter().map(|round| (round.spec.id, round.spec.clone())).collect();
    let recording = Recording::of(cursor, &[entry], &known, &keys()).expect("it follows");
    records.record(&id, &recording).await.expect("it is recorded");
    assert!(recording.to.position.n >= acknowledged);
    (id, recording)
}

/// More decisions than there were places, declared after the coupons' validity: burnt are the coupons of those who had places.
pub async fn a_declared_loss_burns_what_could_have_been_given_and_pauses_the_campaign(ledger: LedgerUnderTest) {
    let ((id, recording), records) = (a_declared_loss(&ledger).await, &ledger.records);
    let after = records.snapshot(&id).await.expect("answers");
    assert_eq!((after.state, after.issued, after.cursor), (CampaignState::Paused, 10, recording.to));
    let seats = records.seats(round_id(1), None, 100).await.expect("answers");
    let burnt = seats.iter().filter(|(user, seat)| user.as_str().starts_with(NOBODY) && seat.coupon.is_some()).count();
    assert_eq!((seats.len(), burnt), (17, 7));
}
