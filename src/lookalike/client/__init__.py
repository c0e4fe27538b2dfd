"""A client of the HTTP service: the search methods of a collection, over a network.

client.py is where to begin reading. It turns arguments into requests with bodies.py, sends them through service.py,
which knows the address, the token, and which requests may be tried again, and reads what comes back with answers.py
and problems.py. connections.py has the sockets. Nothing that a server sends is trusted: its size is bounded, its form
is checked, no redirect is followed, and no file is written.
"""
