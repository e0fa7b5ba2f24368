-- One value for many tickets. The last one's ticket tells whether one is missing.
SELECT string_agg(leaf, ''::bytea ORDER BY ticket) AS leaves, max(ticket) AS last
FROM places
WHERE round_no = $1 AND ticket >= $2 AND ticket < $2 + $3 AND leaf IS NOT NULL
