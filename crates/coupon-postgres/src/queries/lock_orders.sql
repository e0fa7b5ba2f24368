-- Orders by a hash, since one that is named for the first time has no row yet. In one order for all, so that no two wait for one another.
SELECT pg_advisory_xact_lock(o.hash)
FROM (
    SELECT DISTINCT hashtextextended(campaign_id || ' ' || id, 0) AS hash
    FROM unnest($1::text[], $2::text[]) AS named (campaign_id, id)
    ORDER BY hash
) AS o
