"""Attributes of images, read from tables."""
