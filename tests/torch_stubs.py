"""Lets torchvision be imported next to a build of PyTorch that it was not compiled for."""

import functools


@functools.cache
def declare() -> None:
    """Declares the two operators that torchvision describes, as it does when it brings them along itself."""
    import torch

    torch.set_num_threads(1)  # the tests run side by side
    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        try:
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        except RuntimeError:  # this torchvision has it
            continue
    _kept.append(library)  # what it declares goes with it


_kept: list[object] = []
