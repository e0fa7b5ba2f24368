INSERT INTO coupons (round_no, serial, user_id, claimed_at, expires_at, n)
SELECT * FROM unnest($1::integer[], $2::integer[], $3::text[], $4::timestamptz[], $5::timestamptz[], $6::bigint[])
