"""Builds the text tower of a network from the Hugging Face hub: its graph and its tokenizer.

The files are those of transformers: `tokenizer.json`, which the tokenizers library reads, and `tokenizer_config.json`,
`special_tokens_map.json` and `config.json`, which say with which token and to what length texts are padded.
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
from lookalike.importers.error_summary import one_line

_TOKENIZER = "tokenizer.json"
_IDS, _MASK, _TYPES = "input_ids", "attention_mask", "token_type_ids"
# An output for images, the output for text in the same space, and the prefix of the model types this holds for.
_PAIRS = (
    ("image_embeds", "text_embeds", ""),
    ("image_embeddings", "text_embeddings", ""),
    ("pooler_output", "pooler_output", "siglip"),
)
_CONTEXTS = {"clip": 77, "siglip": 64}  # in tokens, by the prefix of the model type, if no file says it
_MAX_CONTEXT = 512  # tokens; a query is a phrase, and takes as long as the longest one
_UNLIMITED = 10**9  # tokens; transformers writes a far larger number for "no limit"


def matching_output(image_output: str, repository: Repository, network: Mapping[str, Any]) -> str | None:
    """Returns the name of the output for text whose vectors are in the same space as those of an output for images.

    None if there is no such output, or no tokenizer.
    """
    if _TOKENIZER not in repository.files:
        return None
    model_type = str(network.get("model_type") or "")
    return next(
        (text for image, text, prefix in _PAIRS if image == image_output and model_type.startswith(prefix)), None
    )


def takes_tokens(model: ov.Model) -> bool:
    """Returns whether a graph has an input for token ids."""
    return any(input_name(port) == _IDS for port in model.inputs)


def text_tower(model: ov.Model, output: str, repository: Repository, network: Mapping[str, Any]) -> TextTower:
    """Builds the text tower.

    Args:
        model: the graph in its file; it is changed.
        output: the name of the output with the vectors.
        repository: holds the tokenizer.
        network: the content of its `config.json`.

    Raises:
        ModelError: the graph has other inputs or outputs, or the tokenizer is not fully described.
        StorageError: the disk is full or failing.
    """
    source = f"hf:{repository.name}"
    try:
        tokens = _tokenization(repository, network, _fixed_context(model))
        return TextTower(_graph(model, output, tokens), tokens.tokenizer, tokens.context)
    except (RuntimeError, ValueError) as error:
        raise ModelError(f"{source}: its text encoder cannot be used: {one_line(error)}") from error
    except (LookupError, TypeError, AttributeError) as error:
        raise ModelError(f"{source}: its tokenizer is not valid: {one_line(error)}") from error


@dataclass(frozen=True)
class _Tokenization:
    """How text becomes token ids.

    Attributes:
        tokenizer: a `tokenizer.json` that pads and truncates.
        context: to this number of tokens.
        pad: the id of the padding token.
        masked: whether the graph needs to know which tokens are padding.
        pads_with_end: whether the padding token is also the end token.
    """

    tokenizer: str
    context: int
    pad: int
    masked: bool
    pads_with_end: bool


def _tokenization(repository: Repository, network: Mapping[str, Any], fixed_context: int | None) -> _Tokenization:
    tokenizer = repository.document(_TOKENIZER)
    config: dict[str, Any] = {}
    for name in ("special_tokens_map.json", "tokenizer_config.json"):
        config |= repository.document(name) if name in repository.files else {}
    if config.get("padding_side") == "left":
        raise ValueError("its tokenizer pads on the left")
    padding = tokenizer.get("padding") or {}
    token = _token_text(config.get("pad_token")) or padding.get("pad_token")
    context, pad = fixed_context or _context(config, network), _token_id(tokenizer, token)
    truncation = {"direction": "Right", "max_length": context, "strategy": "LongestFirst", "stride": 0}
    padding = {
        "strategy": {"Fixed": context},
        "direction": "Right",
        "pad_to_multiple_of": None,
        "pad_id": pad,
        "pad_type_id": 0,
        "pad_token": token,
    }
    return _Tokenization(
        tokenizer=json.dumps(tokenizer | {"truncation": truncation, "padding": padding}),
        context=context,
        pad=pad,
        masked=_MASK in config.get("model_input_names", [_MASK]),
        pads_with_end=token == _token_text(config.get("eos_token")),
    )


def _context(config: Mapping[str, Any], network: Mapping[str, Any]) -> int:
    """The number of tokens that a network takes."""
    text = network.get("text_config") or network
    model_type = str(network.get("model_type") or "")
    usual = next((context for prefix, context in _CONTEXTS.items() if model_type.startswith(prefix)), None)
    stated = [config.get("model_max_length"), text.get("max_position_embeddings")]
    known = [int(number) for number in stated if number and number < _UNLIMITED] or ([usual] if usual else [])
    if not known:
        raise ValueError("neither tokenizer_config.json nor config.json says how many tokens it takes")
    return min(*known, _MAX_CONTEXT)


def _token_text(token: Any) -> str | None:
    """The text of a special token, which is a string or an object with its properties."""
    content = token["content"] if isinstance(token, dict) else token
    return None if content is None else str(content)


def _token_id(tokenizer: Mapping[str, Any], token: str | None) -> int:
    if token is None:
        raise ValueError("its tokenizer does not say what it pads with")
    for added in tokenizer.get("added_tokens") or ():
        if added["content"] == token:
            return int(added["id"])
    vocabulary = tokenizer["model"]["vocab"]
    if isinstance(vocabulary, list):  # of pieces with their log probabilities
        return [piece for piece, _ in vocabulary].index(token)
    return int(vocabulary[token])


def _fixed_context(model: ov.Model) -> int | None:
    """The number of tokens that a graph takes, None if it takes any."""
    for port in model.inputs:
        if input_name(port) == _IDS and (length := port.get_partial_shape()[1]).is_static:
            return int(length.get_length())
    return None


def _graph(model: ov.Model, output: str, tokens: _Tokenization) -> ov.Model:
    """The graph from token ids, int64 (1, context), to a vector, float32 (1, dim)."""
    ids = op.parameter([1, tokens.context], np.int64, name="ids")
    replacements = {
        _IDS: ids,
        _MASK: _mask(ids, tokens),
        _TYPES: op.constant(np.zeros([1, tokens.context], np.int64)),
    }
    for parameter in model.get_parameters():
        if (replacement := replacements.get(input_name(parameter.output(0)))) is not None:
            converted = op.convert(replacement, parameter.get_element_type().get_type_name())
            for reader in parameter.output(0).get_target_inputs():
                reader.replace_source_output(converted.output(0))
    result = next((port for port in model.outputs if output in port.get_names()), None)
    if result is None:
        raise ValueError(f"it has no output {output!r}")
    vector = op.convert(result.get_node().input_value(0), "f32")
    graph = ov.Model([vector.output(0)], [ids], "text")
    graph.validate_nodes_and_infer_types()
    shape = graph.outputs[0].get_partial_shape()
    if len(shape) != 2 or shape[0] != 1 or shape[1].is_dynamic:
        raise ValueError(f"its output {output!r} is {shape}, and not one vector")
    return graph


def _mask(ids: Any, tokens: _Tokenization) -> Any:
    """The attention mask, int64 (1, context): 0 for padding, else 1."""
    if not tokens.masked:
        return op.constant(np.ones([1, tokens.context], np.int64))
    padding = op.convert(op.equal(ids, np.int64(tokens.pad)), "i64")
    if tokens.pads_with_end:  # the first of them is the end
        padding = op.cum_sum(padding, np.int64(1), exclusive=True)
    return op.convert(op.equal(padding, np.int64(0)), "i64")
