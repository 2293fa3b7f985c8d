"""What each weight format costs on this processor, measured once and remembered.

A processor decides between packed kernels: the one that wins with AVX-512 loses without it by a
factor of ten. So the formats are timed on one layer-sized product, for the numbers of rows that a
request consists of, and the fastest of those that keep the model's accuracy is chosen.
"""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import torch

from polydraft.models.native_support import processor_serves
from polydraft.models.quantize import PACKERS, Packer

NATIVE = "w8a16"  # weights int8, inputs int16: the native forward pass, not a kind of layer
FORMATS = (NATIVE, *PACKERS)
ACCURATE = (NATIVE, "int8", "int8w", "bf16", "f32")
"""Formats that lose at most 0.5 points of next-token accuracy (docs/measurements.md)."""

STEP_ROWS, PREFILL_ROWS = 3, 64
STEPS, PREFILLS = 24, 1  # what a typical request is made of: short tails of prompt, a draft
_COPIES = 16  # of a layer, taken in turn: together larger than the caches, as a model is
_WITH_PYTHON = 1.5  # a whole request against its products, at the least
_SHAPE = (4096, 1024)  # outputs, inputs: a layer of a small model


@dataclass(frozen=True, slots=True)
class FormatCost:
    """Milliseconds for one product of `_SHAPE` on one thread, best of several."""

    one_row: float
    step: float  # STEP_ROWS rows
    prefill: float  # PREFILL_ROWS rows

    @property
    def request(self) -> float:
        return STEPS * self.step + PREFILLS * self.prefill


@cache
def available_formats() -> tuple[str, ...]:
    """The formats whose kernels run here and give the right product."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(64, 128, generator=generator)
    x = torch.randn(2, 128, generator=generator)
    expected = x @ weight.T
    found = []
    for name, pack in _packers().items():
        try:
            got = pack(weight, None)(x)
        except (ImportError, RuntimeError, NotImplementedError, AttributeError):
            continue  # this build or processor has no such kernel
        if float((got - expected).norm() / expected.norm()) < 0.2:
            found.append(name)
    return tuple(found)


@torch.inference_mode()
def measure() -> dict[str, FormatCost]:
    """Time every available format on one thread; about two seconds.

    On one thread, since the answer is remembered: beside another busy process several threads wait
    for each other, and every format looks alike.
    """
    weight = torch.randn(_SHAPE)
    costs = {}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for name in available_formats():
            layers = [_packers()[name](weight, None) for _ in range(_COPIES)]
            costs[name] = FormatCost(
                *(_best_ms(layers, torch.randn(n, _SHAPE[1])) for n in (1, STEP_ROWS, PREFILL_ROWS))
            )
    finally:
        torch.set_num_threads(threads)
    return costs


def _packers() -> dict[str, Packer]:
    """Every format as a single layer, for its price."""
    if not processor_serves():
        return dict(PACKERS)
    from polydraft.models.native_linear import NativeLinear  # compiles; only where it serves

    return {NATIVE: NativeLinear, **PACKERS}


def _best_ms(layers: Sequence[torch.nn.Module], x: torch.Tensor) -> float:
    """Milliseconds a layer, the best of several rounds through all of them."""
    layers[0](x)
    best, spent = float("inf"), 0.0
    while spent < 0.05:
        start = time.perf_counter()
        for layer in layers:
            layer(x)
        taken = time.perf_counter() - start
        best, spent = min(best, taken), spent + taken
    return round(best * 1e3 / len(layers), 4)


def fastest(costs: Mapping[str, FormatCost]) -> str:
    """The accurate format with the cheapest typical request.

    Only products are timed here, and they are half of a decode step where Python runs every layer;
    the native pass has next to nothing beside them (docs/measurements.md).
    """

    def price(name: str) -> float:
        return costs[name].request * (1.0 if name == NATIVE else _WITH_PYTHON)

    return min((name for name in costs if name in ACCURATE), key=price)


def remembered(cache_dir: Path) -> dict[str, FormatCost]:
    """The costs measured on this processor with this torch, now or earlier."""
    path = cache_dir / "kernels.json"
    machine = _machine()
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        if stored["machine"] == machine:
            return {name: FormatCost(**cost) for name, cost in stored["costs"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass  # none yet, or of another version: measure
    costs = measure()
    path.parent.mkdir(parents=True, exist_ok=True)
    table = {name: asdict(cost) for name, cost in costs.items()}
    path.write_text(json.dumps({"machine": machine, "costs": table}, indent=2), encoding="utf-8")
    return costs


def _machine() -> dict[str, str]:
    return {
        "processor": processor_name(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "torch": torch.__version__,
        "formats": ", ".join(FORMATS),
        "measured": f"{_COPIES} layers, {PREFILL_ROWS} rows",
    }


def processor_name() -> str:
    """The processor as the system calls it."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
