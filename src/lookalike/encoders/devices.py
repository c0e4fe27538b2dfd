"""Which processor a network runs on."""
