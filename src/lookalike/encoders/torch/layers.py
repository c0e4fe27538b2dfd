"""OpenVINO's neural network layers, products and reductions as functions of torch, in the form of operators.py."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from lookalike.encoders.torch.operators import Attributes, Operator, check_attribute, integers
from lookalike.errors import ModelError

# Convolutions and pooling of images, (n, channels, height, width)


def _padding(attributes: Attributes, x: Tensor, kernel: Sequence[int]) -> tuple[list[int], list[int]]:
    """The number of rows and columns that are added before and after."""
    match attributes.get("auto_pad", "explicit"):
        case "explicit" | "notset":
            return list(attributes["pads_begin"]), list(attributes["pads_end"])
        case "valid":
            return [0, 0], [0, 0]
        case upper_or_lower:
            begin, end = [], []
            dilations = attributes.get("dilations") or (1, 1)
            for size, width, stride, dilation in zip(
                x.shape[2:], kernel, attributes["strides"], dilations, strict=True
            ):
                total = max((-(-size // stride) - 1) * stride + (width - 1) * dilation + 1 - size, 0)
                begin.append(total // 2)
                end.append(total - total // 2)
            return (begin, end) if upper_or_lower == "same_upper" else (end, begin)


def _padded(x: Tensor, begin: Sequence[int], end: Sequence[int], value: float = 0.0) -> Tensor:
    return functional.pad(x, (begin[1], end[1], begin[0], end[0]), value=value)


def _convolution(attributes: Attributes, x: Tensor, weight: Tensor, *, groups: int = 1) -> Tensor:
    if weight.ndim != 4:
        raise ModelError(f"it convolves in {weight.ndim - 2} dimensions; only the CPU can do other than 2")
    begin, end = _padding(attributes, x, weight.shape[2:])
    if begin != end:
        x, begin = _padded(x, begin, end), [0, 0]
    strides, dilations = list(attributes["strides"]), list(attributes["dilations"])
    return functional.conv2d(x, weight, None, strides, begin, dilations, groups)


def _group_convolution(attributes: Attributes, x: Tensor, weight: Tensor) -> Tensor:
    """`weight` is (groups, out / groups, in / groups, height, width)."""
    return _convolution(attributes, x, weight.flatten(0, 1), groups=weight.shape[0])


def _max_pool(attributes: Attributes, x: Tensor) -> Tensor:
    kernel = list(attributes["kernel"])
    begin, end = _padding(attributes, x, kernel)
    ceil = _rounds_up(attributes, even=begin == end)
    if begin != end:
        x, begin = _padded(x, begin, end, -torch.inf), [0, 0]
    dilations = list(attributes.get("dilations") or (1, 1))
    return functional.max_pool2d(x, kernel, list(attributes["strides"]), begin, dilations, ceil)


def _average_pool(attributes: Attributes, x: Tensor) -> Tensor:
    kernel, strides, exclude = list(attributes["kernel"]), list(attributes["strides"]), attributes["exclude-pad"]
    begin, end = _padding(attributes, x, kernel)
    # In windows that reach beyond the padding, OpenVINO and torch count differently.
    ceil = _rounds_up(attributes, even=begin == end and (exclude or not any(begin)))
    if begin == end:
        return functional.avg_pool2d(x, kernel, strides, begin, ceil, count_include_pad=not exclude)
    pooled = functional.avg_pool2d(_padded(x, begin, end), kernel, strides)
    if not exclude:
        return pooled
    return pooled / functional.avg_pool2d(_padded(torch.ones_like(x[:1, :1]), begin, end), kernel, strides)


def _rounds_up(attributes: Attributes, *, even: bool) -> bool:
    """Whether a window that reaches beyond the padded input counts; torch supports that for `even` padding only."""
    check_attribute(attributes, "rounding_type", "floor", *(("ceil", "ceil_torch") if even else ()))
    return bool(attributes.get("rounding_type", "floor") != "floor")


# Products


def _matmul(attributes: Attributes, x: Tensor, y: Tensor) -> Tensor:
    if attributes.get("transpose_a") and x.ndim > 1:
        x = x.mT
    if attributes.get("transpose_b") and y.ndim > 1:
        y = y.mT
    return torch.matmul(x, y)


def _attention(
    attributes: Attributes,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None = None,
    scale: Tensor | None = None,
) -> Tensor:
    if mask is not None and mask.ndim == 0:  # a scalar stands for no mask
        mask = None
    return functional.scaled_dot_product_attention(
        query,
        key,
        value,
        attn_mask=mask,
        is_causal=bool(attributes["causal"]) and mask is None,
        scale=None if scale is None else float(scale),
    )


# Reductions; sums of many numbers are computed in float32


def _mean(attributes: Attributes, x: Tensor, axes: Tensor) -> Tensor:
    return x.mean(integers(axes), attributes["keep_dims"], dtype=torch.float32)


def _sum(attributes: Attributes, x: Tensor, axes: Tensor) -> Tensor:
    return x.sum(integers(axes), attributes["keep_dims"], dtype=torch.float32 if x.is_floating_point() else None)


def _l2(attributes: Attributes, x: Tensor, axes: Tensor) -> Tensor:
    return x.float().square().sum(integers(axes), attributes["keep_dims"]).sqrt()


def _largest(attributes: Attributes, x: Tensor, axes: Tensor) -> Tensor:
    return x.amax(integers(axes), attributes["keep_dims"])


def _product(attributes: Attributes, x: Tensor, axes: Tensor) -> Tensor:
    for axis in sorted((axis % x.ndim for axis in integers(axes)), reverse=True):
        x = x.prod(axis, attributes["keep_dims"])
    return x


def _softmax(attributes: Attributes, x: Tensor) -> Tensor:
    return torch.softmax(x, attributes["axis"], dtype=torch.float32).to(x.dtype)


def _normalize_l2(attributes: Attributes, x: Tensor, axes: Tensor) -> Tensor:
    check_attribute(attributes, "eps_mode", "add", "max")
    squares, epsilon = x.float().square().sum(integers(axes), keepdim=True), attributes["eps"]
    length = (squares + epsilon if attributes["eps_mode"] == "add" else squares.clamp(min=epsilon)).sqrt()
    return x.float() / length


def _mvn(attributes: Attributes, x: Tensor, axes: Tensor) -> Tensor:
    """Normalizes to mean 0 and, if asked for, variance 1; torch's own layer norm computes in float32."""
    dimensions = sorted(axis % x.ndim for axis in integers(axes))
    inside, epsilon = attributes["eps_mode"].lower() == "inside_sqrt", attributes["eps"]
    if attributes["normalize_variance"] and inside and dimensions == list(range(dimensions[0], x.ndim)):
        return functional.layer_norm(x, x.shape[dimensions[0] :], eps=epsilon)
    variance, mean = torch.var_mean(x.float(), dimensions, correction=0, keepdim=True)
    centred = x.float() - mean
    if attributes["normalize_variance"]:
        centred = centred / ((variance + epsilon).sqrt() if inside else variance.sqrt() + epsilon)
    return centred.to(x.dtype)


def _group_norm(attributes: Attributes, x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    return functional.group_norm(x, attributes["num_groups"], scale, bias, attributes["epsilon"])


# Integer arithmetic, simulated


def _fake_quantize(attributes: Attributes, x: Tensor, *bounds: Tensor) -> Tensor:
    """Rounds to `levels` values; `bounds` are the lowest and highest input, and the outputs that these become."""
    steps = attributes["levels"] - 1
    if all(bound.numel() == 1 for bound in bounds):
        low, high, out_low, out_high = (float(bound) for bound in bounds)
        step = (high - low) / steps
        zero = -low / step
        if (low, high) == (out_low, out_high) and abs(zero - round(zero)) < 1e-3 and x.device.type in {"cpu", "cuda"}:
            return torch.fake_quantize_per_tensor_affine(x, step, round(zero), 0, steps)
    first, last, out_first, out_last = (bound.to(x.device) for bound in bounds)
    codes = ((x.float().clamp(first, last) - first) * (steps / (last - first))).round()
    return (codes * ((out_last - out_first) / steps) + out_first).to(x.dtype)


LAYERS: dict[str, Operator] = {
    "AvgPool": Operator(_average_pool),
    "Convolution": Operator(_convolution, precision="half"),
    "FakeQuantize": Operator(_fake_quantize, parameters=(1, 2, 3, 4)),
    "GroupConvolution": Operator(_group_convolution, precision="half"),
    "GroupNormalization": Operator(_group_norm),
    "MVN": Operator(_mvn, parameters=(1,)),
    "MatMul": Operator(_matmul, precision="half"),
    "MaxPool": Operator(_max_pool),
    "NormalizeL2": Operator(_normalize_l2, parameters=(1,), precision="float32"),
    "ReduceL2": Operator(_l2, parameters=(1,), precision="float32"),
    "ReduceMax": Operator(_largest, parameters=(1,)),
    "ReduceMean": Operator(_mean, parameters=(1,), precision="float32"),
    "ReduceProd": Operator(_product, parameters=(1,)),
    "ReduceSum": Operator(_sum, parameters=(1,), precision="float32"),
    "ScaledDotProductAttention": Operator(_attention, parameters=(4,), precision="half"),
    "Softmax": Operator(_softmax),
}
