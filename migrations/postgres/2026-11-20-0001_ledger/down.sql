DROP TABLE acknowledged, journal_cursors, requests, events, orders, coupons, places, rounds, campaigns, master_keys, installation;
DROP SEQUENCE round_numbers;
DROP DOMAIN opaque_id;
DROP FUNCTION coupon_now();
