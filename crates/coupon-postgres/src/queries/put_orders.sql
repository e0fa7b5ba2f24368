-- Orders that gave their coupon back come first: another one may have it now, and it is in no two at any moment.
INSERT INTO orders (campaign_id, id, round_no, serial, user_id, currency, amount, discount, state, redeemed_at)
SELECT o.campaign_id, o.id, o.round_no, o.serial, o.user_id, o.currency, o.amount, o.discount, o.state, o.redeemed_at
FROM unnest(
    $1::text[], $2::text[], $3::integer[], $4::integer[], $5::text[], $6::text[], $7::bigint[], $8::bigint[], $9::text[], $10::timestamptz[]
) WITH ORDINALITY AS o (campaign_id, id, round_no, serial, user_id, currency, amount, discount, state, redeemed_at, ordinal)
ORDER BY o.state IN ('HELD', 'REDEEMED'), o.ordinal
ON CONFLICT (campaign_id, id) DO UPDATE SET
    round_no = excluded.round_no, serial = excluded.serial, user_id = excluded.user_id, currency = excluded.currency,
    amount = excluded.amount, discount = excluded.discount, state = excluded.state, redeemed_at = excluded.redeemed_at
