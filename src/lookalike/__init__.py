"""Finds the images that look like this one.

    import lookalike

    photos = lookalike.create("photos")              # photos/.lookalike; from then on: lookalike.open("photos")
    report = photos.add("photos")                    # all its images, or what has changed since the last time
    for match in photos.search("query.jpg", k=10):
        print(match.score, match.path)

The public names are listed in __init__.pyi and loaded when first used, so that `lookalike --help` does not wait for
FAISS.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
