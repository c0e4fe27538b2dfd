"""The HTTP service of a collection: an API for programs that is safe by default, and refuses in time what is too much.

app.py is where to begin reading. Requests pass middleware.py, then a route in searches.py, images.py, writing.py,
embeddings.py or about.py; these work on the collection that live.py has open, on the threads of lanes.py. serving.py
runs the application, with protocol.py for clients that are slow.
"""
