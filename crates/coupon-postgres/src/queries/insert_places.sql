INSERT INTO places (round_no, ticket, user_id, reserved_at, n, leaf)
SELECT * FROM unnest($1::integer[], $2::integer[], $3::text[], $4::timestamptz[], $5::bigint[], $6::bytea[])
