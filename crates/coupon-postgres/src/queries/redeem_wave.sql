-- Uses each coupon and each order at most once. READ COMMITTED: what is locked here is read as it is after the wait, so two orders cannot
-- both see ISSUED; the unique keys stand behind that. What is not returned was not written, and is answered by redeem_facts.sql.
WITH calls AS MATERIALIZED (
    SELECT *
    FROM unnest($1::integer[], $2::integer[], $3::integer[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bigint[], $9::bigint[], $10::text[])
        AS c (ordinal, round_no, serial, campaign_id, user_id, order_id, currency, amount, discount, event_id)
),
-- In one order for all, coupons before orders: so no two batches wait for one another.
locked AS MATERIALIZED (
    SELECT coupons.round_no, coupons.serial, coupons.user_id, coupons.state, coupons.order_id, coupons.expires_at
    FROM coupons JOIN calls USING (round_no, serial)
    ORDER BY coupons.round_no, coupons.serial
    FOR NO KEY UPDATE OF coupons
),
-- Counts the locked rows, so that the clock is read when all locks are there.
clock AS MATERIALIZED (
    SELECT coupon_now() AS at, count(*) AS coupons FROM locked
),
taken AS (
    INSERT INTO orders AS known (campaign_id, id, round_no, serial, user_id, currency, amount, discount, state, redeemed_at)
    SELECT calls.campaign_id, calls.order_id, round_no, serial, calls.user_id, calls.currency, calls.amount, calls.discount, 'REDEEMED', clock.at
    FROM calls JOIN locked USING (round_no, serial) CROSS JOIN clock
    WHERE locked.user_id = calls.user_id
        AND (
            (locked.state = 'ISSUED' AND locked.expires_at > clock.at)
            OR (locked.state = 'HELD' AND locked.order_id = calls.order_id)
        )
    ORDER BY calls.campaign_id COLLATE "C", calls.order_id COLLATE "C"
    -- An order that gave its coupon back may take one again, and one that holds this coupon may use it. Every other one keeps what it has.
    ON CONFLICT (campaign_id, id) DO UPDATE SET
        round_no = excluded.round_no, serial = excluded.serial, user_id = excluded.user_id, currency = excluded.currency,
        amount = excluded.amount, discount = excluded.discount, state = excluded.state, redeemed_at = excluded.redeemed_at
    WHERE known.state = 'RELEASED'
        OR (known.state = 'HELD' AND known.round_no = excluded.round_no AND known.serial = excluded.serial)
    RETURNING campaign_id, id, round_no, serial, redeemed_at
),
used AS (
    UPDATE coupons SET state = 'REDEEMED', order_id = taken.id, redeemed_at = taken.redeemed_at
    FROM taken
    WHERE coupons.round_no = taken.round_no AND coupons.serial = taken.serial
    RETURNING coupons.round_no, coupons.serial, coupons.redeemed_at
),
told AS (
    INSERT INTO events (id, kind, campaign_id, round_no, serial, user_id, order_id, at)
    SELECT calls.event_id, 'coupon.redeemed', calls.campaign_id, round_no, serial, calls.user_id, calls.order_id, used.redeemed_at
    FROM used JOIN calls USING (round_no, serial)
    ORDER BY calls.ordinal
)
SELECT calls.ordinal, used.redeemed_at FROM used JOIN calls USING (round_no, serial)
