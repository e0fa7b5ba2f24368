-- A title that a campaign got but for a moment before it ended is taken over. Every other one stays, and stays locked: so it can be seen
-- afterwards whose it is.
INSERT INTO titles AS known (title, validity_key, campaign_id)
VALUES ($2::jsonb ->> 'title', $2::jsonb ->> 'validity', $1)
ON CONFLICT (title, validity_key) DO UPDATE SET campaign_id = excluded.campaign_id
WHERE EXISTS (SELECT 1 FROM campaigns WHERE campaigns.id = known.campaign_id AND campaigns.state = 'ENDED')
