//! Outbound adapter: gate and journal in Redis.
