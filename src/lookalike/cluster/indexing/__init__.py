"""Indexing on many machines: each archive, or part of a list, becomes a collection, made by one worker of a cluster.

driver.py is where to begin reading. Only names and reports cross the network between the driver and its workers: each
worker reads its archive and writes its collection by itself, as `lookalike index` does.
"""
