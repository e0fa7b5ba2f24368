//! A suite that cannot fail proves nothing: each fault is caught by the rule that is about it.

use std::future::Future;

use coupon_testkit::contract::{gate, journal, repository};
use coupon_testkit::under_test::{GateUnderTest, LedgerUnderTest};

use crate::broken_gate::{self, Fault};
use crate::memory_ledger::{self, Fault as LedgerFault};

async fn is_caught<T, F: Future<Output = ()> + Send + 'static>(rule: impl FnOnce(T) -> F, adapter: T, fault: &str) {
    let outcome = tokio::spawn(rule(adapter)).await;
    assert!(outcome.is_err_and(|error| error.is_panic()), "a gate that {fault} passed");
}

macro_rules! gate_faults {
    ($($name:ident: $fault:ident by $suite:ident::$rule:ident;)+) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            let broken: GateUnderTest = broken_gate::with(Fault::$fault);
            is_caught($suite::$rule, broken, stringify!($name)).await;
        }
    )+};
}

gate_faults! {
    oversells_by_one: OversellsByOne by gate::claims_at_once_never_oversell;
    oversells_by_one_to_many: OversellsByOne by gate::three_hundred_users_get_exactly_sixty_coupons;
    oversells_where_nobody_looks: OversellsByOne by gate::random_sequences_are_answered_like_the_model;
    forgets_repeats: ForgetsRepeats by gate::one_user_a_hundred_times_at_once_gets_one_place_and_one_coupon;
    rounds_up: RoundsUp by gate::a_fifth_of_the_places_is_rounded_down;
    rounds_up_where_nobody_looks: RoundsUp by gate::random_sequences_are_answered_like_the_model;
    opens_closed_windows_again: PhaseFollowsTheClock by gate::a_phase_stays_when_the_clock_goes_back;
    lets_phases_follow_the_clock: PhaseFollowsTheClock by gate::random_sequences_are_answered_like_the_model;
    gives_refusals_a_number: NumbersRefusals by gate::a_yes_has_its_own_number_and_a_no_that_of_the_decision_before;
    lets_time_go_back: TimeGoesBack by gate::a_phase_stays_when_the_clock_goes_back;
    breaks_the_chain: BreaksTheChain by journal::entries_of_a_later_epoch_come_after_those_of_an_earlier_one;
    loses_the_last_entry: LosesTheLastEntry by gate::the_entry_returned_is_the_one_in_the_journal;
    returns_no_entry: ReturnsNoEntry by gate::the_entry_returned_is_the_one_in_the_journal;
    ignores_what_was_seen: IgnoresWhatWasSeen by gate::a_gate_behind_what_was_seen_is_stale;
    answers_callers_of_old_epochs: IgnoresWhatWasSeen by gate::a_caller_of_an_earlier_epoch_is_fenced;
    freezes_for_anyone: FreezesForAnyone by gate::freezing_needs_a_later_epoch;
    opens_halves: OpensHalves by gate::what_is_not_whole_is_not_opened;
    retires_early: RetiresEarly by gate::a_round_stays_until_the_ledger_has_all_of_it;
    trims_too_much: TrimsTooMuch by journal::what_is_not_recorded_or_not_old_is_kept;
    takes_any_batch: TakesAnyBatch by gate::five_hundred_and_one_are_too_many_and_change_nothing;
}

macro_rules! ledger_faults {
    ($($name:ident: $fault:ident by $rule:ident;)+) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            let broken: LedgerUnderTest = memory_ledger::with(Some(LedgerFault::$fault));
            is_caught(repository::$rule, broken, stringify!($name)).await;
        }
    )+};
}

ledger_faults! {
    records_twice: IgnoresTheCursor by a_recording_is_written_once;
    records_what_does_not_follow: IgnoresTheCursor by a_recording_that_does_not_follow_is_refused;
    takes_forks_of_places: TakesForks by a_ticket_or_a_place_is_not_given_twice;
    takes_forks_of_coupons: TakesForks by a_serial_or_a_coupon_is_not_given_twice;
    tells_twice: TellsTwice by a_recording_brings_rows_events_and_cursor_at_once;
    tells_twice_where_nobody_looks: TellsTwice by a_gate_loaded_from_the_ledger_is_the_one_that_was_lost;
    forgets_used_rounds: ForgetsUsedRounds by a_used_round_stays_in_the_ledger;
    sorts_like_people: SortsWithoutCase by seats_and_counts_come_in_order_and_in_pages;
    redeems_twice: RedeemsTwice by of_a_hundred_orders_at_once_one_gets_the_coupon;
    redeems_twice_where_nobody_looks: RedeemsTwice by random_redemptions_are_answered_like_the_rules;
    forgets_orders: ForgetsOrders by an_order_takes_one_coupon_only;
    expires_late: ExpiresLate by a_coupon_can_be_redeemed_until_its_validity_ends;
    raises_any_epoch: RaisesAnyEpoch by an_epoch_is_raised_by_one_of_those_who_try;
}
