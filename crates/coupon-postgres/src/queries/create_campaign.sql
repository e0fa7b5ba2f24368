-- A campaign with its cursor and its event. Its title is kept before.
WITH clock AS MATERIALIZED (SELECT coupon_now() AS at),
made AS (
    INSERT INTO campaigns (id, rules, state, created_at, updated_at)
    SELECT $1, $2, $3, clock.at, clock.at FROM clock
    RETURNING id, rules, state, revision, created_at, updated_at
),
cursor AS (
    INSERT INTO journal_cursors (campaign_id) SELECT id FROM made
),
told AS (
    INSERT INTO events (id, kind, campaign_id, at) SELECT $4, 'campaign.created', id, created_at FROM made
)
SELECT * FROM made
