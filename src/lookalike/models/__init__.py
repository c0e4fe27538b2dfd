"""Brings pretrained networks in: from timm, torchvision, Keras, OpenCLIP, the Hugging Face hub, and files.

    from lookalike import models

    card = models.import_model("timm:resnet50.a1_in1k", name="resnet")
    photos = lookalike.create("photos", model="resnet")

A source is a module with one function, `fetch`, that gives a `Network`. What comes of it is written into the folder of
models (encoders/library.py) as OpenVINO's own files and a card, and runs without the framework that it came from.
"""

import re
from importlib import import_module
from pathlib import Path

from lookalike.encoders import library
from lookalike.encoders.card import Card
from lookalike.errors import UsageError
from lookalike.models.network import Network, Request, Tell, Wishes

# By what stands before the colon: the module that fetches from there. Anything else is a file.
SOURCES = {
    "timm": "from_timm",
    "torchvision": "from_torchvision",
    "keras": "from_keras",
    "open_clip": "from_open_clip",
    "hf": "from_hub",
}
_FILES = "from_file"
