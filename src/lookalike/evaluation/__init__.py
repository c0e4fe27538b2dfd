"""How good a search is, and which model is best for some images."""

QUERIES = 1000  # that `evaluate` asks, unless it is told otherwise
