"""From a source of images to vectors and catalog rows, on every core."""
