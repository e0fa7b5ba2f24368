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
    forgets_orders: ForgetsOrders by an_order_takes_one_coupon_only;
    expires_late: ExpiresLate by a_coupon_can_be_redeemed_until_its_validity_ends;
    raises_any_epoch: RaisesAnyEpoch by an_epoch_is_raised_by_one_of_those_who_try;
    redeems_twice_where_nobody_looks: RedeemsTwice by random_calls_are_answered_like_the_rules;
    redeems_what_others_hold: RedeemsOthersHolds by a_held_coupon_is_refused_to_other_orders_naming_its_own;
    gives_away_what_others_hold: RedeemsOthersHolds by of_64_holds_at_once_one_gets_the_coupon;
    gives_away_what_others_hold_or_use: RedeemsTwice by of_64_holds_and_redemptions_at_once_one_gets_the_coupon;
    gives_away_what_others_hold_where_nobody_looks: RedeemsOthersHolds by random_calls_are_answered_like_the_rules;
    forgets_released_orders: ForgetsReleasedOrders by a_release_frees_the_coupon_and_leaves_the_order_usable;
    forgets_released_orders_where_nobody_looks: ForgetsReleasedOrders by random_calls_are_answered_like_the_rules;
    holds_past_validity: HoldsPastValidity by a_hold_never_outlives_its_coupon;
    forgets_rollbacks_of_unknown_orders: ForgetsUnknownOrders by a_late_redemption_after_the_rollback_is_refused;
    rolls_back_unknown_orders_again: ForgetsUnknownOrders by of_64_rollbacks_at_once_one_is_done;
    lets_a_rollback_be_overtaken: ForgetsOrders by a_redemption_and_its_rollback_at_once_leave_the_order_cancelled;
    forgets_the_events_of_a_release: ForgetsReleases by a_release_frees_the_coupon_and_leaves_the_order_usable;
    forgets_the_events_of_a_release_where_nobody_looks: ForgetsReleases by random_calls_are_answered_like_the_rules;
    tells_less_than_it_does: ForgetsReleases by a_hold_that_ran_out_is_free_again_without_a_sweeper;
    does_what_it_was_only_asked_about: DoesWhatItForesees by what_is_foreseen_is_not_done;
    sweeps_twice: SweepsTwice by a_sweep_stops_at_its_limit;
    sweeps_twice_at_once: SweepsTwice by of_sweepers_at_once_each_coupon_has_one;
    sweeps_what_is_nobodys: SweepsNobodys by coupons_of_nobody_are_not_swept;
    sweeps_without_a_limit: SweepsWithoutLimit by a_sweep_stops_at_its_limit;
    tells_when_it_swept: TellsWhenItSwept by what_time_did_is_stored_once_at_its_instants;
    gives_notice_again_and_again: GivesNoticeAgainAndAgain by a_notice_goes_out_seven_days_before_and_not_earlier;
    gives_notice_again_and_again_at_once: GivesNoticeAgainAndAgain by of_two_at_once_each_notice_goes_out_once;
    forgets_notices: ForgetsNotices by coupons_are_looked_at_anew_when_the_leads_change;
    ignores_new_leads: IgnoresNewLeads by coupons_are_looked_at_anew_when_the_leads_change;
    gives_notice_of_held_coupons: GivesNoticeOfHeldCoupons by used_held_and_void_coupons_have_no_notice;
    gives_notice_of_void_coupons: GivesNoticeOfVoidCoupons by used_held_and_void_coupons_have_no_notice;
    skips_notices_for_good: SkipsNoticesForGood by a_coupon_that_was_given_back_has_the_notice_that_was_skipped;
    is_never_late: IsNeverLate by a_notice_after_a_downtime_is_marked_as_late;
    is_never_late_with_the_shortest: IsNeverLate by of_several_notices_due_the_shortest_goes_out;
    lists_by_claim: ListsByClaim by coupons_of_a_campaign_are_listed_in_order_and_in_pages;
    ignores_filters: IgnoresFilters by the_feed_is_filtered_by_kind_and_by_campaign;
    stops_at_what_is_filtered_out: StopsAtWhatIsFilteredOut by a_page_goes_on_past_what_its_filter_leaves_out;
    tells_out_of_order: TellsOutOfOrder by events_of_a_coupon_come_in_the_order_of_its_changes;
    ends_too_early: EndsTooEarly by the_end_of_the_feed_is_behind_all_that_was_written;
    tells_behind_what_was_told: TellsBehind by a_reader_misses_nothing_while_events_are_written;
    leases_twice: LeasesTwice by a_lease_is_one_sessions_until_it_runs_out;
    leases_twice_at_once: LeasesTwice by of_sessions_at_once_one_has_the_lease;
    never_takes_over: NeverTakesOver by of_readers_under_one_name_the_last_one_stays;
    acknowledges_backwards: AcknowledgesBackwards by what_was_acknowledged_never_goes_back;
    keeps_what_was_parked: KeepsWhatWasParked by what_is_parked_belongs_to_one_outlet;
    prunes_unread_events: PrunesUnread by events_are_kept_for_the_slowest_subscriber;
    prunes_parked_events: PrunesParked by a_parked_event_is_not_pruned_before_its_longest_time;
    overtakes_what_is_parked: OvertakesWhatIsParked by parked_events_are_due_one_of_each_key;
    waits_for_dead_letters: WaitsForDeadLetters by dead_letters_stop_nothing_behind_them;
    loses_what_waits: LosesWhatWaits by parked_events_are_due_one_of_each_key;
    progresses_without_lease: ProgressesWithoutLease by progress_is_written_by_whoever_has_the_lease;
    keeps_no_audit_of_creations: KeepsNoAudit by a_creation_is_audited_once;
    keeps_no_audit_of_the_gate: KeepsNoAudit by what_operators_did_at_the_gate_is_audited;
    keeps_no_audit_of_beacons: KeepsNoAudit by a_beacon_is_audited_once;
    keeps_no_audit_of_users: KeepsNoAudit by users_that_come_and_go_are_audited;
    keeps_no_audit_of_coupons: KeepsNoAudit by a_withdrawn_coupon_is_audited_once;
    audits_repeated_creations: AuditsRepeats by a_creation_is_audited_once;
    audits_repeated_deletions: AuditsRepeats by users_that_come_and_go_are_audited;
    believes_the_last_actor: BelievesTheLastActor by a_change_is_that_of_whoever_announced_it;
}
