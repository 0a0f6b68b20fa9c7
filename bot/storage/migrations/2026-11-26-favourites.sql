-- Who keeps a picture is asked for one picture, too: by the star board, by retention, and by its page.

CREATE INDEX favourites_by_image ON favourites (image_id);
