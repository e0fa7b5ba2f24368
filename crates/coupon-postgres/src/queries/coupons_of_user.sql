-- A page of a user's coupons, and the totals over all pages, as of one instant.
WITH clock AS MATERIALIZED (SELECT coupon_now() AS at),
mine AS MATERIALIZED (
    SELECT
        coupons.round_no, coupons.serial, rounds.campaign_id, coupons.user_id, coupons.state, coupons.claimed_at, coupons.expires_at,
        coupons.order_id, coupons.held_until, coupons.redeemed_at,
        CASE
            WHEN coupons.state NOT IN ('ISSUED', 'HELD') OR coupons.held_until > clock.at THEN coupons.state
            WHEN coupons.expires_at <= clock.at THEN 'EXPIRED'
            ELSE 'ISSUED'
        END AS state_now
    FROM clock CROSS JOIN coupons JOIN rounds ON rounds.no = coupons.round_no
    WHERE coupons.user_id = $1 AND ($2 IS NULL OR rounds.campaign_id = $2)
),
totals AS (
    SELECT
        count(*) FILTER (WHERE state_now = 'ISSUED') AS issued_count,
        count(*) FILTER (WHERE state_now = 'HELD') AS held_count,
        count(*) FILTER (WHERE state_now = 'REDEEMED') AS redeemed_count,
        count(*) FILTER (WHERE state_now = 'EXPIRED') AS expired_count,
        count(*) FILTER (WHERE state_now = 'VOID') AS void_count
    FROM mine
),
page AS (
    SELECT * FROM mine
    WHERE ($3 IS NULL OR state_now = $3) AND ($4 IS NULL OR (round_no, serial) > ($4, $5))
    ORDER BY round_no, serial
    LIMIT $6
)
SELECT * FROM clock CROSS JOIN totals LEFT JOIN page ON true ORDER BY round_no, serial
