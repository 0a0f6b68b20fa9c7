"""/history: pages of pictures, one picture with its kin, going on from it, deleting, exporting."""
