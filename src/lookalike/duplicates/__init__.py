"""Which images of a collection are copies of one another: candidates, comparisons that are kept, groups, and actions."""
