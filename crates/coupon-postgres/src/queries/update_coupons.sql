UPDATE coupons SET state = c.state, order_id = c.order_id, held_until = c.held_until, redeemed_at = c.redeemed_at
FROM unnest($1::integer[], $2::integer[], $3::text[], $4::text[], $5::timestamptz[], $6::timestamptz[])
    AS c (round_no, serial, state, order_id, held_until, redeemed_at)
WHERE coupons.round_no = c.round_no AND coupons.serial = c.serial
