"""The choice of a device, and the warnings if the one that was asked for is not available."""

import platform
import subprocess
import sys
import types
import warnings
from collections.abc import Callable

import pytest

from lookalike.encoders import devices
from lookalike.errors import DeviceWarning, ModelError, UsageError

Pretend = Callable[..., None]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Pretend:
    """Makes this machine look like another one."""

    def pretend(
        *, driver: bool = False, apple: bool = False, torch: bool = True, gpus: int = 0, built_for: str = "12.8"
    ) -> None:
        monkeypatch.setattr(devices, "_DRIVER_FILES", (__file__,) if driver else ())
        monkeypatch.setattr(sys, "platform", "darwin" if apple else "linux")
        monkeypatch.setattr(platform, "machine", lambda: "arm64" if apple else "x86_64")
        monkeypatch.setattr(devices, "find_spec", lambda _: object() if torch else None)
        module = types.ModuleType("torch")
        values = {
            "version": types.SimpleNamespace(cuda=built_for or None, hip=None),
            "cuda": types.SimpleNamespace(
                is_available=lambda: gpus > 0,
                device_count=lambda: gpus,
                get_device_name=lambda device: f"GPU at {device}",
            ),
            "backends": types.SimpleNamespace(mps=types.SimpleNamespace(is_available=lambda: apple)),
        }
        for name, value in values.items():
            setattr(module, name, value)
        monkeypatch.setitem(sys.modules, "torch", module)

    return pretend


@pytest.mark.parametrize("device", ["gpu", "CUDA", "cuda:", "cuda:x", "mps:0", "cpu:0", "", "cuda:1 "])
def test_an_unknown_device_name_is_a_usage_error(device: str) -> None:
    with pytest.raises(UsageError, match="give auto, cpu, cuda"):
        devices.choose(device)


@pytest.mark.parametrize(
    ("here", "chosen"),
    [
        ({}, "cpu"),
        ({"gpus": 1}, "cpu"),  # without NVIDIA's driver: it has to be asked for by name
        ({"driver": True, "gpus": 1}, "cuda"),
        ({"driver": True, "gpus": 0}, "cpu"),
        ({"driver": True, "torch": False}, "cpu"),
        ({"driver": True, "built_for": ""}, "cpu"),
        ({"apple": True}, "mps"),
        ({"apple": True, "torch": False}, "cpu"),
    ],
)
def test_auto_is_the_fastest_device_and_never_warns(machine: Pretend, here: dict[str, bool], chosen: str) -> None:
    machine(**here)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert devices.choose("auto") == chosen


def test_an_available_device_is_chosen_by_name(machine: Pretend) -> None:
    machine(driver=True, gpus=2)
    assert [devices.choose(name) for name in ("cpu", "cuda", "cuda:1")] == ["cpu", "cuda", "cuda:1"]
    machine(apple=True)
    assert devices.choose("mps") == "mps"


@pytest.mark.parametrize(
    ("here", "device", "reason"),
    [
        (
            {"torch": False},
            "cuda",
            r'PyTorch is not installed; to install what is missing: pip install "lookalike\[torch\]"',
        ),
        ({"torch": False, "apple": True}, "mps", "PyTorch is not installed"),
        ({"built_for": ""}, "cuda", "this build of PyTorch is for the CPU only"),
        ({}, "cuda", "no NVIDIA GPU"),
        ({}, "mps", "no Apple GPU"),
        ({"gpus": 2}, "cuda:2", "the last one is cuda:1"),
    ],
)
def test_an_unavailable_device_is_warned_of_once_and_replaced_by_the_cpu(
    machine: Pretend, here: dict[str, bool], device: str, reason: str
) -> None:
    machine(**here)
    with pytest.warns(DeviceWarning, match=reason) as caught:
        assert devices.choose(device) == "cpu"
    assert len(caught) == 1
    message = str(caught[0].message)
    assert message.startswith(f"{device}: ")
    assert message.endswith("it runs on the CPU")
    assert "\n" not in message


def test_the_reason_is_what_torch_warns_of(machine: Pretend) -> None:
    def count() -> int:
        warnings.warn("CUDA initialization: the driver is too old.\nUpdate it.", UserWarning, stacklevel=1)
        return 0

    machine(driver=True)
    sys.modules["torch"].cuda.device_count = count
    with pytest.warns(DeviceWarning, match="cuda: CUDA initialization: the driver is too old.; it runs on") as caught:
        devices.choose("cuda")
    assert len(caught) == 1


def test_a_build_of_torch_that_cannot_be_loaded_is_reported(machine: Pretend, monkeypatch: pytest.MonkeyPatch) -> None:
    machine(driver=True)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.warns(DeviceWarning, match="PyTorch cannot be loaded"):
        assert devices.choose("cuda") == "cpu"


def test_without_a_gpu_torch_is_not_imported() -> None:
    program = """
import sys
from lookalike.encoders import devices
devices._DRIVER_FILES, sys.platform = (), "linux"
assert (devices.choose("auto"), devices.choose("cpu"), devices.describe("cpu")) == ("cpu", "cpu", "CPU")
print("torch" in sys.modules)
"""
    child = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert child.stdout == "False\n"


def test_a_device_is_described_with_what_an_unused_gpu_lacks(machine: Pretend) -> None:
    machine(driver=True, gpus=1)
    assert devices.describe("cuda") == "GPU at cuda (cuda)"
    assert devices.describe("cpu") == "CPU"
    machine(driver=True, torch=False)
    assert "PyTorch is not installed; to install what is missing: pip install" in devices.describe("cpu")
    machine(apple=True)
    assert devices.describe("mps") == "Apple GPU (mps)"


@pytest.mark.parametrize("error", [RuntimeError("CUDA error: no image\nCompile with ..."), ModelError("unknown")])
def test_a_failure_of_the_gpu_becomes_a_warning_of_one_line(error: Exception) -> None:
    def fail() -> None:
        raise error

    with pytest.warns(DeviceWarning) as caught, devices.fall_back_to_cpu("cuda"):
        fail()
    assert str(caught[0].message) == f"cuda: {str(error).splitlines()[0]}; it runs on the CPU"
    assert len(caught) == 1


def test_success_on_the_gpu_warns_of_nothing() -> None:
    with devices.fall_back_to_cpu("cuda"):
        pass


def test_a_usage_error_on_the_gpu_stays_an_error() -> None:
    with pytest.raises(UsageError), devices.fall_back_to_cpu("cuda"):
        raise UsageError("size: 0")


def test_a_gpu_gets_more_decoding_threads_than_there_are_cores() -> None:
    assert [devices.threads_for("cpu", cores) for cores in (1, 2, 8)] == [2, 3, 10]
    assert [devices.threads_for(device, 8) for device in ("cuda", "cuda:1", "mps")] == [12, 12, 12]
    assert devices.threads_for("cuda", 1) == 3
