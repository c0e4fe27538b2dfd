"""Lists the files that images are read from."""
