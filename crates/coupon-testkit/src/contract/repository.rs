//! What every ledger keeps. The rules are listed here, once.

mod campaigns;
mod coupons;
mod epochs;
mod forks;
mod history;
mod losses;
mod recording;
mod redeeming;
mod redeeming_compared;
mod reloading;

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
                a_title_is_taken_until_its_campaign_has_ended,
                campaigns_are_listed_newest_first;
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
            forks:
                a_ticket_or_a_place_is_not_given_twice,
                a_serial_or_a_coupon_is_not_given_twice;
            losses:
                a_declared_loss_burns_what_could_have_been_given_and_pauses_the_campaign;
            reloading:
                seats_and_counts_come_in_order_and_in_pages,
                a_seat_is_found_by_its_user,
                a_gate_loaded_from_the_ledger_is_the_one_that_was_lost;
            coupons:
                a_coupon_is_kept_as_it_was_issued,
                coupons_of_a_user_are_listed_in_order_and_in_pages,
                a_coupon_expires_without_a_sweeper;
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
            redeeming_compared:
                random_redemptions_are_answered_like_the_rules;
        ] }
    };
}

repository_rules! { contract_rules }
