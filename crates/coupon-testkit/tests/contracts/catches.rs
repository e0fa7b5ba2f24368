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
    oversells_where_nobody_looks: OversellsByOne by comparison::many_random_sequences;
    forgets_repeats: ForgetsRepeats by gate::one_user_a_hundred_times_at_once_gets_one_place_and_one_coupon;
    rounds_up: RoundsUp by gate::a_fifth_of_the_places_is_rounded_down;
    rounds_up_where_nobody_looks: RoundsUp by comparison::many_random_sequences;
    opens_closed_windows_again: PhaseFollowsTheClock by gate::a_phase_stays_when_the_clock_goes_back;
    lets_phases_follow_the_clock: PhaseFollowsTheClock by comparison::many_random_sequences;
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
    registers_everybody: RegistersEverybody by gate::a_round_for_registered_users_refuses_all_others;
    looks_at_the_registry_too_late: RegistersEverybody by gate::claim_refuses_in_the_order_of_the_rules;
    registers_everybody_where_nobody_looks: RegistersEverybody by comparison::many_random_sequences;
    lets_losers_claim: LetsLosersClaim by gate::claims_wait_for_the_draw_and_then_only_winners_get_coupons;
    lets_losers_claim_in_batches: LetsLosersClaim by gate::two_thousand_places_are_drawn_and_claimed_in_batches;
    lets_losers_claim_where_nobody_looks: LetsLosersClaim by comparison::many_random_sequences;
    draws_before_reservation_closed: DrawsBeforeClose by gate::a_draw_is_not_due_before_reservation_has_closed;
    takes_any_winners: TakesAnyWinners by gate::winners_that_do_not_fit_change_nothing;
    forgets_the_delay: ForgetsTheDelay by gate::a_draw_half_a_minute_late_leaves_claims_their_whole_minute;
    closes_before_the_draw: ClosesBeforeTheDraw by gate::claims_stay_open_while_the_draw_is_awaited;
    forgets_winners: ForgetsWinners by gate::winners_come_in_chunks_of_any_size;
    forgets_winners_where_nobody_looks: ForgetsWinners by comparison::many_random_sequences;
    adds_twice: AddsTwice by gate::one_request_a_hundred_times_at_once_adds_once;
    adds_twice_to_the_total_limit: AddsTwice by gate::a_request_that_comes_again_is_carried_out_once;
    adds_twice_where_nobody_looks: AddsTwice by comparison::many_random_sequences;
    adds_without_a_clock: AddsWithoutAClock by gate::a_boundary_passed_unseen_comes_before_an_addition;
    forgets_requests: ForgetsRequests by gate::requests_that_were_loaded_are_known;
    drops_used_rounds: DropsUsedRounds by gate::rounds_ahead_that_nobody_used_are_dropped;
    ignores_the_revision_of_changes: IgnoresTheRevision by gate::a_change_for_another_revision_is_outdated;
    ignores_the_revision_of_rounds: IgnoresTheRevision by gate::a_round_planned_by_another_revision_is_outdated;
}

mod comparison {
    use coupon_testkit::contract::differential::random_gates_equal_model;
    use coupon_testkit::under_test::GateUnderTest;

    /// As many as it takes to come by what is rare.
    pub(super) async fn many_random_sequences(broken: GateUnderTest) {
        random_gates_equal_model(&broken, 400).await;
    }
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
    takes_more_coupons_than_there_may_be: TakesTooManyCoupons by a_recording_with_more_coupons_than_there_may_be_is_refused;
    tells_twice: TellsTwice by a_recording_brings_rows_events_and_cursor_at_once;
    tells_twice_where_nobody_looks: TellsTwice by a_gate_loaded_from_the_ledger_is_the_one_that_was_lost;
    forgets_used_rounds: ForgetsUsedRounds by a_used_round_stays_in_the_ledger;
    sorts_like_people: SortsWithoutCase by seats_and_counts_come_in_order_and_in_pages;
    drops_requests: DropsRequests by requests_come_with_the_recording_and_in_the_snapshot;
    drops_requests_where_nobody_looks: DropsRequests by a_gate_loaded_from_the_ledger_is_the_one_that_was_lost;
    loses_what_the_limit_left: LosesLeftAtClose by what_the_limit_left_when_reservation_closed_is_kept;
    lets_a_title_be_taken_twice: LetsATitleBeTakenTwice by a_title_is_kept_for_a_change_and_given_up;
    lets_a_title_be_taken_twice_at_once: LetsATitleBeTakenTwice by of_campaigns_at_once_one_keeps_a_title;
    lets_a_title_be_created_twice: LetsATitleBeTakenTwice by a_title_is_taken_until_its_campaign_has_ended;
    forgets_leaves: ForgetsLeaves by leaves_of_a_drawn_round_are_kept_by_ticket;
    keeps_a_second_conclusion: KeepsASecondConclusion by a_draw_is_concluded_once;
    keeps_a_second_conclusion_of_many: KeepsASecondConclusion by of_conclusions_at_once_one_is_kept;
    sets_beacons_late: SetsBeaconsLate by a_beacon_after_the_draw_is_too_late;
    tells_the_registered_out_of_order: TellsRegisteredOutOfOrder by who_is_registered_is_told_in_the_order_of_the_question;
    counts_forgotten_rounds: CountsForgottenRounds by tallies_of_a_forgotten_round_are_dropped;
    redeems_twice: RedeemsTwice by of_a_hundred_orders_at_once_one_gets_the_coupon;
    redeems_twice_where_nobody_looks: RedeemsTwice by random_redemptions_are_answered_like_the_rules;
    forgets_orders: ForgetsOrders by an_order_takes_one_coupon_only;
    expires_late: ExpiresLate by a_coupon_can_be_redeemed_until_its_validity_ends;
    raises_any_epoch: RaisesAnyEpoch by an_epoch_is_raised_by_one_of_those_who_try;
}
