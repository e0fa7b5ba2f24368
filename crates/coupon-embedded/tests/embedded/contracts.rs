//! The contracts.

use std::sync::Arc;

use coupon_embedded::Embedded;
use coupon_testkit::under_test::{GateUnderTest, LedgerUnderTest, StandingClock};

fn opened() -> (Embedded, Arc<StandingClock>, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let clock = Arc::new(StandingClock::default());
    let embedded = Embedded::open(folder.path(), Arc::clone(&clock) as _).expect("an empty folder opens");
    (embedded, clock, folder)
}

async fn gate() -> GateUnderTest {
    let (embedded, clock, folder) = opened();
    let gate = embedded.gate;
    GateUnderTest { journal: Arc::clone(&gate) as _, gate, clock, keep: Box::new(folder) }
}

async fn ledger() -> LedgerUnderTest {
    let (embedded, clock, folder) = opened();
    LedgerUnderTest::new(embedded.ledger, clock, folder)
}

mod the_gate_keeps_its_contract {
    coupon_testkit::gate_contract!(super::gate);
}

mod the_journal_keeps_its_contract {
    coupon_testkit::journal_contract!(super::gate);
}

mod the_ledger_keeps_its_contract {
    coupon_testkit::repository_contract!(super::ledger);
}
