"""A collection on the disk.

layout.py names its files; catalog.py is the SQLite side, vectors.py the matrix of vectors, manifest.py collection.json.
"""
