"""FAISS indexes: which one, how it is trained and searched, how much it finds, when it is rebuilt.

spec.py wraps a factory string, tuning.py measures operating points, maintenance.py keeps an index current.
"""
