"""What each weight format costs on this processor, measured once and remembered.

A processor decides between packed kernels: the one that wins with AVX-512 loses without it by a
factor of ten. What there is beside the products, Python above all, no second thread shortens; the
native pass has next to none of it. So what a request consists of is timed, passes through a small
model (`sample_model.py`), on one thread; with more, its products are taken to be shared among them
and the rest not. The fastest of the formats that keep a model's accuracy is chosen.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import torch

from polydraft.completion.protocols import Model
from polydraft.models import pass_costs
from polydraft.models.native_support import processor_serves
from polydraft.models.quantize import PACKERS
from polydraft.models.threads import available, limit_torch

NATIVE = "w8a16"  # weights int8, inputs int16: the native forward pass, not a kind of layer
FORMATS = (NATIVE, *PACKERS)
ACCURATE = (NATIVE, "int8", "int8w", "bf16", "f32")
"""Formats that lose at most 0.5 points of next-token accuracy (docs/measurements.md)."""

STEP_ROWS, PREFILL_ROWS = 3, 64
STEPS, PREFILLS = 24, 1  # what a typical request is made of: short tails of prompt, a draft
_THREADS = 4  # that products are shared by, at the most: more of them wait for the memory
_SECONDS, _ROUNDS = 0.25, 2  # of whole passes in a format, at the least
_MEASURED = f"passes of an eighth of a 0.5B model, {STEP_ROWS} and {PREFILL_ROWS} rows"


@dataclass(frozen=True, slots=True)
class FormatCost:
    """Milliseconds of passes through the sample model with `threads_reckoned` threads."""

    one_row: float
    step: float  # STEP_ROWS rows
    prefill: float  # PREFILL_ROWS rows

    @property
    def request(self) -> float:
        return STEPS * self.step + PREFILLS * self.prefill


@cache
def available_formats() -> tuple[str, ...]:
    """The formats whose kernels run here; torch's must also give the right product."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(64, 128, generator=generator)
    x = torch.randn(2, 128, generator=generator)
    expected = x @ weight.T
    found = [NATIVE] if processor_serves() else []
    for name, pack in PACKERS.items():
        try:
            got = pack(weight, None)(x)
        except (ImportError, RuntimeError, NotImplementedError, AttributeError):
            continue  # this build or processor has no such kernel
        if float((got - expected).norm() / expected.norm()) < 0.2:
            found.append(name)
    return tuple(found)


def measure() -> dict[str, FormatCost]:
    """Time every available format on one thread; about six seconds, compiling aside.

    On one thread, since the answer is remembered: beside another busy process several threads wait
    for each other, and passes take many times as long.
    """
    from polydraft.models.sample_model import sample_model, sample_module  # imports transformers

    before, costs = torch.get_num_threads(), {}
    limit_torch(1)
    whole, narrow = sample_module(), sample_module(narrow=True)
    try:
        for name in available_formats():
            passes = _best_ms(sample_model(whole, name, threads=1), _SECONDS)
            beside = _best_ms(sample_model(narrow, name, threads=1), _SECONDS / 4)
            costs[name] = shared(passes, beside, threads_reckoned())
    finally:
        limit_torch(before)
    return costs


def threads_reckoned() -> int:
    """How many share a pass's products."""
    return min(available(), _THREADS)


def shared(passes: Sequence[float], beside: Sequence[float], threads: int) -> FormatCost:
    """From milliseconds on one thread, of whole passes and of what is `beside` their products."""
    pairs = zip(passes, beside, strict=True)
    return FormatCost(*(round(rest + max(0.0, ms - rest) / threads, 3) for ms, rest in pairs))


def _best_ms(model: Model, seconds: float) -> list[float]:
    """Milliseconds as in `FormatCost`, each the best of several passes.

    All kinds of passes in turn, so that a moment in which others work spoils none of them alone.
    """
    cache = pass_costs.with_prompt(model)  # the first pass, which may compile, is not timed
    feeds = [pass_costs.step(1), pass_costs.step(STEP_ROWS), pass_costs.more_prompt(PREFILL_ROWS)]
    best, spent, rounds = [float("inf")] * len(feeds), 0.0, 0
    while spent < 1000 * seconds or rounds < _ROUNDS:
        for index in (0, 1, 0, 1, 2):
            ms = pass_costs.timed(model, cache, feeds[index])
            best[index], spent = min(best[index], ms), spent + ms
        rounds += 1
    return best


def fastest(costs: Mapping[str, FormatCost]) -> str:
    """The accurate format with the cheapest typical request."""
    return min((name for name in costs if name in ACCURATE), key=lambda name: costs[name].request)


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
        "threads": str(threads_reckoned()),
        "measured": _MEASURED,
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
