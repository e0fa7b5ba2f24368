//! What every gate keeps. The rules are listed here, once.

mod batches;
mod comparison;
mod freezing;
mod isolation;
mod loading;
mod phases;
mod refusals;
mod repeats;
mod retirement;
mod rounds;
mod seen;
mod supply;
mod transitions;
mod windows;
mod witnesses;

/// Makes a test of each rule of a gate. It is given the path of an async function that returns a
/// [`GateUnderTest`](crate::under_test::GateUnderTest) with a store of its own; the caller depends on tokio with its macros.
#[macro_export]
macro_rules! gate_contract {
    ($make:path) => {
        $crate::gate_rules! { contract_tests gate, $make, }
    };
}

/// The list.
#[doc(hidden)]
#[macro_export]
macro_rules! gate_rules {
    ($then:ident $($with:tt)*) => {
        $crate::$then! { $($with)* [
            windows:
                both_windows_open_and_close_to_the_millisecond,
                a_round_without_reservation_is_claimed_without_a_place;
            supply:
                three_hundred_users_get_exactly_sixty_coupons,
                a_fifth_of_the_places_is_rounded_down,
                a_fifth_of_the_places_is_rounded_up,
                a_fifth_of_the_places_is_rounded_to_the_nearest,
                claims_at_once_never_oversell,
                the_total_limit_holds_over_all_rounds,
                rounds_without_a_supply_share_one_pool;
            repeats:
                one_user_a_hundred_times_at_once_gets_one_place_and_one_coupon,
                a_repeat_is_answered_after_its_window_has_closed,
                a_repeat_is_answered_while_the_campaign_is_paused;
            refusals:
                reserve_refuses_in_the_order_of_the_rules,
                claim_refuses_in_the_order_of_the_rules,
                a_claim_without_a_place_is_refused,
                places_end_at_the_cap,
                a_user_has_no_more_coupons_than_the_campaign_allows,
                a_place_does_not_help_against_the_limit;
            batches:
                five_hundred_users_are_one_batch,
                five_hundred_and_one_are_too_many_and_change_nothing,
                the_same_user_twice_in_a_batch_gets_the_first_answer_again,
                an_empty_batch_is_answered_with_nothing;
            phases:
                each_phase_is_journaled_once_by_the_first_call_that_sees_it,
                boundaries_passed_unseen_are_one_phase,
                a_phase_stands_before_the_decisions_that_follow_it,
                a_phase_stays_when_the_clock_goes_back,
                a_tick_latches_the_phases_of_all_rounds_in_one_entry;
            witnesses:
                a_yes_has_its_own_number_and_a_no_that_of_the_decision_before,
                refusals_and_repeats_write_nothing,
                the_entry_returned_is_the_one_in_the_journal;
            seen:
                a_campaign_that_was_never_opened_is_not_loaded,
                a_gate_behind_what_was_seen_is_stale,
                a_gate_of_an_earlier_epoch_than_was_seen_is_stale,
                a_caller_of_an_earlier_epoch_is_fenced,
                a_caller_behind_the_gate_is_answered,
                a_round_that_is_not_in_the_gate_is_named;
            rounds:
                a_round_is_opened_once,
                rounds_that_would_claim_at_the_same_time_are_refused,
                a_round_can_be_opened_before_the_campaign_is_active_and_not_after_its_end,
                a_round_opened_late_is_at_once_where_the_clock_is;
            transitions:
                a_new_campaign_is_opened_loaded_and_activated,
                each_transition_starts_from_one_state,
                a_transition_is_journaled_with_its_request;
            retirement:
                a_round_nobody_used_leaves_ten_minutes_after_its_close,
                a_used_round_leaves_an_hour_after_its_close,
                a_round_stays_until_the_ledger_has_all_of_it,
                what_a_retired_round_issued_still_counts;
            freezing:
                a_frozen_campaign_answers_nobody,
                freezing_tells_how_far_the_gate_is,
                freezing_needs_a_later_epoch,
                freezing_again_for_the_same_recovery_is_harmless,
                a_later_recovery_takes_over,
                no_yes_is_given_after_the_freeze,
                a_reopened_campaign_has_lost_nothing,
                there_is_nothing_to_reopen_in_an_empty_gate,
                a_half_loaded_campaign_is_never_taken_for_whole;
            loading:
                what_was_loaded_is_answered_like_before,
                many_seats_come_in_many_chunks,
                a_head_makes_the_gate_forget_what_it_had,
                what_is_not_whole_is_not_opened,
                a_round_needs_its_head_and_seats_their_round,
                only_the_recovery_that_froze_may_load;
            isolation:
                campaigns_share_nothing,
                user_ids_of_any_shape_are_alike,
                campaign_ids_of_any_shape_are_alike;
            comparison:
                random_sequences_are_answered_like_the_model;
        ] }
    };
}

gate_rules! { contract_rules }
