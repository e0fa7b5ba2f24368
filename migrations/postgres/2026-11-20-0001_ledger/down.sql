DROP TABLE
    acknowledged, journal_cursors, round_arrivals, round_refusals, users, audit_records, operators, requests, notices, deliveries, subscribers,
    events, orders, coupons, draws, places, rounds, titles, campaigns, master_keys, installation;
DROP FUNCTION refuse_coupons_beyond_max_per_user();
DROP SEQUENCE round_numbers;
DROP DOMAIN opaque_id;
DROP FUNCTION coupon_now();
