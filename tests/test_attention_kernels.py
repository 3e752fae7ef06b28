"""The kernels against XLA's attention by blocks, forward and backward, without TPU or GPU."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_model import GEMMA, assert_trees_close, random_params

from fdjax.models import attention, attention_kernels, transformer
from fdjax.models.attention import Window
from fdjax.models.config import ModelConfig
from fdjax.runtime import sharding

B, N, K, H = 3, 4, 2, 16
SPLASH = functools.partial(attention_kernels.splash, interpret=True)
CUDNN = functools.partial(attention_kernels.cudnn, implementation="xla")  # the same rotations


def make_arrays(T):
    rng = np.random.default_rng(0)

    def normal(heads):
        return jnp.asarray(rng.normal(size=(B, T, heads, H)), jnp.float32)

    columns = np.arange(T)[None]
    starts, ends = np.array([[0], [T // 3], [T // 5]]), np.array([[T], [T], [T - T // 4]])
    mask = jnp.asarray((columns >= starts) & (columns < ends))  # pads nowhere, left, both ends
    return (normal(N), normal(K), normal(K)), mask, normal(N)


def value_and_gradients(attend, arrays, mask, cotangent):
    """Of what unmasked tokens get."""

    def total(arrays):
        out = jnp.where(mask[..., None, None], attend(*arrays, mask), 0)
        return (out * cotangent).sum(), out

    (_, out), gradients = jax.jit(jax.value_and_grad(total, has_aux=True))(arrays)
    return out, gradients


@pytest.mark.parametrize("kernel", [SPLASH, CUDNN])
@pytest.mark.parametrize(
    "T, block, window, softcap",
    [
        (128, 1024, None, 0.0),
        (300, 128, None, 0.0),  # three blocks, of which the last is padded
        (300, 128, 50, 0.0),
        (200, 1024, None, 1.5),
        (300, 256, 160, 1.5),
    ],
)
def test_kernels_are_the_reference(kernel, T, block, window, softcap, monkeypatch):
    if softcap and kernel is CUDNN:
        pytest.skip("cuDNN has no soft cap")
    monkeypatch.setattr(attention_kernels, "BLOCK", block)
    arrays, mask, cotangent = make_arrays(T)
    limit = None if window is None else Window(window)
    reference = functools.partial(attention.causal, window=limit, softcap=softcap)
    expected = value_and_gradients(reference, arrays, mask, cotangent)
    kernel = functools.partial(kernel, window=window, softcap=softcap)
    actual = value_and_gradients(kernel, arrays, mask, cotangent)
    assert_trees_close(actual, expected, atol=3e-5)
    blind = functools.partial(attention.causal, softcap=softcap)
    if window is not None:  # the window is seen
        assert abs(value_and_gradients(blind, arrays, mask, cotangent)[0] - actual[0]).max() > 0.1


def test_rows_of_pads_are_finite():
    arrays, mask, cotangent = make_arrays(130)
    mask = mask.at[1].set(False)
    for kernel in (SPLASH, CUDNN):
        out = kernel(*arrays, mask)
        gradients = value_and_gradients(kernel, arrays, mask, cotangent)
        assert all(np.isfinite(x).all() for x in jax.tree.leaves((out, gradients)))


@pytest.mark.parametrize("shape", [(2, 2, 2), (1, 4, 2), (1, 1, 2)])
def test_devices_have_rows_and_heads_of_their_own(shape):
    arrays, mask, cotangent = make_arrays(130)
    arrays, mask, cotangent = jax.tree.map(
        lambda x: jnp.concatenate([x, x])[:4], (arrays, mask, cotangent)
    )
    expected = value_and_gradients(attention.causal, arrays, mask, cotangent)
    with jax.set_mesh(sharding.make_mesh(*shape)):
        actual = value_and_gradients(SPLASH, arrays, mask, cotangent)
        assert_trees_close(actual, expected, atol=3e-5)
        assert SPLASH(*(x[:1] for x in (*arrays, mask))).shape == (1, 130, N, H)


def test_heads_that_the_mesh_does_not_divide():
    arrays, mask, _ = make_arrays(130)
    problem = r"mesh\.tensor=4 does not divide 4 heads and 2 of keys"
    with jax.set_mesh(sharding.make_mesh(1, 1, 4)), pytest.raises(ValueError, match=problem):
        SPLASH(*arrays, mask)


@pytest.mark.parametrize("implementation, platform", [("splash", "TPU"), ("cudnn", "GPU")])
def test_a_kernel_on_another_platform(implementation, platform):
    arrays, mask, _ = make_arrays(8)
    with pytest.raises(ValueError, match=f"attention={implementation} needs a {platform}"):
        attention.causal(*arrays, mask, implementation=implementation)


def test_what_cudnn_has_not():
    arrays, mask, _ = make_arrays(8)
    with pytest.raises(ValueError, match="bfloat16"):
        attention_kernels.cudnn(*arrays, mask)
    with pytest.raises(ValueError, match="soft cap"):
        ModelConfig(vocab_size=9, attention="cudnn", dtype="bfloat16", attention_softcap=2.0)
    with pytest.raises(ValueError, match="attention is 'flash'; known are auto, xla"):
        ModelConfig(vocab_size=9, attention="flash")


def test_scanned_layers_of_both_kinds(monkeypatch):
    """Windowed and full layers of one scan, each with its kernel."""
    rng = np.random.default_rng(0)
    tokens = jnp.asarray(rng.integers(0, 19, (2, 20)))
    mask = jnp.asarray(np.arange(20)[None] >= np.array([[0], [6]]))
    params = random_params(GEMMA)

    def run():
        def loss(params):
            hidden = transformer.hidden_states(GEMMA, params, tokens, mask)
            return (jnp.where(mask[..., None], hidden, 0) ** 3).sum()

        return jax.jit(jax.value_and_grad(loss))(params)

    expected = run()
    monkeypatch.setattr(attention, "_choose", lambda *_: "splash")
    monkeypatch.setattr(attention_kernels, "splash", SPLASH)
    value, gradients = run()
    np.testing.assert_allclose(value, expected[0], rtol=1e-4)
    scale = max(abs(x).max() for x in jax.tree.leaves(expected[1]))
    assert_trees_close(gradients, expected[1], atol=1e-4 * scale)
