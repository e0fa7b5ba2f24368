-- Cursor, state and all rounds in the gate in one statement: one instant. A campaign without rounds has one row without a round.
SELECT
    journal_cursors.epoch, journal_cursors.n, journal_cursors.chain, journal_cursors.last_at, campaigns.state,
    (SELECT coalesce(sum(issued), 0)::bigint FROM rounds WHERE campaign_id = $1) AS issued_in_all,
    rounds.spec, rounds.phase, rounds.supply, rounds.places, rounds.issued, rounds.last_n
FROM campaigns
JOIN journal_cursors ON journal_cursors.campaign_id = campaigns.id
LEFT JOIN rounds ON rounds.campaign_id = campaigns.id AND NOT rounds.retired
WHERE campaigns.id = $1
ORDER BY rounds.no
