"""Many collections as one: a directory with a manifest, shards.json, whose shards are ordinary collections.

collection.py is where to begin reading. combining.py publishes the manifest, opening.py opens what is at a path, be it
one collection or many. snapshot.py asks all shards and merges their answers; what makes a search of one collection
makes that of many, too.
"""
