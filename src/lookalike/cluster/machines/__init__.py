"""Searches a sharded collection on the machines of a cluster, each of which holds some of the shards open."""
