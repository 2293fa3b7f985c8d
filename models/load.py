"""From a directory of safetensors to a model that decodes: device, number format, prompt format."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from polydraft.completion.pass_costs import PassCosts
from polydraft.completion.prompt import PromptFormat
from polydraft.completion.protocols import Model
from polydraft.models import pass_costs
from polydraft.models.cache_dir import cache_root
from polydraft.models.checkpoint import read_config, read_module
from polydraft.models.costs import FORMATS, NATIVE, available_formats, fastest, remembered
from polydraft.models.errors import ModelError
from polydraft.models.native_load import native_model
from polydraft.models.native_support import supports
from polydraft.models.prepared import use_int8
from polydraft.models.quantize import pack_linear, replace_linears
from polydraft.models.spec import ModelSpec
from polydraft.models.tokenizer import ModelTokenizer
from polydraft.models.transformer import TransformerModel, decoder_of

AUTO = "auto"
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model in memory with all that a completer needs of it."""

    name: str
    model: Model
    tokenizer: ModelTokenizer
    prompt_format: PromptFormat
    device: str
    weights: str  # one of `costs.FORMATS`, or "bf16" / "f16" on an accelerator
    passes: PassCosts  # measured on loading


def load_model(
    spec: ModelSpec,
    directory: Path,
    *,
    device: str = AUTO,
    weights: str = AUTO,
    cache_dir: Path | None = None,
) -> LoadedModel:
    """Load `directory`. Raises `ModelError` if the files, the device or the format do not serve."""
    device, cache_dir = choose_device(device), cache_dir or cache_root()
    tokenizer = ModelTokenizer.from_directory(directory)
    if device == "cpu":
        weights = choose_weights(weights, directory, cache_dir)
        model = _cpu_model(directory, weights, len(tokenizer), cache_dir)
    else:
        if weights != AUTO:
            raise ModelError(
                f"weights = {weights!r} is for the CPU; leave it at 'auto' on {device}."
            )
        dtype = torch.bfloat16 if device.startswith("cuda") else torch.float16
        weights = "bf16" if dtype is torch.bfloat16 else "f16"
        module = read_module(directory, dtype).to(device)
        model = TransformerModel.of(module, vocab_size=len(tokenizer))
    form = prompt_format(spec, tokenizer)
    passes = pass_costs.measure(model)
    try:
        pass_costs.remember(cache_dir, f"{spec.name}, {device}, {weights}", passes)
    except OSError as error:
        logger.info("the costs of passes are not kept: %s", error)
    return LoadedModel(spec.name, model, tokenizer, form, device, weights, passes)


def choose_device(asked: str) -> str:
    """`auto` is CUDA, then MPS, then the CPU. Raises `ModelError` if the device is not there."""
    if asked == AUTO:
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        torch.zeros(1, device=asked)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ModelError(
            f"The device {asked!r} cannot be used: {reason}. Set device to 'auto' or 'cpu', or see"
            " `polydraft doctor`."
        ) from None
    return asked


def prompt_format(spec: ModelSpec, tokenizer: ModelTokenizer) -> PromptFormat:
    """The spec's prompt format in this tokenizer's ids.

    Raises `ModelError` if the tokenizer lacks a token that the spec needs.
    """

    def required(token: str) -> int:
        try:
            return tokenizer.special(token)
        except KeyError:
            raise ModelError(
                f"The tokenizer of {spec.name!r} has no token {token!r}, which its prompt format"
                " needs. Correct its entry in your models.toml."
            ) from None

    fim, repo = spec.fim, spec.repo
    bos = required(spec.bos_token) if spec.bos_token else None
    stops = {tokenizer.special(t) for t in spec.stop_tokens if t in tokenizer.specials}
    if fim is not None and fim.broken:
        fim = None
    return PromptFormat(
        prefix=required(fim.prefix) if fim else None,
        suffix=required(fim.suffix) if fim else None,
        middle=required(fim.middle) if fim else None,
        bos=bos,
        repo_name=required(repo.repo_name) if repo and repo.repo_name else None,
        file_sep=required(repo.file_sep) if repo and repo.file_sep else None,
        stops=frozenset(stops if bos is None else stops | {bos}),
        path_comment=bool(repo and repo.path_comment),
        repo_newline=bool(repo and repo.repo_name_end),
        path_in_prefix=spec.family == "starcoder2",
    )


def choose_weights(asked: str, directory: Path, cache_dir: Path) -> str:
    """The weight format on a CPU: as asked, or for `auto` the fastest that keeps the accuracy.

    Raises `ModelError` if it is unknown, or does not serve this processor or architecture.
    """
    native = supports(read_config(directory).get_text_config())
    if asked == AUTO:
        costs = remembered(cache_dir)
        return fastest({name: costs[name] for name in costs if native or name != NATIVE})
    if asked not in FORMATS:
        raise ModelError(f"weights must be 'auto' or one of {', '.join(FORMATS)}, not {asked!r}.")
    if asked not in available_formats():
        raise ModelError(
            f"The weight format {asked!r} does not run on this processor; use 'auto', or one of"
            f" {', '.join(available_formats())}."
        )
    if asked == NATIVE and not native:
        raise ModelError(
            f"The weight format {NATIVE!r} does not serve this model's architecture; use 'auto'."
        )
    return asked


def _cpu_model(directory: Path, weights: str, vocab_size: int, cache_dir: Path) -> Model:
    if weights == NATIVE:
        return native_model(directory, vocab_size, cache_dir)
    # Two bytes a weight are enough to round from; "f32" is for those who want all of them.
    module = read_module(directory, torch.float32 if weights == "f32" else torch.bfloat16)
    embedding, decoder = module.get_input_embeddings(), decoder_of(module)
    _pack(embedding, decoder, weights, directory, cache_dir)
    return TransformerModel(module.config, embedding, decoder, vocab_size=vocab_size)


def _pack(
    embedding: nn.Module, decoder: nn.Module, weights: str, directory: Path, cache_dir: Path
) -> None:
    """Linear layers in the format `weights`, all the rest in float32."""
    with torch.inference_mode():
        if weights == "int8":
            use_int8(decoder, directory, cache_dir)
        else:
            replace_linears(decoder, lambda _, linear: pack_linear(linear, weights))
        embedding.float()
        decoder.float()
