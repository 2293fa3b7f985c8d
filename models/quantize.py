"""Weight formats for linear layers on a CPU, through torch's own packed kernels.

Which one is fastest depends on the processor, so `polydraft.models.costs` measures them at load.

`int8`   weights int8 per output channel, activations int8 per ROW with a fixed grid, exact integer
         accumulation: a row's result does not depend on the other rows of the batch, so scores of a
         batched pass equal those of single steps.
`int8w`  weights int8 per output channel, activations bf16 (weight-only).
`int4w`  weights int4 in groups of 32 inputs, activations bf16 (weight-only).
`bf16`, `f32`: plain.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import torch
from torch import nn

from polydraft.models.threads import available

GROUP = 32  # inputs that share a scale in `int4w`
DENSE_ROWS = 16  # from so many rows on a weight-only kernel loses to a plain bf16 product


class Int8Linear(nn.Module):
    """y = x W^T + b with integer products; x [..., K] float32 -> [..., N] float32."""

    def __init__(
        self,
        levels: torch.Tensor,  # [N, K] int8
        scale: torch.Tensor,  # [N] float32: weight = level * scale
        bias: torch.Tensor | None,  # [N]
    ) -> None:
        super().__init__()
        assert levels.ndim == 2 and scale.shape == levels.shape[:1]
        self.packed = _prepack(levels, scale)
        self.bias = None if bias is None else bias.float()
        self.out_features, self.in_features = levels.shape

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        size = x.abs().amax(-1, keepdim=True).clamp_min_(1e-12)
        # Every row spans exactly [-1, 1] now, so one fixed grid serves them all.
        y = torch.ops.quantized.linear_with_input_q_dq_qweight_dq_output_fp32(
            x / size, 1 / 127, 128, self.packed
        )
        result: torch.Tensor = y.mul_(size)
        return result if self.bias is None else result.add_(self.bias)


def int8_levels(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """weight [N, K] -> levels [N, K] int8 and scale [N] float32, as `Int8Linear` wants them."""
    top = int8_top_level()
    weight = weight.float()
    scale = weight.abs().amax(1).clamp_min(1e-12) / top
    return (weight / scale[:, None]).round_().clamp_(-top, top).to(torch.int8), scale


class WeightOnlyLinear(nn.Module):
    """y = x W^T + b, weights packed for few rows and plain bf16 for many; [..., K] -> [..., N]."""

    def __init__(
        self, weight: torch.Tensor, bias: torch.Tensor | None, product: Callable[..., torch.Tensor]
    ) -> None:
        super().__init__()
        self.dense = weight.to(torch.bfloat16)
        self.product = product
        self.bias = None if bias is None else bias.float()
        self.in_features, self.out_features = weight.shape[1], weight.shape[0]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rows = x.reshape(-1, x.shape[-1]).to(torch.bfloat16)
        if rows.shape[0] < DENSE_ROWS:
            y = self.product(rows)
        else:
            y = nn.functional.linear(rows, self.dense)
        y = y.to(x.dtype).reshape(*x.shape[:-1], self.out_features)
        return y if self.bias is None else y.add_(self.bias)


class CastLinear(nn.Module):
    """y = x W^T + b in the weight's own number format; x [..., K] -> [..., N] in x's format."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None, dtype: torch.dtype) -> None:
        super().__init__()
        self.weight = weight.to(dtype)
        self.bias = None if bias is None else bias.to(dtype)
        self.in_features, self.out_features = weight.shape[1], weight.shape[0]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.linear(x.to(self.weight.dtype), self.weight, self.bias).to(x.dtype)


def int8_weight_only(weight: torch.Tensor, bias: torch.Tensor | None) -> nn.Module:
    scale = weight.float().abs().amax(1).clamp_min(1e-12) / 127
    packed = (weight.float() / scale[:, None]).round().clamp(-127, 127).to(torch.int8)
    scales = scale.to(torch.bfloat16)
    return WeightOnlyLinear(
        weight, bias, lambda x: torch.ops.aten._weight_int8pack_mm(x, packed, scales)
    )


def int4_weight_only(weight: torch.Tensor, bias: torch.Tensor | None) -> nn.Module:
    """Asymmetric int4: w = (q - 8) * scale + zero. Raises ValueError if K does not divide."""
    out_features, in_features = weight.shape
    if in_features % GROUP or out_features % 16:
        raise ValueError(f"int4w needs inputs in groups of {GROUP}, not {in_features}")
    groups = weight.float().reshape(out_features, -1, GROUP)
    low, high = groups.amin(-1, keepdim=True), groups.amax(-1, keepdim=True)
    scale = ((high - low) / 15).clamp_min(1e-12)
    zero = low + 8 * scale
    levels = ((groups - low) / scale).round().clamp(0, 15).to(torch.int32)
    packed = torch.ops.aten._convert_weight_to_int4pack_for_cpu(levels.flatten(1), 1)
    table = torch.stack([scale[..., 0], zero[..., 0]], -1).transpose(0, 1).contiguous()
    table = table.to(torch.bfloat16)  # [K / GROUP, N, 2]
    return WeightOnlyLinear(
        weight,
        bias,
        lambda x: torch.ops.aten._weight_int4pack_mm_for_cpu(x, packed, GROUP, table),
    )


Packer = Callable[[torch.Tensor, torch.Tensor | None], nn.Module]

PACKERS: dict[str, Packer] = {
    "int4w": int4_weight_only,
    "int8": lambda w, b: Int8Linear(*int8_levels(w), b),
    "int8w": int8_weight_only,
    "bf16": lambda w, b: CastLinear(w, b, torch.bfloat16),
    "f32": lambda w, b: CastLinear(w, b, torch.float32),
}


def replace_linears(root: nn.Module, pack: Callable[[str, nn.Linear], nn.Module]) -> int:
    """Replace every `nn.Linear` under `root` by `pack(its full name, it)`; returns their number.

    Packing is single-threaded inside of torch, so layers are packed on several threads.
    """
    linears = [(n, m) for n, m in root.named_modules() if isinstance(m, nn.Linear)]
    linears.sort(key=lambda named: -named[1].weight.numel())  # the vocabulary's takes longest
    with ThreadPoolExecutor(available()) as threads:
        packed = threads.map(lambda named: pack(*named), linears)
        for (name, _), layer in zip(linears, packed, strict=True):
            root.set_submodule(name, layer)
    return len(linears)


def pack_linear(linear: nn.Linear, weights: str) -> nn.Module:
    """The layer in the format `weights`, a key of `PACKERS`."""
    return PACKERS[weights](linear.weight.detach(), bias_of(linear))


def bias_of(linear: nn.Linear) -> torch.Tensor | None:
    return None if linear.bias is None else linear.bias.detach()


def _prepack(levels: torch.Tensor, scale: torch.Tensor) -> Any:
    """levels [N, K] int8, scale [N] -> the kernel's own layout of the weights."""
    quantised = torch._make_per_channel_quantized_tensor(
        levels, scale.double(), torch.zeros(len(scale), dtype=torch.long), 0
    )
    return torch.ops.quantized.linear_prepack(quantised, None)


@cache
def int8_top_level() -> int:
    """The largest weight level at which this processor's int8 kernel is exact.

    Without VNNI the kernel adds pairs of products in int16: 255 * 127 * 2 overflows there, 255 *
    63 * 2 does not.
    """
    with warnings.catch_warnings():
        # Quantised tensors will leave torch one day, as it says once a process; the version is
        # pinned, and where the kernel is gone `costs.available_formats` has another be chosen.
        warnings.simplefilter("ignore", UserWarning)
        packed = _prepack(torch.full((16, 64), 127, dtype=torch.int8), torch.ones(16))
    got = torch.ops.quantized.linear_with_input_q_dq_qweight_dq_output_fp32(
        torch.ones(1, 64), 1 / 127, 128, packed
    )
    exact = bool(torch.allclose(got, torch.full_like(got, 64 * 127.0), rtol=1e-5))
    return 127 if exact else 63
