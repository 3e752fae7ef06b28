import jax
import jax.numpy as jnp
import numpy as np
import optax
from tiny_updates import adamw

from fdjax.config import OptimizerConfig
from fdjax.training import state


def test_schedule():
    config = OptimizerConfig(learning_rate=2.0, warmup=10, decay_fraction=0.6)
    schedule = state.make_schedule(config, total_updates=100)
    rates = [float(schedule(jnp.array(i))) for i in (0, 4, 9, 40, 70, 100, 200)]
    np.testing.assert_allclose(rates, [0.2, 1, 2, 2, 1, 0, 0], rtol=1e-6)
    config = OptimizerConfig(learning_rate=2.0, warmup=0, decay_fraction=0.0)
    constant = state.make_schedule(config, total_updates=100)
    assert constant(jnp.array(0)) == constant(jnp.array(10**6)) == 2


def test_first_adamw_step():
    """The clipped gradient's first step has length one in every entry; norms do not decay."""
    optimizer = adamw(learning_rate=0.1, weight_decay=0.5, clip_norm=1.0)
    params = {"kernel": jnp.array([2.0, -2.0]), "norm": {"scale": jnp.array([3.0])}}
    grads = {"kernel": jnp.array([300.0, -400.0]), "norm": {"scale": jnp.array([0.5])}}
    updates, _ = optimizer.update(grads, optimizer.init(params), params)
    new = optax.apply_updates(params, updates)
    np.testing.assert_allclose(new["kernel"], [2 - 0.1 - 0.1, -2 + 0.1 + 0.1], rtol=1e-4)
    np.testing.assert_allclose(new["norm"]["scale"], [2.9], rtol=1e-4)


def test_moments_in_bfloat16():
    """Half the memory; over fifty steps parameters stay near those of fp32 moments."""
    start = {"kernel": jnp.asarray(np.random.default_rng(0).normal(size=(8, 8)), jnp.float32)}
    ends, kept = {}, {}
    for moments in ("float32", "bfloat16"):
        optimizer = adamw(learning_rate=1e-2, moments=moments)
        params, opt_state = start, optimizer.init(start)

        @jax.jit
        def step(params, opt_state, gradient, optimizer=optimizer):
            updates, opt_state = optimizer.update(gradient, opt_state, params)
            return optax.apply_updates(params, updates), opt_state

        rng = np.random.default_rng(1)
        for _ in range(50):
            gradient = {"kernel": jnp.asarray(1 + 0.5 * rng.normal(size=(8, 8)), jnp.float32)}
            params, opt_state = step(params, opt_state, gradient)
        ends[moments], kept[moments] = params["kernel"], opt_state
    for dtype, opt_state in kept.items():
        assert [x.dtype for x in jax.tree.leaves(opt_state) if x.ndim] == [dtype, dtype]
    assert jax.tree.structure(kept["bfloat16"]) == jax.tree.structure(kept["float32"])
    apart = np.abs(ends["bfloat16"] - ends["float32"]).max()
    assert 0 < apart < 0.01 * np.abs(ends["float32"] - start["kernel"]).max()
