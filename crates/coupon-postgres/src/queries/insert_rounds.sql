INSERT INTO rounds (no, campaign_id, spec, reserve_opens_at, reserve_closes_at, claim_opens_at, claim_closes_at, supply, last_n)
SELECT r.no, $1, r.spec, r.reserve_opens_at, r.reserve_closes_at, r.claim_opens_at, r.claim_closes_at, r.supply, r.n
FROM unnest($2::integer[], $3::jsonb[], $4::timestamptz[], $5::timestamptz[], $6::timestamptz[], $7::timestamptz[], $8::integer[], $9::bigint[])
    AS r (no, spec, reserve_opens_at, reserve_closes_at, claim_opens_at, claim_closes_at, supply, n)
