-- By where the rows lie: the caller has them locked, so none of them moves between the lookup and the change. Each is looked up by itself,
-- as in `coupons_of_calls.sql`.
UPDATE coupons SET state = c.state, order_id = c.order_id, held_until = c.held_until, redeemed_at = c.redeemed_at
FROM unnest($1::integer[], $2::integer[], $3::text[], $4::text[], $5::timestamptz[], $6::timestamptz[])
    AS c (round_no, serial, state, order_id, held_until, redeemed_at)
CROSS JOIN LATERAL (
    SELECT coupons.ctid AS row FROM coupons WHERE coupons.round_no = c.round_no AND coupons.serial = c.serial OFFSET 0
) AS found
WHERE coupons.ctid = found.row
