-- In the order of the decisions, so that `seq` has their order.
INSERT INTO events (id, kind, campaign_id, round_no, serial, user_id, state, at)
SELECT e.id, e.kind, $1, e.round_no, e.serial, e.user_id, e.state, e.at
FROM unnest($2::text[], $3::text[], $4::integer[], $5::integer[], $6::text[], $7::text[], $8::timestamptz[])
    WITH ORDINALITY AS e (id, kind, round_no, serial, user_id, state, at, ordinal)
ORDER BY e.ordinal
