-- The coupons that some calls name, and those that the orders refer to that they name. A lock may stand behind it: then they are locked in
-- one order for all, and read as they are after the wait.
-- Each row is looked up by itself, behind the fence of OFFSET 0: there is one plan, whatever the tables hold, and it may be kept.
WITH wanted AS MATERIALIZED (
    SELECT * FROM unnest($1::integer[], $2::integer[]) AS named (round_no, serial)
    UNION
    SELECT orders.round_no, orders.serial
    FROM unnest($3::text[], $4::text[]) AS named (campaign_id, id)
    CROSS JOIN LATERAL (
        SELECT * FROM orders WHERE orders.campaign_id = named.campaign_id AND orders.id = named.id OFFSET 0
    ) AS orders
    WHERE orders.round_no IS NOT NULL
    ORDER BY round_no, serial
)
SELECT
    coupons.round_no, coupons.serial, rounds.campaign_id, coupons.user_id, coupons.state, coupons.claimed_at, coupons.expires_at,
    coupons.order_id, coupons.held_until, coupons.redeemed_at
FROM wanted
CROSS JOIN LATERAL (
    SELECT * FROM coupons WHERE coupons.round_no = wanted.round_no AND coupons.serial = wanted.serial OFFSET 0
) AS coupons
CROSS JOIN LATERAL (SELECT campaign_id FROM rounds WHERE rounds.no = coupons.round_no OFFSET 0) AS rounds
