"""Decodes image files to RGB pixels, opening only known formats and surviving damaged files."""
