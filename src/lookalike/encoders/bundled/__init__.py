"""EfficientNet-Lite0, the model that comes with Lookalike, read from its checkpoint without PyTorch."""

from lookalike.encoders.bundled.network import NAME, PRECISIONS, card, graph, weights, weights_path

__all__ = ["NAME", "PRECISIONS", "card", "graph", "weights", "weights_path"]
