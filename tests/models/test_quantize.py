"""Packed linear layers against the plain product, and int8 rows against each other."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from polydraft.models.costs import available_formats
from polydraft.models.quantize import PACKERS, pack_linear, replace_linears

# Relative error of y that the format's own rounding explains (random weights, no outliers).
ERROR = {"f32": 1e-6, "bf16": 0.01, "int8": 0.03, "int8w": 0.02, "int4w": 0.12}


@pytest.fixture(params=[name for name in PACKERS if name in available_formats()])
def packed(request):
    torch.manual_seed(1)
    linear = nn.Linear(256, 64)
    return (
        request.param,
        linear,
        PACKERS[request.param](linear.weight.detach(), linear.bias.detach()),
    )


@pytest.mark.parametrize("rows", [1, 3, 40])
def test_a_packed_layer_is_close_to_the_plain_one(packed, rows):
    name, linear, layer = packed
    x = torch.randn(1, rows, 256)
    with torch.inference_mode():
        expected, got = linear(x), layer(x)
    assert got.shape == expected.shape
    assert float((got - expected).norm() / expected.norm()) < ERROR[name]


@pytest.mark.skipif("int8" not in available_formats(), reason="no int8 kernel on this processor")
def test_an_int8_row_does_not_depend_on_its_batch():
    torch.manual_seed(2)
    layer = PACKERS["int8"](torch.randn(64, 256), None)
    x = torch.randn(40, 256) * torch.logspace(-2, 2, 40)[:, None]
    together = layer(x)
    alone = torch.cat([layer(x[i : i + 1]) for i in range(40)])
    assert torch.equal(together, alone)


@pytest.mark.skipif("int8" not in available_formats(), reason="no int8 kernel on this processor")
def test_int8_sums_do_not_saturate():
    layer = PACKERS["int8"](torch.ones(16, 512), None)
    got = layer(torch.ones(1, 512))
    assert torch.allclose(got, torch.full_like(got, 512.0), rtol=1e-3)


def test_a_row_of_zeros_stays_zero():
    layer = PACKERS["f32"](torch.randn(16, 64), None)
    assert not layer(torch.zeros(1, 64)).any()


def test_every_linear_of_a_module_is_replaced():
    module = nn.Sequential(nn.Linear(32, 16), nn.Sequential(nn.ReLU(), nn.Linear(16, 16)))
    assert replace_linears(module, lambda _, linear: pack_linear(linear, "f32")) == 2
    assert not any(isinstance(m, nn.Linear) for m in module.modules())
