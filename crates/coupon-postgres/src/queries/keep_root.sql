INSERT INTO draws AS known (round_no, places, root, subtrees)
VALUES ($1, $2, $3, $4)
ON CONFLICT (round_no) DO UPDATE SET places = excluded.places, root = excluded.root, subtrees = excluded.subtrees
WHERE known.root IS NULL
