"""Float products of the native attention in LLVM IR: several queries with one block of slots.

Keys have their slots innermost, values their head dimensions, so both products are sums of whole
vectors times one number: no sum runs across a vector. A block's sums stay in registers while keys
or values pass once for all queries at work.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.extending import intrinsic

from polydraft.models.native_support import LANES, wide_vectors

QUERIES = 4  # at work together
_VECTORS = 4 if wide_vectors() else 1  # of sums for each query: what the registers hold
BLOCK = LANES * _VECTORS  # slots, or dimensions, in a block of sums

_F32, _I64 = ir.FloatType(), ir.IntType(64)
_VECTOR = ir.VectorType(_F32, LANES)
_MATH = ("contract", "reassoc")


def _sums(queries: int) -> Any:
    """A kernel for `queries` rows of factors and one block of columns.

    kernel(factors, factor_stride, columns, column_stride, length, sums, sum_stride, add):
    sums[q, b] becomes, or grows by if `add`, the sum over i < length of
    factors[q, i] * columns[i, b] for the BLOCK columns b; strides are in elements.
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        factors, factor_stride, columns, column_stride, length, sums, sum_stride, add = args
        rows = [builder.gep(factors, [builder.mul(factor_stride, _I64(q))]) for q in range(queries)]
        into = [
            builder.gep(sums, [builder.add(builder.mul(sum_stride, _I64(q)), _I64(v * LANES))])
            for q in range(queries)
            for v in range(_VECTORS)
        ]
        nothing = ir.Constant(_VECTOR, [0.0] * LANES)
        held = [cgutils.alloca_once_value(builder, nothing) for _ in into]
        with builder.if_then(add):
            for place, total in zip(into, held, strict=True):
                builder.store(_load(builder, place), total)
        with cgutils.for_range(builder, length, intp=_I64) as loop:
            start = builder.mul(loop.index, column_stride)
            block = [
                _load(builder, builder.gep(columns, [builder.add(start, _I64(v * LANES))]))
                for v in range(_VECTORS)
            ]
            for q, row in enumerate(rows):
                factor = _everywhere(builder, builder.load(builder.gep(row, [loop.index])))
                for v in range(_VECTORS):
                    total = held[q * _VECTORS + v]
                    product = builder.fmul(factor, block[v], flags=_MATH)
                    builder.store(builder.fadd(builder.load(total), product, flags=_MATH), total)
        for place, total in zip(into, held, strict=True):
            builder.store(
                builder.load(total), builder.bitcast(place, _VECTOR.as_pointer()), align=4
            )
        return context.get_dummy_value()

    @intrinsic
    def kernel(
        typing: Any, factors: Any, factor_stride: Any, columns: Any, column_stride: Any,
        length: Any, sums: Any, sum_stride: Any, add: Any,
    ) -> tuple[Any, Any]:  # fmt: skip
        pointer = types.CPointer(types.float32)
        size = types.intp
        signature = types.void(pointer, size, pointer, size, size, pointer, size, types.boolean)
        return signature, generate

    return kernel


def _load(builder: Any, place: Any) -> Any:
    return builder.load(builder.bitcast(place, _VECTOR.as_pointer()), align=4)


def _everywhere(builder: Any, number: Any) -> Any:
    """A vector of one number."""
    first = builder.insert_element(ir.Constant(_VECTOR, ir.Undefined), number, ir.IntType(32)(0))
    mask = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    return builder.shuffle_vector(first, ir.Constant(_VECTOR, ir.Undefined), mask)


sums_1, sums_2, sums_3, sums_4 = (_sums(queries) for queries in range(1, QUERIES + 1))
