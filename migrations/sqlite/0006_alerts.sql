-- Sending alerts: who is at it, and what a receiver tells doubles by.

-- Given at the first attempt and sent with each one.
alter table alert_deliveries add column delivery_id text;
create unique index alert_deliveries_delivery on alert_deliveries (delivery_id);
-- The attempt under way; what it reports later counts only while this is still its own.
alter table alert_deliveries add column claim_id text;
alter table alert_deliveries add column last_attempt_at text;
create index alert_deliveries_status on alert_deliveries (status, id);
