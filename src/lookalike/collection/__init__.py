"""The facade: a collection of images, their vectors, and everything one does with them.

collection.py is where to begin reading. plan.py says what indexing would take, reindex.py indexes again with another
model, compatibility.py decides whether a model may be used with a collection.
"""
