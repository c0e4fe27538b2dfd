"""Fetches files over HTTP: resumable, pinned to a revision, checked against a checksum."""
