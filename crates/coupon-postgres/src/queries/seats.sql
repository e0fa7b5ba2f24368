-- The first users of a round that has places, coupons or both. Each side is cut before they are joined: whoever is among the first of all
-- is among the first of each side.
SELECT user_id, ticket, reserved_at, serial, claimed_at
FROM (
    SELECT user_id, ticket, reserved_at FROM places
    WHERE round_no = $1 AND user_id > $2 ORDER BY user_id LIMIT $3
) AS p
FULL JOIN (
    SELECT user_id, serial, claimed_at FROM coupons
    WHERE round_no = $1 AND user_id > $2 ORDER BY user_id LIMIT $3
) AS c USING (user_id)
ORDER BY user_id
LIMIT $3
