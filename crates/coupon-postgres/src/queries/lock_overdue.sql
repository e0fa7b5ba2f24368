-- Coupons whose hold is over, then those past their validity: not those that another transaction is at.
WITH clock AS MATERIALIZED (SELECT coupon_now() AS at),
lapsed AS MATERIALIZED (
    SELECT * FROM coupons
    WHERE state = 'HELD' AND held_until <= (SELECT at FROM clock)
    ORDER BY held_until LIMIT $1
    FOR NO KEY UPDATE SKIP LOCKED
),
expired AS MATERIALIZED (
    SELECT * FROM coupons
    WHERE state = 'ISSUED' AND user_id NOT LIKE 'lost:%' AND expires_at <= (SELECT at FROM clock)
    ORDER BY expires_at LIMIT $1 - (SELECT count(*) FROM lapsed)
    FOR NO KEY UPDATE SKIP LOCKED
)
SELECT
    clock.at, c.round_no, c.serial, rounds.campaign_id, c.user_id, c.state, c.claimed_at, c.expires_at, c.order_id, c.held_until,
    c.redeemed_at
FROM clock
CROSS JOIN (SELECT * FROM lapsed UNION ALL SELECT * FROM expired) AS c
JOIN rounds ON rounds.no = c.round_no
