-- Those who are there, and those who are made. Who is neither was made by another at this moment: asked again, they are there.
WITH clock AS MATERIALIZED (SELECT coupon_now() AS at),
made AS (
    INSERT INTO users (id, name, metadata, created_at)
    SELECT u.id, u.name, u.metadata, clock.at
    FROM clock CROSS JOIN unnest($1::text[], $2::text[], $3::jsonb[]) AS u (id, name, metadata)
    -- In one order for all, so that no two calls wait for one another.
    ORDER BY u.id COLLATE "C"
    ON CONFLICT DO NOTHING
    RETURNING id, name, metadata, created_at
)
SELECT id, name, metadata, created_at, true AS made FROM made
UNION ALL
SELECT id, name, metadata, created_at, false AS made FROM users WHERE id = ANY ($1)
