"""Matrix products, decompositions, solvers and functions of matrices."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy import linalg

from mainstay.saved_model.graph_reading.graph_ops.registry import OpNode, graph_op
from mainstay.saved_model.graph_reading.graph_ops.values import Value


def adjoint(x: Any) -> Any:
    """Return the conjugate transpose of each matrix."""
    swapped = jnp.swapaxes(x, -1, -2)
    return jnp.conj(swapped) if jnp.issubdtype(x.dtype, jnp.complexfloating) else swapped


def matmul(x: Any, y: Any, dtype: Any = None) -> Any:
    """Return the product of matrices, of integers too."""
    x, y = jnp.asarray(x), jnp.asarray(y)
    return jnp.matmul(x, y, preferred_element_type=dtype)


LIBRARY_CALLS = frozenset(
    """
    MatrixInverse BatchMatrixInverse MatrixDeterminant BatchMatrixDeterminant LogMatrixDeterminant MatrixSolve
    BatchMatrixSolve MatrixTriangularSolve BatchMatrixTriangularSolve BandedTriangularSolve Cholesky BatchCholesky Qr
    Svd BatchSvd SelfAdjointEigV2 BatchSelfAdjointEigV2 SelfAdjointEig BatchSelfAdjointEig Eig Lu MatrixSolveLs
    BatchMatrixSolveLs MatrixSquareRoot TridiagonalSolve
    """.split()  # noqa: SIM905
)
"""The ops that XLA leaves to a library such as LAPACK: a portable program cannot hold such a call."""


@graph_op("MatMul")
def mat_mul(node: OpNode, x: Value, y: Value) -> Value:
    """Multiply two matrices."""
    x, y = jnp.asarray(x), jnp.asarray(y)
    left, right = node.attr("transpose_a", False), node.attr("transpose_b", False)
    return matmul(x.T if left else x, y.T if right else y)


@graph_op("SparseMatMul")
def sparse_mat_mul(node: OpNode, x: Value, y: Value) -> Value:
    """Multiply two matrices that are stored densely and have many zeros, in float32."""
    x, y = jnp.asarray(x, jnp.float32), jnp.asarray(y, jnp.float32)
    return matmul(x.T if node.attr("transpose_a", False) else x, y.T if node.attr("transpose_b", False) else y)


@graph_op("BatchMatMul", "BatchMatMulV2", "BatchMatMulV3")
def batch_mat_mul(node: OpNode, x: Value, y: Value) -> Value:
    """Multiply matrices pairwise, with broadcasting."""
    x, y = jnp.asarray(x), jnp.asarray(y)
    dtype = node.attr("Tout")
    if dtype is not None and dtype != x.dtype and jnp.issubdtype(dtype, jnp.integer):
        x, y = x.astype(dtype), y.astype(dtype)
    return matmul(adjoint(x) if node.attr("adj_x") else x, adjoint(y) if node.attr("adj_y") else y, dtype)


@graph_op("Einsum")
def einsum(node: OpNode, *values: Value) -> Value:
    """Multiply and add up along named axes."""
    return jnp.einsum(node.text("equation").replace(" ", ""), *map(jnp.asarray, values))


@graph_op("MatrixInverse", "BatchMatrixInverse")
def matrix_inverse(node: OpNode, x: Value) -> Value:
    """Return the inverse of each matrix."""
    x = jnp.asarray(x)
    return jnp.linalg.inv(adjoint(x) if node.attr("adjoint", False) else x)


@graph_op("MatrixDeterminant", "BatchMatrixDeterminant")
def matrix_determinant(_node: OpNode, x: Value) -> Value:
    """Return the determinant of each matrix."""
    return jnp.linalg.det(jnp.asarray(x))


@graph_op("LogMatrixDeterminant")
def log_matrix_determinant(_node: OpNode, x: Value) -> Value:
    """Return sign and logarithm of the absolute value of the determinant of each matrix."""
    sign, logarithm = jnp.linalg.slogdet(jnp.asarray(x))
    return sign.astype(x.dtype), logarithm.astype(x.dtype)


@graph_op("MatrixSolve", "BatchMatrixSolve")
def matrix_solve(node: OpNode, x: Value, y: Value) -> Value:
    """Solve systems of linear equations."""
    x = jnp.asarray(x)
    return jnp.linalg.solve(adjoint(x) if node.attr("adjoint", False) else x, jnp.asarray(y))


@graph_op("MatrixTriangularSolve", "BatchMatrixTriangularSolve")
def matrix_triangular_solve(node: OpNode, x: Value, y: Value) -> Value:
    """Solve systems of linear equations with a triangular matrix."""
    x, y = _common_batch(jnp.asarray(x), jnp.asarray(y))
    return lax.linalg.triangular_solve(
        x,
        y,
        left_side=True,
        lower=bool(node.attr("lower", True)),
        transpose_a=bool(node.attr("adjoint", False)),
        conjugate_a=bool(node.attr("adjoint", False)),
    )


def _common_batch(x: Any, y: Any) -> tuple[Any, Any]:
    if x.ndim == y.ndim == 2:
        return x, y
    batch = jnp.broadcast_shapes(x.shape[:-2], y.shape[:-2])
    return jnp.broadcast_to(x, (*batch, *x.shape[-2:])), jnp.broadcast_to(y, (*batch, *y.shape[-2:]))


@graph_op("BandedTriangularSolve")
def banded_triangular_solve(node: OpNode, bands: Value, y: Value) -> Value:
    """Solve systems with a triangular matrix that is given by its bands, one in each row."""
    bands = jnp.asarray(bands)
    count, size = bands.shape[-2:]
    lower = node.attr("lower", True)
    row, column = np.mgrid[0:size, 0:size]
    # Lower: the main diagonal is the first row of the bands; upper: it is the last one.
    band = row - column if lower else count - 1 - (column - row)
    inside = (band >= 0) & (band < count) & ((row >= column) if lower else (column >= row))
    dense = jnp.where(inside, bands[..., np.where(inside, band, 0), row], 0)
    return matrix_triangular_solve(node, dense, y)


@graph_op("Cholesky", "BatchCholesky")
def cholesky(_node: OpNode, x: Value) -> Value:
    """Return the lower triangular factor of each matrix; its upper triangle is not read."""
    return lax.linalg.cholesky(jnp.asarray(x), symmetrize_input=False)


@graph_op("Qr")
def qr(node: OpNode, x: Value) -> Value:
    """Return an orthogonal and a triangular factor of each matrix."""
    orthogonal, triangular = jnp.linalg.qr(
        jnp.asarray(x), "complete" if node.attr("full_matrices", False) else "reduced"
    )
    return orthogonal, triangular


@graph_op("Svd", "BatchSvd")
def svd(node: OpNode, x: Value) -> Value:
    """Return singular values, largest first, and the left and right singular vectors; their signs are open."""
    x = jnp.asarray(x)
    if not node.attr("compute_uv", True):
        nothing = jnp.zeros(0, x.dtype)
        return jnp.linalg.svd(x, compute_uv=False).astype(node.attr("T")), nothing, nothing
    left, values, right = jnp.linalg.svd(x, full_matrices=bool(node.attr("full_matrices", False)))
    return values.astype(x.dtype), left, adjoint(right)


@graph_op("SelfAdjointEigV2", "BatchSelfAdjointEigV2")
def self_adjoint_eig_v2(node: OpNode, x: Value) -> Value:
    """Return the eigenvalues of symmetric matrices in ascending order, and their eigenvectors; their signs are open."""
    values, vectors = jnp.linalg.eigh(jnp.asarray(x), symmetrize_input=False)
    vectors = vectors if node.attr("compute_v", True) else jnp.zeros(0, x.dtype)
    return values.astype(x.dtype), vectors


@graph_op("SelfAdjointEig", "BatchSelfAdjointEig")
def self_adjoint_eig(_node: OpNode, x: Value) -> Value:
    """Return the eigenvalues of symmetric matrices in a first row above their eigenvectors."""
    values, vectors = jnp.linalg.eigh(jnp.asarray(x), symmetrize_input=False)
    return jnp.concatenate([values[..., None, :], vectors], -2)


@graph_op("Eig")
def eig(node: OpNode, x: Value) -> Value:
    """Return complex eigenvalues and eigenvectors of square matrices; order and scale are open."""
    dtype = node.dtype("Tout")
    if not node.attr("compute_v", True):
        return jnp.linalg.eigvals(jnp.asarray(x)).astype(dtype), jnp.zeros(0, dtype)
    values, vectors = jnp.linalg.eig(jnp.asarray(x))
    return values.astype(dtype), vectors.astype(dtype)


@graph_op("Lu")
def lu(node: OpNode, x: Value) -> Value:
    """Return both triangular factors in one matrix, and the row that each row of the product comes from."""
    factors, _, permutation = lax.linalg.lu(jnp.asarray(x))
    return factors, permutation.astype(node.attr("output_idx_type", np.dtype(np.int32)))


@graph_op("MatrixSolveLs", "BatchMatrixSolveLs")
def matrix_solve_ls(_node: OpNode, x: Value, y: Value, regularizer: Value) -> Value:
    """Return the least squares solutions, with a quadratic penalty on their size."""
    x, y = jnp.asarray(x), jnp.asarray(y)
    penalty = jnp.asarray(regularizer).astype(x.dtype)
    if x.shape[-2] >= x.shape[-1]:
        gram = adjoint(x) @ x
        return jnp.linalg.solve(gram + penalty * jnp.eye(x.shape[-1], dtype=x.dtype), adjoint(x) @ y)
    gram = x @ adjoint(x)
    return adjoint(x) @ jnp.linalg.solve(gram + penalty * jnp.eye(x.shape[-2], dtype=x.dtype), y)


@graph_op("MatrixSquareRoot")
def matrix_square_root(_node: OpNode, x: Value) -> Value:
    """Return the principal square root of each matrix."""
    x = jnp.asarray(x)
    flat = x.reshape(-1, *x.shape[-2:])
    roots = jnp.stack([linalg.sqrtm(flat[index]) for index in range(flat.shape[0])]).reshape(x.shape)
    return roots.astype(x.dtype) if jnp.issubdtype(x.dtype, jnp.complexfloating) else roots.real.astype(x.dtype)


@graph_op("TridiagonalMatMul")
def tridiagonal_mat_mul(_node: OpNode, above: Value, main: Value, below: Value, x: Value) -> Value:
    """Multiply matrices with three diagonals, given as rows of one matrix each, with matrices."""
    x = jnp.asarray(x)
    upper, middle, lower = (jnp.swapaxes(jnp.asarray(each), -1, -2) for each in (above, main, below))
    zeros = jnp.zeros_like(x[..., :1, :])
    after = jnp.concatenate([x[..., 1:, :], zeros], -2)
    before = jnp.concatenate([zeros, x[..., :-1, :]], -2)
    return upper * after + middle * x + lower * before


@graph_op("TridiagonalSolve")
def tridiagonal_solve(_node: OpNode, diagonals: Value, y: Value) -> Value:
    """Solve systems with matrices of three diagonals: above, main and below, aligned by row of the matrix."""
    diagonals, y = jnp.asarray(diagonals), jnp.asarray(y)
    size = diagonals.shape[-1]
    eye = [np.eye(size, k=offset, dtype=bool) for offset in (1, 0, -1)]
    rows = [jnp.where(mask, diagonals[..., index, :, None], 0) for index, mask in enumerate(eye)]
    return jnp.linalg.solve(rows[0] + rows[1] + rows[2], y)
