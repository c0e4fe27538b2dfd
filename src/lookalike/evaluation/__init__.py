"""How good a search is, and which model is best for some images."""
