"""Keys and values of earlier tokens: a prompt's once for all its samples, a sample's own apart.

prompt    [L, B,    P, K, H]   written by the prefill, read by all G samples of a prompt
response  [L, B, G, R, K, H]   one column written per decoded token
"""

import dataclasses

import jax
import jax.numpy as jnp

from fdjax.runtime.sharding import shard_rows


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class KVCache:
    """What decoding remembers; L layers, K key and value heads of H, in the model's dtype."""

    prompt_keys: jax.Array  # [L, B, P, K, H], RoPE applied
    prompt_values: jax.Array  # [L, B, P, K, H]
    prompt_mask: jax.Array  # bool[B, P], left-padded
    keys: jax.Array  # [L, B, G, R, K, H], RoPE applied
    values: jax.Array  # [L, B, G, R, K, H]
    length: jax.Array  # i32[]: columns of keys and values that are written

    @property
    def layers(self) -> tuple[jax.Array, ...]:
        """The arrays with a leading layer axis, as `attention.cached` wants one layer's."""
        return self.prompt_keys, self.prompt_values, self.keys, self.values

    @property
    def next_position_B(self) -> jax.Array:
        """i32[B]: the position of the token that is decoded next, the same for all samples."""
        return self.prompt_mask.sum(-1, dtype=jnp.int32) + self.length


def create(
    prompt_keys_LBPKH: jax.Array,
    prompt_values_LBPKH: jax.Array,
    prompt_mask_BP: jax.Array,
    group: int,
    budget: int,
) -> KVCache:
    """A cache for `group` samples of at most `budget` new tokens per prompt, none written yet."""
    L, B, _, K, H = prompt_keys_LBPKH.shape
    empty = jnp.zeros((L, B, group, budget, K, H), prompt_keys_LBPKH.dtype)
    empty = shard_rows(empty, axis=1)
    return KVCache(
        prompt_keys_LBPKH, prompt_values_LBPKH, prompt_mask_BP, empty, empty, jnp.int32(0)
    )


def append(cache: KVCache, keys_LBGKH: jax.Array, values_LBGKH: jax.Array) -> KVCache:
    """Write one token's keys and values of all layers: one update in place per decoded token."""

    def write(buffer, new):
        return jax.lax.dynamic_update_slice_in_dim(buffer, new[:, :, :, None], cache.length, axis=3)

    return dataclasses.replace(
        cache,
        keys=write(cache.keys, keys_LBGKH),
        values=write(cache.values, values_LBGKH),
        length=cache.length + 1,
    )
