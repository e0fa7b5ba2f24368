-- What the embedded gate decided: one row per batch, appended in order, trimmed behind the recorder.
-- Times are microseconds since the Unix epoch.
CREATE TABLE journal (
    id INTEGER PRIMARY KEY,
    campaign_id TEXT NOT NULL CHECK (campaign_id <> ''),
    epoch INTEGER NOT NULL CHECK (epoch >= 0),
    first INTEGER NOT NULL CHECK (first > 0),
    last INTEGER NOT NULL CHECK (last >= first),
    at INTEGER NOT NULL,
    prev TEXT NOT NULL CHECK (length(prev) = 40),
    rows TEXT NOT NULL CHECK (rows <> ''),
    -- The epoch is in it so that a second history would be kept beside the first, for the recorder to find, not refused with the yes
    -- it holds.
    UNIQUE (campaign_id, last, epoch)
) STRICT;
