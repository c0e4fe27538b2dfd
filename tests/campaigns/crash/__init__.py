"""Kills processes that index, remove, annotate and build, at random instants, and examines what they leave behind.

    python -m tests.campaigns.crash --kills 1000

Whatever a process reported as committed is there, once; nothing is torn; searches find what they should. The next run
ends as an undisturbed run does, and removes what was left over.
"""
