-- Which pictures that members gave are still needed: not those of a job whose card is deleted, drawn or not.

ALTER TABLE jobs ADD COLUMN deleted_at REAL;

CREATE INDEX jobs_by_source ON jobs (source_image_id) WHERE source_image_id IS NOT NULL;
