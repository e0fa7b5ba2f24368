-- The orders that some calls name, and those that the coupons of `coupons_of_calls.sql` are held or used for; and the ledger's time in any
-- case.
WITH clock AS MATERIALIZED (SELECT coupon_now() AS at),
named AS MATERIALIZED (
    SELECT known.*
    FROM unnest($3::text[], $4::text[]) AS n (campaign_id, id)
    JOIN orders AS known ON known.campaign_id = n.campaign_id AND known.id = n.id
),
theirs AS MATERIALIZED (
    SELECT rounds.campaign_id, coupons.order_id
    FROM (
        SELECT * FROM unnest($1::integer[], $2::integer[]) AS n (round_no, serial)
        UNION
        SELECT named.round_no, named.serial FROM named WHERE named.round_no IS NOT NULL
    ) AS wanted
    JOIN coupons ON coupons.round_no = wanted.round_no AND coupons.serial = wanted.serial
    JOIN rounds ON rounds.no = coupons.round_no
    WHERE coupons.order_id IS NOT NULL
)
SELECT
    clock.at, known.campaign_id, known.id, known.round_no, known.serial, known.user_id, known.currency, known.amount, known.discount,
    known.state, known.redeemed_at
FROM clock LEFT JOIN (
    SELECT * FROM named
    UNION
    SELECT orders.* FROM theirs JOIN orders ON orders.campaign_id = theirs.campaign_id AND orders.id = theirs.order_id
) AS known ON true
