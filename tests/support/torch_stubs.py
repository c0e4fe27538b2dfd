"""Lets torchvision be imported next to a build of PyTorch that it was not compiled for."""

import functools
import sys
import warnings


@functools.cache
def declare() -> None:
    """Declares the two operators that torchvision describes, unless it brings them along itself."""
    import torch

    torch.set_num_threads(1)  # the tests run side by side
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import torchvision  # noqa: F401
    except RuntimeError:  # its own operators could not be loaded
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _kept.append(library)  # what it declares goes with it


_kept: list[object] = []
