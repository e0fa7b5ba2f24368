//! The contract suites themselves are tested: adapters in memory pass them, and adapters that are broken on purpose do not.

mod broken_gate;
mod catches;
mod memory_ledger;
mod sequences;

mod the_reference_keeps_the_gate_contract {
    coupon_testkit::gate_contract!(coupon_testkit::contract::reference::ReferenceGate::under_test);
}

mod the_reference_keeps_the_journal_contract {
    coupon_testkit::journal_contract!(coupon_testkit::contract::reference::ReferenceGate::under_test);
}

mod a_ledger_in_memory_keeps_the_repository_contract {
    coupon_testkit::repository_contract!(crate::memory_ledger::under_test);
}
