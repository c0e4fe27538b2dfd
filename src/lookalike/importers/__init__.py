"""Imports pretrained models: from timm, torchvision, Keras, OpenCLIP, the Hugging Face hub, and files.

    from lookalike import importers

    model = importers.import_model("timm:resnet50.a1_in1k", name="resnet")
    photos = lookalike.create("photos", model="resnet")

Each source is a module with one function, `fetch`, that returns an `ImportedNetwork`. importing.py writes it to the
registry of models as OpenVINO files and a card; from then on it runs without the framework it came from.
"""

from lookalike.importers.base import ImportOptions, ImportProgress
from lookalike.importers.importing import SOURCES, default_name, import_model, inspect, register

__all__ = ["SOURCES", "ImportOptions", "ImportProgress", "default_name", "import_model", "inspect", "register"]
