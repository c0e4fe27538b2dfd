"""Reads attributes of images from tables."""
