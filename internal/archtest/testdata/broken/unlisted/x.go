package unlisted // want table
