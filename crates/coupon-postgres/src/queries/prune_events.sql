-- Looks at the oldest events that are not parked, or too old in any case, and deletes those of them that may go. Events come roughly in
-- the order of their times, so whoever finds none to delete among the oldest need not look further.
WITH clock AS MATERIALIZED (SELECT coupon_now() AS at),
done AS MATERIALIZED (SELECT coalesce(min(position), 9223372036854775807) AS position FROM subscribers),
oldest AS MATERIALIZED (
    SELECT seq, at, EXISTS (SELECT FROM deliveries WHERE deliveries.position = events.seq) AS parked
    FROM events
    WHERE at < (SELECT clock.at FROM clock) - $2 * interval '1 microsecond'
        OR NOT EXISTS (SELECT FROM deliveries WHERE deliveries.position = events.seq)
    ORDER BY seq LIMIT $3
    FOR UPDATE OF events SKIP LOCKED
),
gone AS (
    DELETE FROM events USING oldest CROSS JOIN clock CROSS JOIN done
    WHERE events.seq = oldest.seq
        AND (
            oldest.at < clock.at - $2 * interval '1 microsecond'
            OR (oldest.at < clock.at - $1 * interval '1 microsecond' AND oldest.seq <= done.position)
        )
    RETURNING oldest.parked OR oldest.seq > done.position AS unread
)
SELECT count(*) AS events, count(*) FILTER (WHERE unread) AS unread FROM gone
