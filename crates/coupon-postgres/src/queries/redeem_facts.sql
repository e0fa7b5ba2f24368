-- What Redeem::decide needs, for each call.
WITH clock AS MATERIALIZED (SELECT coupon_now() AS at)
SELECT
    calls.ordinal, clock.at,
    coupons.round_no, coupons.serial, rounds.campaign_id, coupons.user_id, coupons.state, coupons.claimed_at, coupons.expires_at,
    coupons.order_id, coupons.redeemed_at,
    orders.id AS its_id, orders.round_no AS its_round_no, orders.serial AS its_serial, orders.user_id AS its_user_id,
    orders.currency AS its_currency, orders.amount AS its_amount, orders.discount AS its_discount, orders.state AS its_state,
    orders.redeemed_at AS its_redeemed_at
FROM clock
CROSS JOIN unnest($1::integer[], $2::integer[], $3::integer[], $4::text[], $5::text[])
    AS calls (ordinal, round_no, serial, campaign_id, order_id)
LEFT JOIN (coupons JOIN rounds ON rounds.no = coupons.round_no)
    ON coupons.round_no = calls.round_no AND coupons.serial = calls.serial
LEFT JOIN orders ON orders.campaign_id = calls.campaign_id AND orders.id = calls.order_id
