-- All that becomes of each round at once: its supply may become known by the same recording that issues its coupons.
UPDATE rounds SET
    phase = coalesce(c.phase, rounds.phase),
    supply = CASE WHEN c.other_supply THEN c.supply ELSE rounds.supply END,
    -- Every phase behind RESERVING tells it; the first one counts.
    left_at_close = CASE WHEN rounds.phase IN ('PLANNED', 'RESERVING') THEN c.left_at_close ELSE rounds.left_at_close END,
    added = coalesce(c.added, rounds.added),
    drawn = rounds.drawn OR c.delay IS NOT NULL,
    delay = coalesce(c.delay, rounds.delay),
    places = rounds.places + c.places,
    issued = rounds.issued + c.issued,
    last_n = c.last_n
FROM unnest(
    $2::integer[], $3::text[], $4::boolean[], $5::integer[], $6::bigint[], $7::integer[], $8::bigint[], $9::integer[], $10::integer[],
    $11::bigint[]
) AS c (no, phase, other_supply, supply, left_at_close, added, delay, places, issued, last_n)
WHERE rounds.no = c.no AND rounds.campaign_id = $1
