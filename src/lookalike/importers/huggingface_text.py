"""The part of a network from the Hugging Face hub that takes words: its graph, and its tokenizer.

Its files are those of transformers: `tokenizer.json`, which the tokenizers library reads, and beside it
`tokenizer_config.json`, `special_tokens_map.json` and `config.json`, which say with what and to what length it pads.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lookalike.encoders.openvino.loading import op, ov
from lookalike.errors import ModelError
from lookalike.importers.base import TextTower
from lookalike.importers.download.huggingface_hub import Repository
from lookalike.importers.encoder_graph import input_name
from lookalike.importers.error_summary import reason

_TOKENIZER = "tokenizer.json"
_IDS, _MASK, _TYPES = "input_ids", "attention_mask", "token_type_ids"
# Beside which output for pictures there is one for words in the same space, if the kind of network begins so.
_PAIRS = (
    ("image_embeds", "text_embeds", ""),
    ("image_embeddings", "text_embeddings", ""),
    ("pooler_output", "pooler_output", "siglip"),
)
_CONTEXTS = {"clip": 77, "siglip": 64}  # by how the kind of network begins, where nothing says it
_LONGEST = 512  # a search is a phrase, and costs as much as the longest one
_UNLIMITED = 10**9  # what transformers writes for it is far above


def output_beside(image_output: str, repository: Repository, network: Mapping[str, Any]) -> str | None:
    """The output for words whose vectors can be compared with those that this output gives for pictures.

    None where there is none, or words cannot become tokens.
    """
    if _TOKENIZER not in repository.files:
        return None
    kind = str(network.get("model_type") or "")
    return next(
        (text_tower for image, text_tower, begin in _PAIRS if image == image_output and kind.startswith(begin)), None
    )


def takes_words(model: ov.Model) -> bool:
    """Whether a graph takes tokens."""
    return any(input_name(port) == _IDS for port in model.inputs)


def text_tower(model: ov.Model, output: str, repository: Repository, network: Mapping[str, Any]) -> TextTower:
    """What takes words.

    Args:
        model: the graph as its file has it; it is changed.
        output: the one that gives vectors.
        repository: where the tokenizer is.
        network: what its `config.json` says.

    Raises:
        ModelError: the graph takes or gives something else, or it is not said how words become tokens.
        StorageError: the disk is full or failing.
    """
    source = f"hf:{repository.name}"
    try:
        tokens = _tokens(repository, network, _fixed_context(model))
        return TextTower(_graph(model, output, tokens), tokens.tokenizer, tokens.context)
    except (RuntimeError, ValueError) as error:
        raise ModelError(f"{source}: what it has for words cannot be used: {reason(error)}") from error
    except (LookupError, TypeError, AttributeError) as error:
        raise ModelError(f"{source}: its tokenizer makes no sense ({error!r})") from error


@dataclass(frozen=True)
class _Tokens:
    """What words become.

    Attributes:
        tokenizer: a `tokenizer.json` that pads and cuts.
        context: to how many tokens.
        pad: the token that stands for nothing.
        masked: whether the graph is to be told which tokens stand for nothing.
        pads_end: whether it is also the token at the end of the words.
    """

    tokenizer: str
    context: int
    pad: int
    masked: bool
    pads_end: bool


def _tokens(repository: Repository, network: Mapping[str, Any], fixed: int | None) -> _Tokens:
    tokenizer = repository.document(_TOKENIZER)
    config: dict[str, Any] = {}
    for name in ("special_tokens_map.json", "tokenizer_config.json"):
        config |= repository.document(name) if name in repository.files else {}
    if config.get("padding_side") == "left":
        raise ValueError("its tokenizer pads on the left")
    padding = tokenizer.get("padding") or {}
    token = _text(config.get("pad_token")) or padding.get("pad_token")
    context, pad = fixed or _context(config, network), _id(tokenizer, token)
    cut = {"direction": "Right", "max_length": context, "strategy": "LongestFirst", "stride": 0}
    padded = {
        "strategy": {"Fixed": context},
        "direction": "Right",
        "pad_to_multiple_of": None,
        "pad_id": pad,
        "pad_type_id": 0,
        "pad_token": token,
    }
    return _Tokens(
        tokenizer=json.dumps(tokenizer | {"truncation": cut, "padding": padded}),
        context=context,
        pad=pad,
        masked=_MASK in config.get("model_input_names", [_MASK]),
        pads_end=token == _text(config.get("eos_token")),
    )


def _context(config: Mapping[str, Any], network: Mapping[str, Any]) -> int:
    """How many tokens a network takes."""
    text = network.get("text_config") or network
    kind = str(network.get("model_type") or "")
    usual = next((context for begin, context in _CONTEXTS.items() if kind.startswith(begin)), None)
    said = [config.get("model_max_length"), text.get("max_position_embeddings")]
    known = [int(number) for number in said if number and number < _UNLIMITED] or ([usual] if usual else [])
    if not known:
        raise ValueError("neither tokenizer_config.json nor config.json says how many tokens it takes")
    return min(*known, _LONGEST)


def _text(token: Any) -> str | None:
    """A special token, which stands alone or with what else is known of it."""
    content = token["content"] if isinstance(token, dict) else token
    return None if content is None else str(content)


def _id(tokenizer: Mapping[str, Any], token: str | None) -> int:
    if token is None:
        raise ValueError("its tokenizer does not say what it pads with")
    for added in tokenizer.get("added_tokens") or ():
        if added["content"] == token:
            return int(added["id"])
    vocabulary = tokenizer["model"]["vocab"]
    if isinstance(vocabulary, list):  # each with how likely it is
        return [piece for piece, _ in vocabulary].index(token)
    return int(vocabulary[token])


def _fixed_context(model: ov.Model) -> int | None:
    """How many tokens a graph takes, if it takes only so many."""
    for port in model.inputs:
        if input_name(port) == _IDS and (length := port.get_partial_shape()[1]).is_static:
            return int(length.get_length())
    return None


def _graph(model: ov.Model, output: str, tokens: _Tokens) -> ov.Model:
    """From token ids, int64 (1, context), to a vector, float32 (1, dim)."""
    ids = op.parameter([1, tokens.context], np.int64, name="ids")
    given = {
        _IDS: ids,
        _MASK: _mask(ids, tokens),
        _TYPES: op.constant(np.zeros([1, tokens.context], np.int64)),
    }
    for parameter in model.get_parameters():
        if (made := given.get(input_name(parameter.output(0)))) is not None:
            converted = op.convert(made, parameter.get_element_type().get_type_name())
            for reader in parameter.output(0).get_target_inputs():
                reader.replace_source_output(converted.output(0))
    result = next((port for port in model.outputs if output in port.get_names()), None)
    if result is None:
        raise ValueError(f"it has no output {output!r}")
    vector = op.convert(result.get_node().input_value(0), "f32")
    graph = ov.Model([vector.output(0)], [ids], "words")
    graph.validate_nodes_and_infer_types()
    shape = graph.outputs[0].get_partial_shape()
    if len(shape) != 2 or shape[0] != 1 or shape[1].is_dynamic:
        raise ValueError(f"its output {output!r} is {shape}, and not one vector")
    return graph


def _mask(ids: Any, tokens: _Tokens) -> Any:
    """1 for what stands for something, 0 for what does not, int64 (1, context)."""
    if not tokens.masked:
        return op.constant(np.ones([1, tokens.context], np.int64))
    nothing = op.convert(op.equal(ids, np.int64(tokens.pad)), "i64")
    if tokens.pads_end:  # the first of them is the end
        nothing = op.cum_sum(nothing, np.int64(1), exclusive=True)
    return op.convert(op.equal(nothing, np.int64(0)), "i64")
