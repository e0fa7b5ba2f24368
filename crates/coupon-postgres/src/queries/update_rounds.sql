-- Phase, supply and counters at once: a round's supply may become known by the same recording that issues its coupons.
UPDATE rounds SET
    phase = coalesce(c.phase, rounds.phase),
    supply = CASE WHEN c.phase IS NULL THEN rounds.supply ELSE c.supply END,
    places = rounds.places + c.places,
    issued = rounds.issued + c.issued,
    last_n = c.last_n
FROM unnest($2::integer[], $3::text[], $4::integer[], $5::integer[], $6::integer[], $7::bigint[])
    AS c (no, phase, supply, places, issued, last_n)
WHERE rounds.no = c.no AND rounds.campaign_id = $1
