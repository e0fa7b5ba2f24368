//! What every gate keeps. The rules are listed here, once.

mod additions;
mod batches;
mod comparison;
mod draws;
mod freezing;
mod isolation;
mod late_draws;
mod loading;
mod phases;
mod refusals;
mod registered;
mod repeats;
mod requests;
mod retirement;
mod revisions;
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
                claim_refuses_in_the_order_of_the_rules_where_places_are_drawn,
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
                a_transition_is_journaled_with_its_request,
                an_ended_campaign_is_over_for_good;
            registered:
                a_round_for_registered_users_refuses_all_others,
                a_repeat_is_answered_to_a_user_who_is_not_registered_any_more,
                a_round_for_everybody_does_not_ask_who_is_registered;
            draws:
                claims_wait_for_the_draw_and_then_only_winners_get_coupons,
                a_draw_before_claims_open_moves_nothing,
                as_many_win_as_there_are_coupons_places_and_what_the_total_limit_leaves,
                a_draw_is_not_due_before_reservation_has_closed,
                a_draw_is_concluded_once,
                winners_that_do_not_fit_change_nothing,
                a_draw_of_no_places_has_no_winners,
                two_thousand_places_are_drawn_and_claimed_in_batches,
                winners_may_be_any_bits,
                of_many_conclusions_at_once_one_counts,
                a_draw_is_journaled_behind_the_phase_it_sees_first,
                a_round_is_drawn_whatever_the_campaigns_state;
            late_draws:
                a_draw_half_a_minute_late_leaves_claims_their_whole_minute,
                claims_stay_open_while_the_draw_is_awaited,
                a_late_draw_that_sees_claims_open_first_still_moves_them,
                a_draw_more_than_an_hour_late_moves_claims_by_an_hour,
                a_round_that_is_not_drawn_closes_an_hour_later_than_planned,
                a_round_that_was_drawn_late_leaves_later;
            additions:
                fifty_coupons_added_after_sold_out_are_exactly_fifty_more,
                coupons_added_before_the_share_is_known_are_on_top_of_it,
                coupons_added_after_the_share_is_known_are_on_top_of_it,
                a_drawn_round_takes_more_coupons_until_reservation_closes,
                more_coupons_than_a_drawn_round_has_places_are_not_won,
                a_shared_pool_grows_by_the_total_limit_only,
                a_round_and_the_total_limit_are_raised_each_by_itself,
                a_campaign_without_a_total_limit_gets_none_by_an_addition,
                more_than_there_may_be_are_not_added,
                what_is_over_takes_no_more_coupons,
                a_boundary_passed_unseen_comes_before_an_addition,
                one_request_a_hundred_times_at_once_adds_once;
            revisions:
                labels_can_change_until_the_campaign_has_ended,
                new_rules_are_journaled_as_they_came,
                rounds_ahead_that_nobody_used_are_dropped,
                rounds_in_any_phase_are_dropped_as_long_as_nobody_used_them,
                rounds_cannot_change_while_one_is_in_use,
                what_counts_over_all_rounds_cannot_change_after_the_first_use,
                new_limits_hold_from_then_on,
                a_change_for_another_revision_is_outdated,
                a_change_is_refused_in_the_order_of_the_rules,
                a_round_planned_by_another_revision_is_outdated,
                the_revision_counts_changes_of_rules_and_state,
                a_boundary_passed_unseen_comes_before_a_change_of_rules;
            requests:
                a_request_that_comes_again_is_carried_out_once,
                a_request_that_did_something_else_is_refused,
                a_request_that_was_refused_may_come_again,
                a_request_is_known_by_its_id_and_verb_alone,
                what_comes_without_an_id_is_done_each_time,
                requests_are_known_after_a_reopening,
                requests_that_were_loaded_are_known,
                each_campaign_knows_its_own_requests;
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
                a_reopened_round_knows_its_draw,
                there_is_nothing_to_reopen_in_an_empty_gate,
                a_half_loaded_campaign_is_never_taken_for_whole;
            loading:
                what_was_loaded_is_answered_like_before,
                many_seats_come_in_many_chunks,
                winners_come_in_chunks_of_any_size,
                a_drawn_round_without_its_winners_is_not_opened,
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
