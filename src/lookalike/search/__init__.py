"""From a query to matches: the query vector, one committed state of the collection, true scores."""
