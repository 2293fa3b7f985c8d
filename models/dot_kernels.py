"""Integer dot products in LLVM IR: the innermost loops of the native forward pass.

Sixteen int16 activations meet sixteen int8 weights in one multiply-add of pairs (`vpmaddwd` on
x86), so one row costs what reading its weights costs, and more rows reuse what was read. numba's
own vectoriser does not find that instruction once several rows share a weight; hence the IR.

Four rows of weights lie interleaved, [N / 4, K / 16, 4, 16], so that a block is ONE stream of whole
cache lines: as four streams of short rows the same kernel read half as fast.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core.extending import intrinsic
from numba.np.arrayobj import make_array

from polydraft.models.native_support import LANES, OUTPUTS

_AHEAD = 2048  # bytes: the processor's own prefetching falls behind where rows share the weights

_I8, _I16, _I32, _I64 = (ir.IntType(n) for n in (8, 16, 32, 64))
_WEIGHTS = ir.VectorType(_I8, LANES)
_INPUTS = ir.VectorType(_I16, LANES)
_SUMS = ir.VectorType(_I32, LANES // 2)


@intrinsic
def address(typing: Any, array: Any, offset: Any) -> tuple[Any, Callable[..., Any]]:
    """address(array, offset) -> pointer to the element `offset` of a contiguous array."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        held = make_array(signature.args[0])(context, builder, args[0])
        return builder.gep(held.data, [args[1]])

    return types.CPointer(array.dtype)(array, types.intp), generate


def _dot(rows: int) -> Any:
    """A kernel for `rows` rows of inputs and one block of `OUTPUTS` rows of weights.

    kernel(inputs, block, K, sums): inputs points to rows of K elements behind each other, block to
    [K / LANES, OUTPUTS, LANES]; sums[row * OUTPUTS + output] becomes their dot product.
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        inputs, block, size, sums = args
        multiply_add = _function(
            builder, "llvm.x86.avx2.pmadd.wd", ir.FunctionType(_SUMS, [_INPUTS, _INPUTS])
        )
        reduce = _function(builder, "llvm.vector.reduce.add.v8i32", ir.FunctionType(_I32, [_SUMS]))
        before = builder.block
        loop, after = builder.append_basic_block("dot"), builder.append_basic_block("dotted")
        input_rows = [builder.gep(inputs, [builder.mul(size, _I64(r))]) for r in range(rows)]
        builder.branch(loop)

        builder.position_at_end(loop)
        k = builder.phi(_I64)
        k.add_incoming(_I64(0), before)
        held = [builder.phi(_SUMS) for _ in range(rows * OUTPUTS)]
        prefetch = _function(
            builder,
            "llvm.prefetch",
            ir.FunctionType(ir.VoidType(), [_I8.as_pointer(), _I32, _I32, _I32]),
        )
        x = [_load(builder, row, k, _INPUTS, 2) for row in input_rows]
        here = builder.mul(k, _I64(OUTPUTS))
        ahead = builder.gep(block, [builder.add(here, _I64(_AHEAD))])
        builder.call(prefetch, [ahead, _I32(0), _I32(3), _I32(1)])
        updated: list[Any] = [None] * len(held)
        for output in range(OUTPUTS):
            offset = builder.add(here, _I64(output * LANES))
            weight = builder.sext(_load(builder, block, offset, _WEIGHTS, 1), _INPUTS)
            for r in range(rows):
                at = r * OUTPUTS + output
                updated[at] = builder.add(held[at], builder.call(multiply_add, [x[r], weight]))
        for phi, value in zip(held, updated, strict=True):
            phi.add_incoming(ir.Constant(_SUMS, [0] * (LANES // 2)), before)
            phi.add_incoming(value, loop)
        following = builder.add(k, _I64(LANES))
        k.add_incoming(following, loop)
        builder.cbranch(builder.icmp_signed("<", following, size), loop, after)

        builder.position_at_end(after)
        for i, value in enumerate(updated):
            builder.store(builder.call(reduce, [value]), builder.gep(sums, [_I64(i)]))
        return context.get_dummy_value()

    @intrinsic
    def kernel(
        typing: Any, inputs: Any, block: Any, size: Any, sums: Any
    ) -> tuple[Any, Callable[..., Any]]:
        signature = types.void(
            types.CPointer(types.int16),
            types.CPointer(types.int8),
            types.intp,
            types.CPointer(types.int32),
        )
        return signature, generate

    return kernel


def _function(builder: Any, name: str, kind: ir.FunctionType) -> Any:
    return builder.module.globals.get(name) or ir.Function(builder.module, kind, name)


def _load(builder: Any, row: Any, k: Any, kind: ir.VectorType, align: int) -> Any:
    return builder.load(builder.bitcast(builder.gep(row, [k]), kind.as_pointer()), align=align)


dot_1 = _dot(1)
dot_2 = _dot(2)
dot_3 = _dot(3)
