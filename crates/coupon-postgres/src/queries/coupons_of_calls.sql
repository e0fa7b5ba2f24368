-- The coupons that some calls name, and those that the orders refer to that they name. A lock may stand behind it: then they are locked in
-- one order for all, and read as they are after the wait.
WITH wanted AS MATERIALIZED (
    SELECT * FROM unnest($1::integer[], $2::integer[]) AS named (round_no, serial)
    UNION
    SELECT orders.round_no, orders.serial
    FROM unnest($3::text[], $4::text[]) AS named (campaign_id, id)
    JOIN orders ON orders.campaign_id = named.campaign_id AND orders.id = named.id
    WHERE orders.round_no IS NOT NULL
)
SELECT
    coupons.round_no, coupons.serial, rounds.campaign_id, coupons.user_id, coupons.state, coupons.claimed_at, coupons.expires_at,
    coupons.order_id, coupons.held_until, coupons.redeemed_at
FROM wanted
JOIN coupons ON coupons.round_no = wanted.round_no AND coupons.serial = wanted.serial
JOIN rounds ON rounds.no = coupons.round_no
ORDER BY coupons.round_no, coupons.serial
