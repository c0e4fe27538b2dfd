"""Downloads files over HTTP: resumable, pinned to a revision, and checked against a checksum."""
