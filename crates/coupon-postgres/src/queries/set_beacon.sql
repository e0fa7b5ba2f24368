-- A conclusion of this draw and this statement wait for one another at the row. What stays as it was stays locked.
INSERT INTO draws AS known (round_no, beacon)
VALUES ($1, $2)
ON CONFLICT (round_no) DO UPDATE SET beacon = excluded.beacon
WHERE known.beacon IS NULL AND known.winners IS NULL
RETURNING coupon_now() AS at
