"""Integer dot products in LLVM IR: the innermost loops of the native forward pass.

int16 activations meet int8 weights in multiply-adds of pairs (`vpmaddwd` on x86, fused with the sum
into `vpdpwssd` where the processor has VNNI), so one row costs what reading its weights costs, and
more rows reuse what was read. numba's own vectoriser does not find that instruction once several
rows share a weight; hence the IR.

Four rows of weights lie interleaved, [N / 4, K / 16, 4, 16], so that a block is ONE stream of whole
cache lines: as four streams of short rows the same kernel read half as fast. A 256-bit vector takes
16 weights of one row, a 512-bit one those of two rows, and meets the same 16 inputs twice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.extending import intrinsic
from numba.np.arrayobj import make_array

from polydraft.models.native_support import LANES, OUTPUTS, wide_vectors

_AHEAD = 8192  # bytes: the processor's own prefetching falls behind where rows share the weights

_I8, _I16, _I32, _I64 = (ir.IntType(n) for n in (8, 16, 32, 64))
_INPUTS = ir.VectorType(_I16, LANES)

TOGETHER = 2 if wide_vectors() else 1  # rows of weights in one vector
_CHAINS = 8  # sums at work at a time: one multiply-add must not wait for the last
MOST_ROWS = 8 if wide_vectors() else 3  # rows of inputs whose sums fit the registers
_PRODUCTS = TOGETHER * LANES
_LEVELS = ir.VectorType(_I8, _PRODUCTS)
_WORDS = ir.VectorType(_I16, _PRODUCTS)
_SUMS = ir.VectorType(_I32, _PRODUCTS // 2)
_ONE_ROW = ir.VectorType(_I32, LANES // 2)
_MULTIPLY_ADD = "llvm.x86.avx512.pmaddw.d.512" if wide_vectors() else "llvm.x86.avx2.pmadd.wd"


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

    vectors = OUTPUTS // TOGETHER  # of weights in a step
    steps = max(1, _CHAINS // (rows * vectors))  # taken at once, each with sums of its own

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        inputs, block, size, sums = args
        input_rows = [builder.gep(inputs, [builder.mul(size, _I64(r))]) for r in range(rows)]
        nothing = ir.Constant(_SUMS, [0] * _SUMS.count)
        held = [
            [cgutils.alloca_once_value(builder, nothing) for _ in range(rows * vectors)]
            for _ in range(steps)
        ]

        def add_products(start: Any, count: int) -> None:
            """`count` steps from the input `start` on."""
            for step in range(count):
                k = builder.add(start, _I64(step * LANES))
                here = builder.mul(k, _I64(OUTPUTS))
                _prefetch(builder, builder.gep(block, [builder.add(here, _I64(_AHEAD))]))
                x = [_repeated(builder, _load(builder, row, k, _INPUTS, 2)) for row in input_rows]
                for vector in range(vectors):
                    offset = builder.add(here, _I64(vector * _PRODUCTS))
                    levels = _load(builder, block, offset, _LEVELS, 1)
                    weights = builder.sext(levels, _WORDS)
                    for r in range(rows):
                        place = held[step][r * vectors + vector]
                        products = _multiply_add(builder, x[r], weights)
                        builder.store(builder.add(builder.load(place), products), place)

        done = _I64(0)
        for count in dict.fromkeys((steps, 1)):
            stride = _I64(count * LANES)
            stop = builder.sub(size, builder.urem(size, stride))
            with cgutils.for_range_slice(builder, done, stop, stride) as (start, _):
                add_products(start, count)
            done = stop
        for i in range(rows * vectors):
            total = builder.load(held[0][i])
            for others in held[1:]:
                total = builder.add(total, builder.load(others[i]))
            for j, part in enumerate(_by_row(builder, total)):
                builder.store(part, builder.gep(sums, [_I64(i * TOGETHER + j)]))
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


def _multiply_add(builder: Any, inputs: Any, weights: Any) -> Any:
    """Sums of neighbouring products."""
    function = _function(builder, _MULTIPLY_ADD, ir.FunctionType(_SUMS, [_WORDS, _WORDS]))
    return builder.call(function, [inputs, weights])


def _prefetch(builder: Any, place: Any) -> None:
    kind = ir.FunctionType(ir.VoidType(), [_I8.as_pointer(), _I32, _I32, _I32])
    function = _function(builder, "llvm.prefetch", kind)
    builder.call(function, [place, _I32(0), _I32(3), _I32(1)])


def _repeated(builder: Any, inputs: Any) -> Any:
    """The same inputs for each row of weights in a vector."""
    mask = ir.Constant(ir.VectorType(_I32, _PRODUCTS), [*range(LANES)] * TOGETHER)
    return builder.shuffle_vector(inputs, ir.Constant(_INPUTS, ir.Undefined), mask)


def _by_row(builder: Any, sums: Any) -> list[Any]:
    """Each weight row's sum."""
    reduce = _function(
        builder,
        f"llvm.vector.reduce.add.v{_ONE_ROW.count}i32",
        ir.FunctionType(_I32, [_ONE_ROW]),
    )
    parts = []
    for row in range(TOGETHER):
        lanes = [row * _ONE_ROW.count + i for i in range(_ONE_ROW.count)]
        mask = ir.Constant(ir.VectorType(_I32, _ONE_ROW.count), lanes)
        part = builder.shuffle_vector(sums, ir.Constant(_SUMS, ir.Undefined), mask)
        parts.append(builder.call(reduce, [part]))
    return parts


def _function(builder: Any, name: str, kind: ir.FunctionType) -> Any:
    return builder.module.globals.get(name) or ir.Function(builder.module, kind, name)


def _load(builder: Any, row: Any, k: Any, kind: ir.VectorType, align: int) -> Any:
    return builder.load(builder.bitcast(builder.gep(row, [k]), kind.as_pointer()), align=align)


dot_1, dot_2, dot_3, dot_4, dot_5, dot_6, dot_7, dot_8 = (_dot(rows) for rows in range(1, 9))
