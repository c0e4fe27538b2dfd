"""Acts on copies and undoes it, while processes are killed and disks are full, and looks for what was lost.

    python -m tests.campaigns.copies --count 1000

In each trial, groups, marks, the action, names that collide, and what other programs do meanwhile are random. Processes
are killed at any of the calls that change files, or at any instant. At every moment at least one image of each group is
where it was, and the contents of every file are somewhere, whole; in the end, undoing gives everything back.
"""
