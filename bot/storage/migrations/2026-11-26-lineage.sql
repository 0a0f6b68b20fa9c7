-- What was made of a picture is asked for by its page, and by every row of a picture or a job that is deleted for good.

CREATE INDEX images_by_parent ON images (parent_image_id) WHERE parent_image_id IS NOT NULL;
CREATE INDEX jobs_by_parent ON jobs (parent_id) WHERE parent_id IS NOT NULL;
