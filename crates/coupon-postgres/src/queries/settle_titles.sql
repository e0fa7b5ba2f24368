-- A campaign has the title of its rules and no other, and none once it has ended. The lock waits for a recording that changes the rules.
WITH mine AS MATERIALIZED (
    SELECT id, title, validity_key FROM campaigns WHERE id = $1 AND state <> 'ENDED' FOR SHARE
),
given_up AS (
    DELETE FROM titles
    WHERE campaign_id = $1
        AND NOT EXISTS (SELECT 1 FROM mine WHERE mine.title = titles.title AND mine.validity_key = titles.validity_key)
)
INSERT INTO titles (title, validity_key, campaign_id)
SELECT title, validity_key, id FROM mine
ON CONFLICT DO NOTHING
