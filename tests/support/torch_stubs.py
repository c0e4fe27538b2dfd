"""Makes torchvision importable with a build of PyTorch that it was not compiled for."""

import functools
import sys
import warnings


@functools.cache
def declare() -> None:
    """Declares the two operators that torchvision registers shapes for, if it cannot load its own."""
    import torch

    torch.set_num_threads(1)  # tests run in parallel
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import torchvision  # noqa: F401
    except RuntimeError:  # its compiled operators could not be loaded
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _kept.append(library)  # its declarations live as long as it does


_kept: list[object] = []
