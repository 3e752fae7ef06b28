"""What TPU's compiler makes of parts of an update with Qwen3-8B's shapes. No TPU is needed."""

import jax
import jax.numpy as jnp
import pytest
from tiny_updates import distillation

from benchmarks import update_roofline
from fdjax.models import attention, transformer
from fdjax.models.attention import Window
from fdjax.objectives.distillation import DistillationBatch
from fdjax.objectives.protocol import Model
from fdjax.runtime import sharding
from fdjax.training.planning import costs, program
from fdjax.training.planning.slices import find_slice

pytest.importorskip("libtpu", reason="needs TPU's compiler: pip install -e '.[tpu]'")
pytestmark = pytest.mark.slow
SLICES = {"v5e:4x4": (1, 8, 2), "v6e:4x4": (1, 16, 1)}
D, V, R, ROWS, CHUNK = 4096, 151_936, 2048, 16, 1024


@pytest.fixture(scope="module", params=SLICES)
def mesh(request):
    devices = find_slice(request.param).devices
    return sharding.lay(devices, SLICES[request.param])


@pytest.mark.parametrize("tied", [False, True])
def test_the_loop_of_the_head_moves_no_head(mesh, tied):
    """It is gathered once, its gradient is reduced once."""
    objective = distillation(chunk=CHUNK)
    model = Model(lambda params, tokens, mask: params["hidden"], transformer.unembedding)
    shape = (V, D) if tied else (D, V)
    head = {"embedding" if tied else "lm_head": jax.ShapeDtypeStruct(shape, jnp.float32)}
    at = sharding.tree_shardings(head, mesh)
    head = jax.tree.map(lambda x, s: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=s), head, at)

    def rows(dtype, *shape):
        spec = jax.NamedSharding(mesh, jax.P(sharding.ROWS))
        return jax.ShapeDtypeStruct((ROWS, *shape), dtype, sharding=spec)

    tokens, mask = rows(jnp.int32, R + 1), rows(bool, R + 1)
    floats, ints = rows(jnp.float32, R), rows(jnp.int32, R)
    batch = DistillationBatch(
        tokens, mask, tokens, mask, rows(bool, R), floats, floats, rows(jnp.int32), ints
    )
    hidden = rows(jnp.float32, R + 1, D)

    def step(gradients, head, teacher_head, hidden, teacher_hidden, batch):
        def loss(head, hidden):
            params, teacher = head | {"hidden": hidden}, teacher_head | {"hidden": teacher_hidden}
            return objective.loss(model, params, teacher, batch)[0]

        more, of_hidden = jax.grad(loss, (0, 1))(head, hidden)
        return jax.tree.map(jnp.add, gradients, more), of_hidden

    with jax.set_mesh(mesh):
        jitted = jax.jit(step, donate_argnums=0, out_shardings=(at, None))
        compiled = jitted.lower(head, head, head, hidden, hidden, batch).compile()
    text = program.parse(compiled.as_text())
    chunks = ROWS // sharding.rows(mesh) * R // CHUNK
    assert program.trips(text, text["ENTRY"], program.main_loop(text)) == chunks
    # Over tensor the parts of a chunk's gradient of hidden states are added up.
    assert program.largest_moved(text) <= CHUNK * D * 4
    # Two heads as bf16, one gradient as fp32.
    share = D * V // mesh.shape["tensor"] * (1 - 1 / mesh.shape["fsdp"])
    between = 2 * chunks * CHUNK * D * 4 * (1 - 1 / mesh.shape["tensor"])
    assert costs.cost(text, "ENTRY").ici < 1.05 * ((2 + 2 + 4) * share + between)


@pytest.mark.parametrize(
    "heads, head_dim, window, softcap",
    [((32, 8), 128, None, 0.0), ((16, 8), 256, 1024, 50.0), ((32, 8), 64, None, 0.0)],
)
def test_splash_keeps_scores_on_the_chip(mesh, heads, head_dim, window, softcap):
    """And that it is what TPUs get. Windowed layers are scanned with others: two kernels each."""
    T = 8192

    def struct(dtype, *shape):
        spec = jax.P(sharding.ROWS, None, "tensor") if len(shape) == 4 else jax.P(sharding.ROWS)
        at = jax.NamedSharding(mesh, spec if shape else jax.P())
        return jax.ShapeDtypeStruct(shape, dtype, sharding=at)

    query, key = (struct(jnp.bfloat16, ROWS, T, n, head_dim) for n in heads)
    arguments = (query, key, key, struct(bool, ROWS, T), query, struct(bool))

    def forward_and_backward(query, key, value, mask, cotangent, windowed, implementation):
        def attend(*arrays):
            limits = {"window": window and Window(window, windowed), "softcap": softcap}
            return attention.causal(*arrays, mask, **limits, implementation=implementation)

        out, backward = jax.vjp(attend, query, key, value)
        return out, backward(cotangent)

    def compiled(implementation):
        with jax.set_mesh(mesh):
            jitted = jax.jit(forward_and_backward, static_argnames="implementation")
            return jitted.lower(*arguments, implementation=implementation).compile()

    xla, splash = compiled("xla"), compiled("auto")
    assert "splash_mha_dkv" in splash.as_text()

    def temporary(compiled):
        return compiled.memory_analysis().temp_size_in_bytes

    hbm = {x: costs.cost(program.parse(x.as_text()), "ENTRY").hbm for x in (xla, splash)}
    figures = f"temporary {temporary(splash):,} of {temporary(xla):,} bytes, HBM {hbm[splash]:,.0f}"
    print(f"{dict(mesh.shape)}, {heads}, {head_dim}: {figures} of {hbm[xla]:,.0f}")
    assert temporary(splash) < temporary(xla) / 3
    assert hbm[splash] < hbm[xla] / 5


def test_an_update_with_committed_sizes_is_near_the_roofline():
    """The other slices: benchmarks/update_roofline.py."""
    assert update_roofline.report("v6e-16", update_roofline.SLICES["v6e-16"])
