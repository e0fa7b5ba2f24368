//! What every journal keeps. The rules are listed here, once.

mod reading;
mod trimming;

/// Makes a test of each rule of a journal. It is given the path of an async function that returns a
/// [`GateUnderTest`](crate::under_test::GateUnderTest) with a store of its own; the caller depends on tokio with its macros.
#[macro_export]
macro_rules! journal_contract {
    ($make:path) => {
        $crate::journal_rules! { contract_tests journal, $make, }
    };
}

/// The list.
#[doc(hidden)]
#[macro_export]
macro_rules! journal_rules {
    ($then:ident $($with:tt)*) => {
        $crate::$then! { $($with)* [
            reading:
                an_unknown_campaign_has_an_empty_journal,
                entries_are_read_from_behind_a_decision_on,
                a_limit_gives_whole_entries_but_at_least_one,
                entries_of_a_later_epoch_come_after_those_of_an_earlier_one;
            trimming:
                what_was_recorded_and_is_old_is_forgotten,
                what_is_not_recorded_or_not_old_is_kept,
                a_gate_goes_on_behind_what_was_forgotten;
        ] }
    };
}

journal_rules! { contract_rules }
