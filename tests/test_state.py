import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fdjax import state


def test_schedule():
    config = state.OptimizerConfig(
        learning_rate=2.0, total_steps=100, warmup_steps=10, decay_fraction=0.6
    )
    schedule = state.make_schedule(config)
    rates = [float(schedule(jnp.array(i))) for i in (0, 4, 9, 40, 70, 100, 200)]
    np.testing.assert_allclose(rates, [0.2, 1, 2, 2, 1, 0, 0], rtol=1e-6)
    constant = state.make_schedule(state.OptimizerConfig(learning_rate=2.0))
    assert constant(jnp.array(0)) == constant(jnp.array(10**6)) == 2


def test_first_adamw_step():
    """The clipped gradient's first step has length one in every entry; norms do not decay."""
    config = state.OptimizerConfig(learning_rate=0.1, weight_decay=0.5, clip_norm=1.0)
    optimizer = state.make_optimizer(config)
    params = {"kernel": jnp.array([2.0, -2.0]), "norm": {"scale": jnp.array([3.0])}}
    grads = {"kernel": jnp.array([300.0, -400.0]), "norm": {"scale": jnp.array([0.5])}}
    updates, _ = optimizer.update(grads, optimizer.init(params), params)
    new = optax.apply_updates(params, updates)
    np.testing.assert_allclose(new["kernel"], [2 - 0.1 - 0.1, -2 + 0.1 + 0.1], rtol=1e-4)
    np.testing.assert_allclose(new["norm"]["scale"], [2.9], rtol=1e-4)


def test_decay_needs_a_length():
    with pytest.raises(ValueError, match="total_steps"):
        state.OptimizerConfig(decay_fraction=0.5)
