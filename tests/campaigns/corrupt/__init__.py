"""Damages the files of collections in many ways, and checks that the damage is noticed.

    python -m tests.campaigns.corrupt --count 5000

A small collection with an index, younger images and deleted ones is copied, one of its files is damaged, and the copy
is opened, searched and checked. No wrong answer may go unnoticed: a damaged index gives a warning and exact answers; a
damaged vector is never returned, and `check` names its file; a damaged catalog gives errors, or answers that agree with
its present contents. All of this happens in worker processes, so that one that dies is noticed.
"""
