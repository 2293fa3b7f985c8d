"""One forward pass of the usual decoder as ONE compiled function, weights int8, inputs int16.

On a CPU a decode step of a small model costs as much in Python and in tiny operations as in its
matrix products, and the products cost what reading the weights costs. So the whole pass is compiled
(numba), weights are read once for all rows, and nothing else is large.

Numbers: weights are int8 with a scale per output channel; each row of inputs is rounded to int16
levels on a grid of its own, as fine as keeps the exact int32 sum of K products from overflowing
(about 3,400 levels for K = 4,864), so the rounding of inputs is far below that of the weights. The
integer sums are exact and each row is computed by itself: scores of a batched pass are those of
single steps.

Attention reads the keys of a block of slots once for all rows (they share the prefix in one cache).
Functions that run in parallel are given each array as one argument: numba takes for granted that
arguments do not overlap.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit, prange

from polydraft.models.attention_kernels import BLOCK, QUERIES, sums_1, sums_2, sums_3, sums_4
from polydraft.models.dot_kernels import (
    MOST_ROWS,
    address,
    dot_1,
    dot_2,
    dot_3,
    dot_4,
    dot_5,
    dot_6,
    dot_7,
    dot_8,
)
from polydraft.models.native_support import LANES, OUTPUTS, Shape
from polydraft.models.thread_pool import prefer_work_stealing

_ROWS = 32  # rows of inputs that stay in the second-level cache while weights pass
_SLOTS = 512  # slots of values that stay in the second-level cache while rows pass
_MATH = {"reassoc", "contract", "nsz", "arcp"}  # vector sums; no NaN or infinity is assumed away

prefer_work_stealing()

Array = Any  # numba's view of numpy arrays has no use for static dtypes


class Linear(NamedTuple):
    """Weights of one kind for all layers."""

    levels: Array  # [layers, N / 4, K / 16, 4, 16] int8, see `dot_kernels.py`
    scale: Array  # [layers, N] float32
    bias: Array  # [layers, N] float32


class Norm(NamedTuple):
    weight: Array  # [layers, D] float32
    bias: Array  # [layers, D] float32, zero for an RMSNorm


class Weights(NamedTuple):
    """A decoder. `up` holds the gate's rows, then the up rows, when the MLP is gated."""

    norm_in: Norm
    qkv: Linear
    out: Linear
    norm_mlp: Norm
    up: Linear
    down: Linear
    norm: Norm  # one layer
    head: Linear  # one layer


@njit(cache=True, fastmath=_MATH, inline="always")
def _exp(x: Any) -> Any:
    """(p, n) with e^x = p * 2^n for x <= 0, to 2e-7, in operations that become vector code."""
    y = max(np.float32(x) * np.float32(1.4426950408889634), np.float32(-127.0))
    whole = np.floor(y)
    r = y - whole
    p = np.float32(1.8775767e-3)
    p = p * r + np.float32(8.9893397e-3)
    p = p * r + np.float32(5.5826318e-2)
    p = p * r + np.float32(2.4015361e-1)
    p = p * r + np.float32(6.9315308e-1)
    p = p * r + np.float32(9.9999994e-1)
    return p, np.int32(whole)


@njit(cache=True, fastmath=_MATH)
def _exp_all(x: Array, powers: Array) -> None:
    """x[i] <- e^x[i] for x <= 0; powers: int32 scratch of at least that length."""
    for i in range(len(x)):
        p, whole = _exp(x[i])
        x[i] = p
        powers[i] = (whole + np.int32(127)) << np.int32(23)
    scales = powers.view(np.float32)
    for i in range(len(x)):
        x[i] *= scales[i]


@njit(cache=True, fastmath=_MATH)
def quantize(x: Array, levels: Array, scales: Array) -> None:
    """x [M, K] float32 -> levels [M, K] int16 and scales [M], on the finest grid that is safe."""
    rows, size = x.shape
    top = np.float32(min(32767, (2**31 - 1) // (127 * size)))
    for m in range(rows):
        row = x[m]
        largest = np.float32(1e-12)
        for k in range(size):
            largest = max(largest, abs(row[k]))
        factor = top / largest
        into = levels[m]
        for k in range(size):
            into[k] = np.int16(np.rint(row[k] * factor))
        scales[m] = largest / top


@njit(cache=True, fastmath=_MATH)
def _normalize(
    x: Array, weight: Array, bias: Array, epsilon: float, centred: bool, out: Array
) -> None:
    """RMSNorm or LayerNorm of each row of x [M, D] into out [M, D]."""
    rows, size = x.shape
    for m in range(rows):
        row, into = x[m], out[m]
        mean = np.float32(0)
        if centred:
            for d in range(size):
                mean += row[d]
            mean /= np.float32(size)
        squares = np.float32(0)
        for d in range(size):
            squares += (row[d] - mean) * (row[d] - mean)
        factor = np.float32(1) / np.sqrt(squares / np.float32(size) + np.float32(epsilon))
        for d in range(size):
            into[d] = (row[d] - mean) * factor * weight[d] + bias[d]


@njit(cache=True, fastmath=_MATH, parallel=True)
def _activate(
    up: Array,  # [M, 2 I or I]
    gated: bool,
    powers: Array,  # int32 scratch [threads, I]
    out: Array,  # [M, I]
    levels: Array,  # [M, I] int16
    scales: Array,  # [M]
    threads: int,
) -> None:
    """silu(gate) * up, or gelu(up), of each row into `out`, and that as levels.

    gelu is the tanh form, x * sigmoid(2 u) in other words.
    """
    rows, inner = out.shape
    for thread in prange(threads):
        for m in range(rows * thread // threads, rows * (thread + 1) // threads):
            x, into = up[m], out[m]
            # sigmoid(u) = e^min(u, 0) / (1 + e^-|u|), so that no exponent is positive
            for i in range(inner):
                u = x[i]
                if not gated:
                    u = np.float32(1.5957691216057308) * (u + np.float32(0.044715) * u * u * u)
                into[i] = -abs(u)
            _exp_all(into, powers[thread])
            for i in range(inner):
                e = into[i]
                top = np.float32(1) if x[i] >= 0 else e
                into[i] = x[i] * top / (np.float32(1) + e)
            if gated:
                for i in range(inner):
                    into[i] *= x[inner + i]
            quantize(out[m : m + 1], levels[m : m + 1], scales[m : m + 1])


@njit(cache=True, inline="always")
def _dots(inputs: Any, rows: int, weights: Any, size: int, sums: Any) -> int:
    """Some of the `rows` rows of inputs with one block of weights; returns how many."""
    if MOST_ROWS == 8:  # known when this is compiled
        if rows >= 8:
            dot_8(inputs, weights, size, sums)
            return 8
        if rows == 7:
            dot_7(inputs, weights, size, sums)
            return 7
        if rows == 6:
            dot_6(inputs, weights, size, sums)
            return 6
        if rows == 5:
            dot_5(inputs, weights, size, sums)
            return 5
        if rows == 4:
            dot_4(inputs, weights, size, sums)
            return 4
    if rows == 3:
        dot_3(inputs, weights, size, sums)
        return 3
    if rows == 1:
        dot_1(inputs, weights, size, sums)
        return 1
    dot_2(inputs, weights, size, sums)
    return 2


@njit(cache=True, fastmath=_MATH, parallel=True)
def product(
    inputs: Array,  # [M, K] int16
    input_scale: Array,  # [M]
    levels: Array,  # [N / 4, K / 16, 4, 16] int8
    scale: Array,  # [N]
    bias: Array,  # [N]
    out: Array,  # [M, N] float32
    add: bool,
    threads: int,
) -> None:
    """out <- inputs W^T + bias, or out += that; the outputs are divided among the threads."""
    rows, size = inputs.shape
    blocks = levels.shape[0]
    for thread in prange(threads):
        sums = np.empty(MOST_ROWS * OUTPUTS, np.int32)
        held = address(sums, 0)
        for start in range(0, rows, _ROWS):
            stop = min(rows, start + _ROWS)
            for block in range(blocks * thread // threads, blocks * (thread + 1) // threads):
                weights = address(levels, block * size * OUTPUTS)
                n = block * OUTPUTS
                m = start
                while m < stop:
                    taken = _dots(address(inputs, m * size), stop - m, weights, size, held)
                    for r in range(taken):
                        for c in range(OUTPUTS):
                            y = np.float32(sums[r * OUTPUTS + c])
                            y = y * input_scale[m + r] * scale[n + c] + bias[n + c]
                            out[m + r, n + c] = out[m + r, n + c] + y if add else y
                    m += taken


@njit(cache=True, fastmath=_MATH)
def _rotate(qkv: Array, cos: Array, sin: Array, shape: Shape) -> None:
    """Rotary positions on the query and key heads of qkv [M, heads, size], in place."""
    half = shape.size // 2
    for m in range(qkv.shape[0]):
        for head in range(shape.heads + shape.groups):
            x = qkv[m, head]
            for d in range(half):
                a, b = x[d], x[d + half]
                x[d] = a * cos[m, d] - b * sin[m, d]
                x[d + half] = b * cos[m, d + half] + a * sin[m, d + half]


@njit(cache=True, inline="always")
def _sums(
    queries: int,
    factors: Any,
    factor_stride: int,
    columns: Any,
    column_stride: int,
    length: int,
    into: Any,
    stride: int,
    add: bool,
) -> None:
    """The kernel for a number of queries; see `attention_kernels.py`."""
    if queries == 4:
        sums_4(factors, factor_stride, columns, column_stride, length, into, stride, add)
    elif queries == 3:
        sums_3(factors, factor_stride, columns, column_stride, length, into, stride, add)
    elif queries == 2:
        sums_2(factors, factor_stride, columns, column_stride, length, into, stride, add)
    else:
        sums_1(factors, factor_stride, columns, column_stride, length, into, stride, add)


@njit(cache=True, fastmath=_MATH, parallel=True)
def _attend(
    qkv: Array,  # [M, heads + 2 groups, size], rotated
    keys: Array,  # [groups, size, capacity], slots innermost; capacity in whole blocks
    values: Array,  # [groups, capacity, padded size]
    visible: Array,  # [M, L + M] bool
    shape: Shape,
    scaled: Array,  # scratch [groups, Q, size], Q query heads of a group for all rows
    scores: Array,  # scratch [groups, Q, slots in whole blocks]
    powers: Array,  # the same, int32
    mixed: Array,  # scratch [groups, Q, padded size]
    out: Array,  # [M, heads * size]
    threads: int,
) -> None:
    rows, slots = visible.shape
    size, capacity, padded = shape.size, keys.shape[2], values.shape[2]
    repeat = shape.heads // shape.groups
    queries = rows * repeat  # of one group
    parts = min(queries, (threads + shape.groups - 1) // shape.groups)
    root = slots  # the slots before it are visible to all
    for m in range(rows):
        s = 0
        while s < root and visible[m, s]:
            s += 1
        root = s
    scale = np.float32(1.0 / np.sqrt(size))
    stride = scores.shape[2]
    for task in prange(shape.groups * parts):
        g, part = task // parts, task % parts
        first, last = queries * part // parts, queries * (part + 1) // parts
        for q in range(first, last):
            for d in range(size):
                scaled[g, q, d] = qkv[q // repeat, g * repeat + q % repeat, d] * scale
        for start in range(0, slots, BLOCK):
            for q in range(first, last, QUERIES):
                _sums(
                    min(QUERIES, last - q),
                    address(scaled, (g * queries + q) * size),
                    size,
                    address(keys, g * size * capacity + start),
                    capacity,
                    size,
                    address(scores, (g * queries + q) * stride + start),
                    stride,
                    False,
                )
        for q in range(first, last):
            row = scores[g, q, :slots]
            for s in range(root, slots):
                if not visible[q // repeat, s]:
                    row[s] = np.float32(-1e30)
            top = np.float32(-1e30)
            for s in range(slots):
                top = max(top, row[s])
            for s in range(slots):
                row[s] -= top
            _exp_all(row, powers[g, q, :slots])
        for start in range(0, slots, _SLOTS):
            for q in range(first, last, QUERIES):
                for d in range(0, padded, BLOCK):
                    _sums(
                        min(QUERIES, last - q),
                        address(scores, (g * queries + q) * stride + start),
                        stride,
                        address(values, (g * capacity + start) * padded + d),
                        padded,
                        min(_SLOTS, slots - start),
                        address(mixed, (g * queries + q) * padded + d),
                        padded,
                        start > 0,
                    )
        for q in range(first, last):
            row = scores[g, q, :slots]
            total = np.float32(0)
            for s in range(slots):
                total += row[s]
            at = (g * repeat + q % repeat) * size
            for d in range(size):
                out[q // repeat, at + d] = mixed[g, q, d] / total


@njit(cache=True, fastmath=_MATH, nogil=True)
def forward(
    x: Array,  # [M, D] float32 embeddings; overwritten
    cos: Array,  # [M, size]
    sin: Array,  # [M, size]
    visible: Array,  # [M, L + M] bool
    keys: Array,  # [layers, groups, size, capacity]; the M slots behind L are written
    values: Array,  # [layers, groups, capacity, padded size]
    weights: Weights,
    shape: Shape,
    runs: Array,  # [layers, 2] bool: whether attention and MLP of a layer are computed
    logits: Array,  # [M - logits_from, V padded] float32, written
    threads: int,
) -> None:
    """The whole decoder, embeddings to logits."""
    rows, width = x.shape
    slots = visible.shape[1]
    held = slots - rows
    every = shape.heads + 2 * shape.groups
    inner = weights.down.levels.shape[2] * LANES
    normed = np.empty((rows, width), np.float32)
    qkv = np.empty((rows, every * shape.size), np.float32)
    seen = np.empty((rows, shape.heads * shape.size), np.float32)
    up = np.empty((rows, weights.up.scale.shape[1]), np.float32)
    mixed = np.empty((rows, inner), np.float32)
    inner_powers = np.empty((threads, inner), np.int32)
    scale = np.empty(rows, np.float32)
    levels = np.empty((rows, width), np.int16)
    levels_seen = np.empty((rows, shape.heads * shape.size), np.int16)
    levels_inner = np.empty((rows, inner), np.int16)
    queries = rows * shape.heads // shape.groups
    wide = -(-slots // BLOCK) * BLOCK
    scaled = np.empty((shape.groups, queries, shape.size), np.float32)
    scores = np.empty((shape.groups, queries, wide), np.float32)
    powers = np.empty((shape.groups, queries, wide), np.int32)
    weighted = np.empty((shape.groups, queries, values.shape[3]), np.float32)
    for i in range(weights.qkv.levels.shape[0]):
        if runs[i, 0]:
            norm = weights.norm_in
            _normalize(x, norm.weight[i], norm.bias[i], shape.epsilon, shape.centred, normed)
            quantize(normed, levels, scale)
            w = weights.qkv
            product(levels, scale, w.levels[i], w.scale[i], w.bias[i], qkv, False, threads)
            parts = qkv.reshape(rows, every, shape.size)
            _rotate(parts, cos, sin, shape)
            for m in range(rows):
                for g in range(shape.groups):
                    for d in range(shape.size):
                        keys[i, g, d, held + m] = parts[m, shape.heads + g, d]
                        values[i, g, held + m, d] = parts[m, shape.heads + shape.groups + g, d]
            _attend(
                parts, keys[i], values[i], visible, shape, scaled, scores, powers, weighted, seen,
                threads,
            )  # fmt: skip
            quantize(seen, levels_seen, scale)
            w = weights.out
            product(levels_seen, scale, w.levels[i], w.scale[i], w.bias[i], x, True, threads)
        if runs[i, 1]:
            norm = weights.norm_mlp
            _normalize(x, norm.weight[i], norm.bias[i], shape.epsilon, shape.centred, normed)
            quantize(normed, levels, scale)
            w = weights.up
            product(levels, scale, w.levels[i], w.scale[i], w.bias[i], up, False, threads)
            _activate(up, shape.gated, inner_powers, mixed, levels_inner, scale, threads)
            w = weights.down
            product(levels_inner, scale, w.levels[i], w.scale[i], w.bias[i], x, True, threads)
    asked = logits.shape[0]
    last = x[rows - asked :]
    norm = weights.norm
    _normalize(last, norm.weight[0], norm.bias[0], shape.epsilon, shape.centred, normed[:asked])
    quantize(normed[:asked], levels[:asked], scale[:asked])
    w = weights.head
    product(
        levels[:asked], scale[:asked], w.levels[0], w.scale[0], w.bias[0], logits, False, threads
    )
