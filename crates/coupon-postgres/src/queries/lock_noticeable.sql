-- Unused coupons of which a notice may be due: not those that another transaction is at.
WITH clock AS MATERIALIZED (SELECT coupon_now() AS at),
c AS MATERIALIZED (
    SELECT * FROM coupons
    WHERE state = 'ISSUED' AND notice_at <= (SELECT at FROM clock)
    ORDER BY notice_at LIMIT $1
    FOR NO KEY UPDATE SKIP LOCKED
)
SELECT
    clock.at, c.round_no, c.serial, rounds.campaign_id, c.user_id, c.state, c.claimed_at, c.expires_at, c.order_id, c.held_until,
    c.redeemed_at
FROM clock CROSS JOIN c JOIN rounds ON rounds.no = c.round_no
