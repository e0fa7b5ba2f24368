-- When to look again at each coupon that was looked at, and the notices that go out.
WITH steps AS MATERIALIZED (
    SELECT *
    FROM unnest($1::integer[], $2::integer[], $3::timestamptz[], $4::bigint[], $5::boolean[]) AS s (round_no, serial, next, lead, late)
),
given AS (
    INSERT INTO notices (round_no, serial, lead, late, at)
    SELECT round_no, serial, lead, late, $6::timestamptz FROM steps WHERE lead IS NOT NULL
)
UPDATE coupons SET notice_at = steps.next FROM steps WHERE coupons.round_no = steps.round_no AND coupons.serial = steps.serial
