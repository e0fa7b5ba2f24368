-- The orders that some calls name, and those that the coupons of `coupons_of_calls.sql` are held or used for; and the ledger's time in any
-- case. Each row is looked up by itself, as there.
WITH clock AS MATERIALIZED (SELECT coupon_now() AS at),
named AS MATERIALIZED (
    SELECT known.*
    FROM unnest($3::text[], $4::text[]) AS n (campaign_id, id)
    CROSS JOIN LATERAL (SELECT * FROM orders WHERE orders.campaign_id = n.campaign_id AND orders.id = n.id OFFSET 0) AS known
),
theirs AS MATERIALIZED (
    SELECT rounds.campaign_id, coupons.order_id
    FROM (
        SELECT * FROM unnest($1::integer[], $2::integer[]) AS n (round_no, serial)
        UNION
        SELECT named.round_no, named.serial FROM named WHERE named.round_no IS NOT NULL
    ) AS wanted
    CROSS JOIN LATERAL (
        SELECT * FROM coupons WHERE coupons.round_no = wanted.round_no AND coupons.serial = wanted.serial OFFSET 0
    ) AS coupons
    CROSS JOIN LATERAL (SELECT campaign_id FROM rounds WHERE rounds.no = coupons.round_no OFFSET 0) AS rounds
    WHERE coupons.order_id IS NOT NULL
)
SELECT
    clock.at, known.campaign_id, known.id, known.round_no, known.serial, known.user_id, known.currency, known.amount, known.discount,
    known.state, known.redeemed_at
FROM clock LEFT JOIN (
    SELECT * FROM named
    UNION
    SELECT orders.*
    FROM theirs
    CROSS JOIN LATERAL (SELECT * FROM orders WHERE orders.campaign_id = theirs.campaign_id AND orders.id = theirs.order_id OFFSET 0) AS orders
) AS known ON true
