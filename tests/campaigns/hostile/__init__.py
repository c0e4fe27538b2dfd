"""Opens collections that a stranger has crafted: nothing outside is touched, nothing hangs, every error is Lookalike's.

Each case replaces a name, a number, a file or the tables of a small collection, or puts a symlink, a pipe, a device or
a directory in the place of a file. Then everything is done with it that one does with a collection, by the API and by
the command line. A worker process does many cases; the supervisor goes on with another one when a worker has died or
takes too long, which is a problem as well.
"""
