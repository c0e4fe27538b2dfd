"""Which images of a collection are copies of one another: candidates, kept comparisons, groups, and actions."""
