//! Outbound adapter: gate in memory, journal and ledger in SQLite; the default.
