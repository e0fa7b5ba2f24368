//! What every ledger keeps. The rules are listed here, once.

mod audit;
mod beacons;
mod campaigns;
mod checkouts_at_once;
mod checkouts_compared;
mod coupons;
mod deliveries;
mod desk;
mod draws;
mod epochs;
mod feed;
mod forks;
mod giving_back;
mod history;
mod holding;
mod limits;
mod losses;
mod notices;
mod operations;
mod pruning;
mod recording;
mod redeeming;
mod reloading;
mod rounds;
mod statistics;
mod subscribers;
mod sweeping;
mod titles;
mod users;
mod voiding;

/// Makes a test of each rule of a ledger. It is given the path of an async function that returns a
/// [`LedgerUnderTest`](crate::under_test::LedgerUnderTest) with a store of its own; the caller depends on tokio with its macros.
#[macro_export]
macro_rules! repository_contract {
    ($make:path) => {
        $crate::repository_rules! { contract_tests repository, $make, }
    };
}

/// The list.
#[doc(hidden)]
#[macro_export]
macro_rules! repository_rules {
    ($then:ident $($with:tt)*) => {
        $crate::$then! { $($with)* [
            campaigns:
                an_installation_keeps_its_id,
                a_master_key_is_told_from_another,
                a_campaign_is_created_once_a_request,
                a_campaign_created_twice_at_once_is_there_once,
                a_request_that_did_something_else_creates_nothing,
                campaigns_are_listed_newest_first;
            titles:
                a_title_is_taken_until_its_campaign_has_ended,
                a_title_is_kept_for_a_change_and_given_up,
                of_campaigns_at_once_one_keeps_a_title,
                recorded_rules_free_the_old_title,
                recorded_rules_with_the_title_of_another_campaign_are_kept;
            epochs:
                a_campaign_stands_at_nothing_before_it_is_opened,
                an_epoch_is_raised_by_one_of_those_who_try,
                a_campaign_is_open_until_the_next_recovery,
                what_was_acknowledged_stays_acknowledged,
                entries_older_than_the_epoch_of_an_open_campaign_are_another_history,
                round_numbers_are_never_given_twice;
            recording:
                a_recording_brings_rows_events_and_cursor_at_once,
                a_recording_is_written_once,
                a_recording_that_does_not_follow_is_refused,
                of_recorders_at_once_one_writes,
                a_change_of_state_is_kept_with_its_request,
                an_unused_round_is_forgotten,
                a_used_round_stays_in_the_ledger,
                events_are_read_page_by_page;
            operations:
                rules_limit_and_revision_come_with_the_recording,
                requests_come_with_the_recording_and_in_the_snapshot,
                a_request_recorded_for_two_campaigns_belongs_to_the_first,
                supply_that_was_added_and_a_late_draw_are_kept,
                what_the_limit_left_when_reservation_closed_is_kept;
            rounds:
                rounds_are_listed_latest_first_and_in_pages,
                a_campaign_that_has_ended_stands_while_it_has_rounds_at_the_gate;
            forks:
                a_ticket_or_a_place_is_not_given_twice,
                a_serial_or_a_coupon_is_not_given_twice;
            limits:
                a_recording_with_more_coupons_than_there_may_be_is_refused,
                limits_that_a_recording_raises_count_for_its_coupons;
            losses:
                a_declared_loss_burns_what_could_have_been_given_and_pauses_the_campaign;
            reloading:
                seats_and_counts_come_in_order_and_in_pages,
                a_seat_is_found_by_its_user,
                a_gate_loaded_from_the_ledger_is_the_one_that_was_lost;
            draws:
                leaves_of_a_drawn_round_are_kept_by_ticket,
                a_root_is_kept_once,
                a_draw_is_concluded_once,
                of_conclusions_at_once_one_is_kept,
                ranks_are_read_from_anywhere,
                a_round_without_places_is_drawn_and_its_draw_forgotten_with_it;
            beacons:
                a_beacon_is_set_once,
                of_beacons_at_once_one_is_set,
                a_request_that_did_something_else_sets_no_beacon,
                a_beacon_after_the_draw_is_too_late,
                a_draw_with_another_beacon_is_not_concluded,
                a_beacon_and_a_draw_without_it_exclude_each_other;
            users:
                a_user_is_registered_once,
                many_users_are_registered_in_one_call,
                users_registered_at_once_are_made_once,
                users_are_listed_by_their_bytes_and_in_pages,
                a_user_who_was_deleted_can_be_registered_again,
                who_is_registered_is_told_in_the_order_of_the_question;
            statistics:
                tallies_add_up_call_by_call,
                tallies_of_instances_at_once_add_up,
                tallies_of_a_forgotten_round_are_dropped;
            coupons:
                a_coupon_is_kept_as_it_was_issued,
                coupons_of_a_user_are_listed_in_order_and_in_pages,
                a_coupon_expires_without_a_sweeper,
                coupons_of_a_campaign_are_listed_in_order_and_in_pages;
            redeeming:
                a_coupon_is_redeemed_once_and_a_repeat_gets_the_first_answer,
                a_repeat_with_another_amount_is_a_mismatch,
                a_coupon_can_be_redeemed_until_its_validity_ends,
                of_a_hundred_orders_at_once_one_gets_the_coupon,
                of_a_hundred_orders_in_a_batch_the_first_gets_the_coupon,
                an_order_takes_one_coupon_only,
                of_two_coupons_at_once_an_order_takes_one,
                another_users_coupon_is_unknown,
                a_coupon_that_is_not_recorded_yet_is_told_so,
                an_unsuitable_order_writes_nothing,
                the_same_order_id_in_two_campaigns_is_two_orders;
            holding:
                a_hold_is_given_once_and_a_repeat_gets_the_same_end,
                a_hold_that_ran_out_is_free_again_without_a_sweeper,
                a_coupon_is_redeemed_from_its_orders_hold,
                a_held_coupon_is_refused_to_other_orders_naming_its_own,
                a_hold_never_outlives_its_coupon,
                a_hold_is_refused_like_a_redemption;
            giving_back:
                a_release_frees_the_coupon_and_leaves_the_order_usable,
                only_a_hold_is_released,
                a_rollback_gives_the_coupon_back_and_cancels_the_order,
                an_order_without_a_coupon_is_cancelled_too,
                a_late_redemption_after_the_rollback_is_refused,
                a_rollback_past_the_validity_leaves_the_coupon_expired,
                another_users_order_is_unknown;
            voiding:
                an_unused_coupon_is_withdrawn_once,
                only_an_unused_coupon_is_withdrawn;
            checkouts_at_once:
                of_64_holds_at_once_one_gets_the_coupon,
                of_64_repeats_of_a_hold_at_once_all_get_the_same_end,
                of_64_holds_and_redemptions_at_once_one_gets_the_coupon,
                of_64_rollbacks_at_once_one_is_done,
                a_redemption_and_its_rollback_at_once_leave_the_order_cancelled,
                batches_that_cross_each_other_are_all_answered,
                what_is_foreseen_is_not_done;
            checkouts_compared:
                random_calls_are_answered_like_the_rules;
            sweeping:
                what_time_did_is_stored_once_at_its_instants,
                of_sweepers_at_once_each_coupon_has_one,
                a_sweep_stops_at_its_limit,
                coupons_of_nobody_are_not_swept,
                answers_before_and_after_a_sweep_are_the_same;
            notices:
                a_notice_goes_out_seven_days_before_and_not_earlier,
                each_lead_of_a_campaign_has_its_notice,
                of_several_notices_due_the_shortest_goes_out,
                a_notice_after_a_downtime_is_marked_as_late,
                a_coupon_issued_with_less_time_left_has_its_notice_at_once,
                used_held_and_void_coupons_have_no_notice,
                a_coupon_that_was_given_back_has_the_notice_that_was_skipped,
                of_two_at_once_each_notice_goes_out_once,
                no_more_notices_go_out_than_the_limit,
                coupons_are_looked_at_anew_when_the_leads_change,
                nobody_is_told_of_burnt_coupons;
            feed:
                the_feed_is_filtered_by_kind_and_by_campaign,
                a_page_goes_on_past_what_its_filter_leaves_out,
                the_end_of_the_feed_is_behind_all_that_was_written,
                events_of_a_coupon_come_in_the_order_of_its_changes,
                a_reader_misses_nothing_while_events_are_written;
            subscribers:
                a_subscriber_goes_on_where_it_was,
                what_was_acknowledged_never_goes_back,
                of_readers_under_one_name_the_last_one_stays,
                a_lease_is_one_sessions_until_it_runs_out,
                of_sessions_at_once_one_has_the_lease;
            pruning:
                events_are_kept_for_their_least_time,
                events_are_kept_for_the_slowest_subscriber,
                events_go_at_their_longest_time_though_unread,
                no_more_events_are_pruned_than_the_limit,
                a_parked_event_is_not_pruned_before_its_longest_time;
            deliveries:
                parked_events_are_due_one_of_each_key,
                dead_letters_stop_nothing_behind_them,
                a_dead_letter_that_is_revived_is_due_at_once,
                progress_is_written_by_whoever_has_the_lease,
                an_outlet_can_be_moved_back,
                what_is_parked_belongs_to_one_outlet;
            audit:
                a_creation_is_audited_once,
                what_operators_did_at_the_gate_is_audited,
                a_change_is_that_of_whoever_announced_it,
                a_recording_is_audited_once,
                a_beacon_is_audited_once,
                users_that_come_and_go_are_audited,
                a_withdrawn_coupon_is_audited_once,
                audit_records_are_read_latest_first_and_in_pages;
        ] }
    };
}

repository_rules! { contract_rules }
