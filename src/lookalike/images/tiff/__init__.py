"""TIFF files that Pillow does not read, or not rightly: any depth, layout and byte order, the codecs by libtiff."""
