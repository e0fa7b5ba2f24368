INSERT INTO audit_records (action, actor, request, campaign_id, round_no, serial, user_id, before, after, at)
SELECT a.action, a.actor, a.request, a.campaign_id, a.round_no, a.serial, a.user_id, a.before, a.after, a.at
FROM unnest(
    $1::text[], $2::text[], $3::uuid[], $4::text[], $5::integer[], $6::integer[], $7::text[], $8::jsonb[], $9::jsonb[], $10::timestamptz[]
) WITH ORDINALITY AS a (action, actor, request, campaign_id, round_no, serial, user_id, before, after, at, ordinal)
ORDER BY a.ordinal
