CREATE DATABASE IF NOT EXISTS attribution;
CREATE TABLE IF NOT EXISTS attribution.events (
  event_id String, event_type String, user_id String,
  timestamp UInt64, received_at UInt64, value Float64, page String, raw String,
  time DateTime MATERIALIZED toDateTime(intDiv(timestamp, 1000))
) ENGINE = MergeTree
PARTITION BY toYYYYMM(toDateTime(intDiv(timestamp, 1000)))
ORDER BY (event_type, user_id, timestamp);
