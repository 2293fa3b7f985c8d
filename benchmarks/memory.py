"""What models take in memory, against what `models/memory.py` says before: `make bench-memory`.

Each case is a process of its own, so that nothing is left of another. Measured is what the process
has resident beyond what it has before the model is loaded: at most while it is loaded (`loading`),
and with prompts of CONTEXT tokens of code in all prefix caches (`in use`). `first` rounds the
weights, `again` finds them rounded in the cache. Linux only: the figures are those of /proc.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

from benchmarks.harness import Row, report
from benchmarks.prompts import code_prompt
from polydraft.completion.prefix_cache import CACHES
from polydraft.completion.protocols import Feed
from polydraft.models.cache_dir import cache_root
from polydraft.models.load import load_model
from polydraft.models.memory import estimate
from polydraft.models.registry import DEFAULT_LARGE, DEFAULT_SMALL, load_registry
from polydraft.models.store import ensure_model

CONTEXT = 1024 + 3 * 48  # tokens: the default settings' prompt and drafts
FORMATS = ["w8a16", "int8", "bf16"]
MB = 1e6


def resident(field: str) -> int:
    """Bytes of this process: `VmRSS` now, `VmHWM` at most so far."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    values = dict(line.split(":", 1) for line in status.splitlines())
    return 1024 * int(values[field].split()[0])


def measure(name: str, weights: str, cache_dir: Path) -> dict[str, int]:
    """Load and use the model in this process -> bytes `loading` and `in use`."""
    spec = load_registry().get(name)
    directory = ensure_model(spec)
    before = resident("VmRSS")
    loaded = load_model(spec, directory, device="cpu", weights=weights, cache_dir=cache_dir)
    loading = resident("VmHWM") - before
    model, caches = loaded.model, []
    ids = torch.tensor(code_prompt(loaded, CACHES * CONTEXT)).view(CACHES, CONTEXT)
    for prompt in ids:
        caches.append(cache := model.new_cache())
        for positions in torch.arange(CONTEXT).split(model.prefill_chunk):
            last = len(positions) - 1
            model.forward(cache, Feed(None, prompt[positions], positions, None, last))
    return {"loading": loading, "in use": resident("VmRSS") - before}


def compare(name: str, weights: str, when: str, cache_dir: Path) -> list[Row]:
    spec = load_registry().get(name)
    directory = ensure_model(spec)
    need = estimate(spec, directory, "cpu", weights, CONTEXT, cache_dir=cache_dir)
    assert need is not None
    estimated = {"loading": need.weights + need.working, "in use": need.weights + need.cache}
    command = [sys.executable, "-m", "benchmarks.memory", "--one", name, weights, str(cache_dir)]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    found: list[Row] = []
    for what, measured in json.loads(output.splitlines()[-1]).items():
        said = f"{name} {weights} {when}, {what}"
        error = 100 * abs(estimated[what] / measured - 1)
        found += [
            Row(f"{said}: measured", measured / MB, "MB"),
            Row(f"{said}: estimated", estimated[what] / MB, "MB"),
            Row(f"{said}: error", error, "%", "<= 20 %"),
        ]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the small model's w8a16 only")
    parser.add_argument("--models", nargs="+", default=[DEFAULT_SMALL, DEFAULT_LARGE])
    parser.add_argument("--weights", nargs="+", default=FORMATS)
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        name, weights, cache_dir = options.one
        print(json.dumps(measure(name, weights, Path(cache_dir))))
        return
    names = [DEFAULT_SMALL] if options.quick else options.models
    found: list[Row] = []
    for name in names:
        for weights in ["w8a16"] if options.quick else options.weights:
            with tempfile.TemporaryDirectory(dir=cache_root()) as folder:
                cache_dir = Path(folder)  # of its own: nothing is rounded there yet
                if (kernels := cache_root() / "kernels.json").is_file():
                    shutil.copy(kernels, cache_dir)
                rounds = ("first", "again") if weights in ("w8a16", "int8") else ("first",)
                for when in rounds:
                    found += compare(name, weights, when, cache_dir)
    others = "" if options.weights == FORMATS else f"-{'-'.join(options.weights)}"
    report(f"memory{others}", found, options.quick)


if __name__ == "__main__":
    main()
