-- Some of a round's coupons, along the key, by their state at this instant.
SELECT
    coupons.round_no, coupons.serial, rounds.campaign_id, coupons.user_id, coupons.state, coupons.claimed_at, coupons.expires_at,
    coupons.order_id, coupons.held_until, coupons.redeemed_at
FROM coupons JOIN rounds ON rounds.no = coupons.round_no
WHERE coupons.round_no = $1 AND coupons.serial > $2
    AND (
        $3 IS NULL
        OR $3 = CASE
            WHEN coupons.state NOT IN ('ISSUED', 'HELD') OR coupons.held_until > $4 THEN coupons.state
            WHEN coupons.expires_at <= $4 THEN 'EXPIRED'
            ELSE 'ISSUED'
        END
    )
ORDER BY coupons.serial LIMIT $5
