"""ONNX files, valid and hostile: no other file is ever opened, and damage never ends the process."""

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lookalike.encoders.openvino.loading import core
from tests.support.optional_packages import needs

needs("onnx")

import onnx
from onnx import TensorProto, helper

from lookalike.errors import ModelError
from lookalike.importers import isolated_read, onnx_safety
from lookalike.system import worker
from tests.support.onnx_samples import classifier, images, model, node, planes, reference, tensor

HARMLESS = classifier().SerializeToString()


def external(name: str = "kernel") -> TensorProto:
    outside = TensorProto(name=name, dims=[4], data_type=TensorProto.FLOAT, data_location=TensorProto.EXTERNAL)
    outside.external_data.add(key="location", value="/etc/passwd")
    return outside


def test_a_file_computes_what_onnx_itself_computes(tmp_path: Path) -> None:
    path = tmp_path / "network.onnx"
    path.write_bytes(HARMLESS)
    pixels = planes(images())
    compiled = core().compile_model(onnx_safety.read(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    [found] = compiled(pixels).values()
    np.testing.assert_allclose(found, reference(classifier(), "logits", pixels), rtol=1e-4, atol=1e-3)


# Weights in other files


def as_initializer(network: onnx.ModelProto, outside: TensorProto) -> None:
    network.graph.initializer.append(outside)


def as_attribute(network: onnx.ModelProto, outside: TensorProto) -> None:
    network.graph.node.append(helper.make_node("Constant", [], ["outside"], value=outside))


def in_a_branch(network: onnx.ModelProto, outside: TensorProto) -> None:
    branch = helper.make_graph([helper.make_node("Constant", [], ["outside"], value=outside)], "branch", [], [])
    network.graph.node.append(helper.make_node("If", ["pixels"], ["either"], then_branch=branch, else_branch=branch))


def in_a_function(network: onnx.ModelProto, outside: TensorProto) -> None:
    constant = helper.make_node("Constant", [], ["outside"], value=outside)
    network.functions.append(helper.make_function("own", "F", [], ["outside"], [constant], []))


def as_sparse_initializer(network: onnx.ModelProto, outside: TensorProto) -> None:
    network.graph.sparse_initializer.add().values.CopyFrom(outside)


def as_sparse_attribute(network: onnx.ModelProto, outside: TensorProto) -> None:
    network.graph.node[0].attribute.add(name="indices").sparse_tensors.add().indices.CopyFrom(outside)


def in_the_training(network: onnx.ModelProto, outside: TensorProto) -> None:
    network.training_info.add().initialization.initializer.append(outside)


@pytest.mark.parametrize(
    "put",
    [
        as_initializer,
        as_attribute,
        in_a_branch,
        in_a_function,
        as_sparse_initializer,
        as_sparse_attribute,
        in_the_training,
    ],
)
@pytest.mark.parametrize("field_name", ["external_data", "data_location"])
def test_weights_in_other_files_are_refused_before_loading(
    put: Callable[[onnx.ModelProto, TensorProto], None],
    field_name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Either of the two fields is enough, wherever a tensor can be."""
    outside, network = external("outside"), classifier()
    outside.ClearField({"external_data": "data_location", "data_location": "external_data"}[field_name])
    put(network, outside)
    path = tmp_path / "network.onnx"
    path.write_bytes(network.SerializeToString())
    monkeypatch.setattr(isolated_read, "read", lambda *_: pytest.fail("it was loaded"))
    with pytest.raises(ModelError, match=r"network\.onnx: refused as an ONNX file: its weights are in other files"):
        onnx_safety.read(path)


def test_files_that_onnx_saves_with_external_data_are_refused(tmp_path: Path) -> None:
    onnx.save(classifier(), tmp_path / "network.onnx", save_as_external_data=True, size_threshold=0)
    with pytest.raises(ModelError, match="its weights are in other files"):
        onnx_safety.read(tmp_path / "network.onnx")


def test_the_checked_bytes_are_the_ones_that_are_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "network.onnx"
    path.write_bytes(HARMLESS)
    check = onnx_safety.check

    def check_and_swap(data: bytes) -> None:
        check(data)
        path.write_bytes(classifier(classes=20).SerializeToString())

    monkeypatch.setattr(onnx_safety, "check", check_and_swap)
    assert onnx_safety.read(path).output().get_partial_shape()[1].get_length() == 10


# Damage


def test_graphs_nested_too_deep_are_refused() -> None:
    """Each graph is an attribute of a node in the next."""
    graph = b""
    for _ in range(2000):
        graph = field(0x0A, field(0x2A, field(0x32, graph)))
    with pytest.raises(ValueError, match="nested more than 64 deep"):
        onnx_safety.check(field(0x3A, graph))


def field(key: int, value: bytes) -> bytes:
    """A length-delimited field of a protocol buffer."""
    length, digits = len(value), []
    while length >= 0x80:
        digits.append(length & 0x7F | 0x80)
        length >>= 7
    return bytes([key, *digits, length]) + value


@pytest.mark.parametrize(
    "data",
    [b"", b"\x08", b"\x08\x08", HARMLESS[:-1], HARMLESS[:40], b"\x3a\x05abc", b"\x3b\x3c", b"\xff" * 64, b"\x38\x01"],
)
def test_bytes_that_are_not_a_complete_onnx_file_are_refused(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "network.onnx"
    path.write_bytes(data)
    with pytest.raises(ModelError, match=r"network\.onnx: refused as an ONNX file: (it|there) is "):
        onnx_safety.read(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"network\.onnx: No such file"):
        onnx_safety.read(tmp_path / "network.onnx")


def mutated(data: bytes, seed: int) -> bytes:
    """Changes, inserts or deletes bytes in one to four positions, mostly where the structure is."""
    draw, changed = random.Random(seed), bytearray(data)
    for _ in range(draw.randint(1, 4)):
        positions = draw.randrange(len(changed)), draw.randrange(150), len(changed) - 1 - draw.randrange(150)
        position = draw.choice(positions)
        match draw.randrange(4):
            case 0:
                changed[position] = draw.randrange(256)
            case 1:
                changed[position] ^= 1 << draw.randrange(8)
            case 2:
                del changed[position : position + draw.randint(1, 8)]
            case _:
                changed[position:position] = draw.randbytes(draw.randint(1, 8))
    return bytes(changed)


def test_damage_makes_the_check_raise_value_error_and_nothing_else() -> None:
    refused = 0
    for seed in range(4000):
        try:
            onnx_safety.check(mutated(HARMLESS, seed))
        except ValueError:
            refused += 1
    assert 1000 < refused < 4000  # otherwise the mutations prove nothing


def test_a_file_that_crashes_openvino_is_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A convolution without weights crashes OpenVINO 2026."""
    network = model(
        [node("Conv", "pixels", "maps", kernel_shape=[3, 3])], [tensor("kernel", 8, 3, 3, 3)], {"maps": "nchw"}
    )
    path = tmp_path / "network.onnx"
    path.write_bytes(network.SerializeToString())
    with pytest.raises(ModelError, match=r"network\.onnx: refused as an ONNX file: OpenVINO crashes on it"):
        onnx_safety.read(path)
    assert capfd.readouterr() == ("", "")


def test_a_broken_installation_is_not_reported_as_a_damaged_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "network.onnx"
    path.write_bytes(HARMLESS)
    monkeypatch.setattr(worker, "_PROGRAM", "import no_such_package")
    with pytest.raises(ModelError, match=r"^OpenVINO: the process that ran it ended .*exit code 1.*standard error"):
        onnx_safety.read(path)
    assert "No module named 'no_such_package'" in capfd.readouterr().err


def test_reading_a_file_has_a_time_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "network.onnx"
    path.write_bytes(HARMLESS)
    monkeypatch.setattr(worker, "_PROGRAM", "import time; time.sleep(60)")
    monkeypatch.setattr(isolated_read, "_SECONDS", 0.2)
    with pytest.raises(ModelError, match=r"network\.onnx: refused as an ONNX file: OpenVINO has not read it after"):
        onnx_safety.read(path)


def test_damaged_files_are_refused_or_read(tmp_path: Path) -> None:
    """OpenVINO reads them in its own process, and never ends this one."""
    path, refused = tmp_path / "network.onnx", 0
    for seed in range(12):
        path.write_bytes(mutated(HARMLESS, seed))
        try:
            onnx_safety.read(path)
        except ModelError:
            refused += 1
    assert 2 < refused < 12
