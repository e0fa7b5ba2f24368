//! Outbound adapter: the ledger in Postgres.
