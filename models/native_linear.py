"""One linear layer on the native kernels, to see what they cost here (`costs.py`)."""

from __future__ import annotations

import torch
from torch import nn

from polydraft.models.native import rounded
from polydraft.models.native_forward import product, quantize


class NativeLinear(nn.Module):
    """y = x W^T + b; x [M, K] float32 -> [M, N] float32."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
        super().__init__()
        self.levels, self.scale, self.bias = rounded([(weight, bias)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        levels = torch.empty(x.shape, dtype=torch.int16)
        scale = torch.empty(x.shape[0])
        out = torch.empty(x.shape[0], self.scale.shape[0])
        quantize(x.contiguous().numpy(), levels.numpy(), scale.numpy())
        arrays = (t.numpy() for t in (levels, scale, self.levels, self.scale, self.bias, out))
        product(*arrays, False, torch.get_num_threads())
        return out
