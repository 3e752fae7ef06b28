"""Causal attention by kernels that keep scores on the chip: splash (TPU) and cuDNN (GPU).

Queries arrive scaled. `window` is the number of tokens that a query attends to, itself included;
None: all. What queries of masked tokens return is finite and meaningless.
"""

import math

import jax
import jax.numpy as jnp

from fdjax.runtime import sharding

BLOCK = 1024  # splash: at most so many queries and keys at once, of heads of up to 256 bytes
LANES = 128  # a block is a multiple


def splash(
    query_BTNH: jax.Array,
    key_BTKH: jax.Array,
    value_BTKH: jax.Array,
    mask_BT: jax.Array,
    *,
    window: int | None = None,
    softcap: float = 0.0,
    interpret: bool = False,
) -> jax.Array:
    """-> [B, T, N, H], by JAX's splash attention. Masked tokens are a segment of their own.

    On a mesh each device takes its own rows and heads: without `shard_map` the compiler would
    gather them. Raises ValueError where `tensor` does not divide the heads. `interpret`: computes
    what the kernel would, without a TPU.
    """
    T, H = query_BTNH.shape[1], query_BTNH.shape[3]
    # Larger heads at once do not fit a core's memory in the backward pass.
    most = max(BLOCK * 256 // max(256, H * query_BTNH.dtype.itemsize), LANES)
    count = -(-T // most)
    block = LANES * math.ceil(T / (count * LANES))
    padding = count * block - T

    def on_device(query_BTNH, key_BTKH, value_BTKH, mask_BT):
        attend = _splash_kernel(
            query_BTNH.shape[2], count * block, block, window, softcap, interpret
        )
        rows = (query_BTNH, key_BTKH, value_BTKH)
        if padding:
            rows = (jnp.pad(x, ((0, 0), (0, padding), (0, 0), (0, 0))) for x in rows)
            mask_BT = jnp.pad(mask_BT, ((0, 0), (0, padding)))
        out_BNTH = jax.vmap(attend)(*(x.swapaxes(1, 2) for x in rows), mask_BT.astype(jnp.int32))
        return out_BNTH.swapaxes(1, 2)[:, :T]

    heads = query_BTNH.shape[2], key_BTKH.shape[2]
    return _spread(on_device, *heads)(query_BTNH, key_BTKH, value_BTKH, mask_BT)


def _splash_kernel(heads, length, block, window, softcap, interpret):
    """(query [N, T, H], key [K, T, H], value [K, T, H], segments i32[T]) -> [N, T, H]"""
    from jax.experimental.pallas.ops.tpu import splash_attention as ops  # a second of imports

    mask = ops.CausalMask((length, length))
    if window is not None:
        mask = ops.LocalMask((length, length), (window - 1, 0), 0)
    sizes = ("q", "kv", "kv_compute", "q_dkv", "kv_dkv", "kv_dkv_compute", "q_dq", "kv_dq")
    kernel = ops.make_splash_mha(
        ops.MultiHeadMask([mask] * heads),
        block_sizes=ops.BlockSizes(**{f"block_{name}": block for name in sizes}),
        attn_logits_soft_cap=softcap or None,
        head_shards=1,
        q_seq_shards=1,
        interpret=interpret,
    )
    return lambda query, key, value, segments: kernel(
        query, key, value, ops.SegmentIds(segments, segments)
    )


def cudnn(
    query_BTNH: jax.Array,
    key_BTKH: jax.Array,
    value_BTKH: jax.Array,
    mask_BT: jax.Array,
    *,
    window: int | None = None,
    softcap: float = 0.0,
    implementation: str = "cudnn",
) -> jax.Array:
    """-> [B, T, N, H], by cuDNN. Not run on a GPU so far: no configuration takes it by itself.

    cuDNN takes no mask without an array of T * T, but causal rows that begin at column 0 need
    none: rows are rotated so that their first unmasked token is there, and rotated back. The
    unmasked tokens of a row must stand together. Raises ValueError for a soft cap and for fp32,
    which cuDNN has not.
    """
    if softcap:
        raise ValueError("model.attention=cudnn has no attention_softcap: take xla")
    if implementation == "cudnn" and query_BTNH.dtype == jnp.float32:
        raise ValueError("model.attention=cudnn needs model.dtype=bfloat16")
    T = query_BTNH.shape[1]

    def on_device(query_BTNH, key_BTKH, value_BTKH, mask_BT):
        first_B1 = mask_BT.argmax(axis=1, keepdims=True)

        def rotate(x, by_B1):
            columns_BT = (jnp.arange(T)[None] + by_B1) % T
            return jnp.take_along_axis(x, columns_BT[..., None, None], axis=1)

        out_BTNH = jax.nn.dot_product_attention(
            *(rotate(x, first_B1) for x in (query_BTNH, key_BTKH, value_BTKH)),
            scale=1.0,
            is_causal=True,
            local_window_size=None if window is None else (window - 1, 0),
            implementation=implementation,
        )
        return rotate(out_BTNH, -first_B1)

    heads = query_BTNH.shape[2], key_BTKH.shape[2]
    return _spread(on_device, *heads)(query_BTNH, key_BTKH, value_BTKH, mask_BT)


def divides(heads: int, kv_heads: int) -> bool:
    """Does axis `tensor` of the mesh divide the heads?"""
    return math.gcd(heads, kv_heads) % _tensor() == 0


def _spread(function, heads, kv_heads):
    """`function` on each device with its rows and heads. All have all rows where those do not
    divide, as the one row from which parameters are made.
    """
    mesh = jax.sharding.get_abstract_mesh()
    if not set(sharding.AXES) <= set(mesh.axis_names) or mesh.size == 1:
        return function
    if not divides(heads, kv_heads):
        raise ValueError(
            f"mesh.tensor={_tensor()} does not divide {heads} heads and {kv_heads} of keys and"
            " values: take another mesh, or model.attention=xla"
        )

    def spread(query_BTNH, *others):
        rows = sharding.ROWS if query_BTNH.shape[0] % sharding.rows(mesh) == 0 else None
        spec = jax.P(rows, None, "tensor")
        return jax.shard_map(
            function, in_specs=(spec, spec, spec, jax.P(rows)), out_specs=spec, check_vma=False
        )(query_BTNH, *others)

    return spread


def _tensor():
    return dict(jax.sharding.get_abstract_mesh().shape).get("tensor", 1)
