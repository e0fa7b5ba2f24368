-- Adds to the counts of a round that is there, and the lock keeps it there.
WITH round AS MATERIALIZED (SELECT no FROM rounds WHERE no = $1 FOR KEY SHARE),
refused AS (
    INSERT INTO round_refusals AS known (round_no, verb, reason, count)
    SELECT round.no, r.verb, r.reason, r.count
    FROM round CROSS JOIN unnest($2::text[], $3::text[], $4::bigint[]) AS r (verb, reason, count)
    -- In one order for all, so that no two calls wait for one another.
    ORDER BY r.verb COLLATE "C", r.reason COLLATE "C"
    ON CONFLICT (round_no, verb, reason) DO UPDATE SET count = known.count + excluded.count
)
INSERT INTO round_arrivals AS known (round_no, bucket, won, lost)
SELECT round.no, a.bucket, a.won, a.lost
FROM round CROSS JOIN unnest($5::integer[], $6::bigint[], $7::bigint[]) AS a (bucket, won, lost)
ORDER BY a.bucket
ON CONFLICT (round_no, bucket) DO UPDATE SET won = known.won + excluded.won, lost = known.lost + excluded.lost
