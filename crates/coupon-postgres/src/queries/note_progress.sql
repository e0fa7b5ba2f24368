-- All of it, or nothing if somebody else has the lease. An event that was pruned meanwhile is not parked.
WITH clock AS MATERIALIZED (SELECT coupon_now() AS at),
leased AS (
    UPDATE subscribers SET position = greatest(subscribers.position, coalesce($3, subscribers.position))
    FROM clock
    WHERE subscribers.name = $1 AND subscribers.session = $2 AND subscribers.lease_until > clock.at
    RETURNING subscribers.name, clock.at
),
taken AS (
    DELETE FROM deliveries USING leased WHERE deliveries.outlet = leased.name AND deliveries.position = ANY ($4)
),
parked AS (
    INSERT INTO deliveries (outlet, position, key, attempts, next_at, error, failed_at)
    SELECT leased.name, p.position, p.key, p.attempts, leased.at + p.retry_in * interval '1 microsecond', p.error, leased.at
    FROM leased
    CROSS JOIN unnest($5::bigint[], $6::text[], $7::integer[], $8::bigint[], $9::text[]) AS p (position, key, attempts, retry_in, error)
    JOIN events ON events.seq = p.position
    ORDER BY p.position
    ON CONFLICT (outlet, position) DO UPDATE SET
        key = excluded.key, attempts = excluded.attempts, next_at = excluded.next_at, error = excluded.error, failed_at = excluded.failed_at
)
SELECT count(*) AS count FROM leased
