"""A head with a bound on its logits, as Gemma 2 has one."""

import dataclasses

import jax
import jax.numpy as jnp


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class CappedHead:
    """Logits are cap * tanh(hidden @ matrix / cap)."""

    matrix: jax.Array  # f[D, V]
    softcap: float = dataclasses.field(metadata={"static": True})


def soft_cap(x: jax.Array, cap: float) -> jax.Array:
    """cap * tanh(x / cap): within (-cap, cap), the identity near 0. A cap of 0 is none."""
    return cap * jnp.tanh(x / cap) if cap else x
