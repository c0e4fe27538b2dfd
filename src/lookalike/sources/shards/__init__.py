"""Images in archives: reads the members of tar files and the rows of Parquet files, without unpacking them."""
