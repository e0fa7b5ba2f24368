-- The count goes with the rows: it is what the total limit bounds.
WITH counted AS (
    UPDATE campaigns SET issued = issued + cardinality($2::integer[]) WHERE id = $1
)
INSERT INTO coupons (round_no, serial, user_id, claimed_at, expires_at, n, notice_at)
SELECT *
FROM unnest($2::integer[], $3::integer[], $4::text[], $5::timestamptz[], $6::timestamptz[], $7::bigint[], $8::timestamptz[])
