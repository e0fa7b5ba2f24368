-- READ COMMITTED: behind a wait for the row, the guards see what was waited for.
UPDATE draws SET used_beacon = $2, winners = $3, last_score = $4, ranks = $5
WHERE round_no = $1 AND winners IS NULL AND beacon IS NOT DISTINCT FROM $2
