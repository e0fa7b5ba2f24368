-- In the order of the changes, so that `seq` has their order.
INSERT INTO events (id, kind, campaign_id, round_no, serial, user_id, order_id, state, details, at)
SELECT e.id, e.kind, e.campaign_id, e.round_no, e.serial, e.user_id, e.order_id, e.state, e.details, e.at
FROM unnest(
    $1::text[], $2::text[], $3::text[], $4::integer[], $5::integer[], $6::text[], $7::text[], $8::text[], $9::jsonb[], $10::timestamptz[]
) WITH ORDINALITY AS e (id, kind, campaign_id, round_no, serial, user_id, order_id, state, details, at, ordinal)
ORDER BY e.ordinal
