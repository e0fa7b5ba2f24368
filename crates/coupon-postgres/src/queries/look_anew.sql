-- Of the coupons behind ($3, $4) the next $5: those that may still be told of are looked at from so long before their end on. Answers which
-- was the last one. Locked in the order in which checkouts lock them.
WITH clock AS MATERIALIZED (SELECT coupon_now() AS at),
page AS MATERIALIZED (
    SELECT c.*
    FROM (SELECT no FROM rounds WHERE campaign_id = $1 AND no >= $3 AND issued > 0 ORDER BY no) AS r
    CROSS JOIN LATERAL (
        SELECT coupons.round_no, coupons.serial, coupons.expires_at, coupons.state, coupons.user_id FROM coupons
        WHERE coupons.round_no = r.no AND (coupons.round_no, coupons.serial) > ($3, $4)
        ORDER BY coupons.serial LIMIT $5
    ) AS c
    ORDER BY c.round_no, c.serial LIMIT $5
),
locked AS MATERIALIZED (
    SELECT coupons.round_no, coupons.serial
    FROM page JOIN coupons ON coupons.round_no = page.round_no AND coupons.serial = page.serial
    WHERE page.expires_at > (SELECT at FROM clock) AND coupons.state IN ('ISSUED', 'HELD', 'REDEEMED') AND page.user_id NOT LIKE 'lost:%'
    ORDER BY coupons.round_no, coupons.serial
    FOR NO KEY UPDATE OF coupons
),
changed AS (
    UPDATE coupons SET notice_at = coupons.expires_at - $2 * interval '1 microsecond'
    FROM locked WHERE coupons.round_no = locked.round_no AND coupons.serial = locked.serial
)
SELECT last.round_no, last.serial
FROM clock LEFT JOIN (SELECT round_no, serial FROM page ORDER BY round_no DESC, serial DESC LIMIT 1) AS last ON true
