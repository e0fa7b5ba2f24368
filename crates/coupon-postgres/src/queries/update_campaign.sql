-- By the ledger's clock, which a person may have set back.
UPDATE campaigns SET
    state = coalesce($2, state),
    rules = coalesce($3, CASE WHEN $4 IS NULL THEN rules ELSE jsonb_set(rules, '{total_limit}', to_jsonb($4)) END),
    revision = revision + $5,
    updated_at = greatest(updated_at, coupon_now())
WHERE id = $1
