"""What TPU's compiler makes of generation with Qwen3-8B's shapes. No TPU is needed."""

from pathlib import Path

import pytest

from fdjax.config import parse, read
from fdjax.config.flags import load, read_recipe
from fdjax.runtime import sharding
from fdjax.training.planning import costs, estimate, parts, program, search, updates
from fdjax.training.planning import pod as pods
from fdjax.training.planning.slices import find_slice

pytest.importorskip("libtpu", reason="needs TPU's compiler: pip install -e '.[tpu]'")
RECIPE = str(Path(__file__).parents[1] / "configs" / "published.py")


def make_pod(topology, layers, mesh_for=sharding.decoding_mesh):
    recipe = read_recipe(f"{RECIPE}:v5e-16")
    recipe.generation.slots = 96
    config = read(recipe)
    model = pods.with_layers(pods.read_model(config, RECIPE, "qwen3_8b"), layers)
    devices = find_slice(topology).devices
    return pods.make_pod(config, config.blocks["fd"], model, devices, mesh_for=mesh_for)


@pytest.fixture(scope="module", params=["v5e:4x4", "v6e:4x4"])
def pod(request):
    return make_pod(request.param, layers=3)


@pytest.mark.slow
def test_no_token_moves_weights_or_the_cache(pod):
    assert dict(pod.decoding.shape) == {"replica": 2, "fsdp": 1, "tensor": 8}
    keys = pod.slots.cache.layers[0].keys
    S, K, H, C = keys.shape
    assert keys.sharding.shard_shape(keys.shape) == (S // 2, K // 8, H, C)
    decode = pods.programs(pod)["decode"]()
    text = program.parse(decode.as_text())
    # what layers hand on to one another: [rows, width] in the compute dtype
    assert program.largest_moved(text) == S // 2 * pod.model.width * 2 < pod.smallest_weight()
    # not even the keys of one layer are copied, in the loop or outside of it
    assert pods.temporary(decode) < pods.size(keys) / 2
    loop, besides = costs.decode_costs(text, pod.shapes.chunk)
    assert pod.least_read() <= loop.hbm < 1.25 * pod.least_read()
    assert besides.hbm < 0.01 * loop.hbm and besides.ici < 0.01 * loop.ici


@pytest.mark.slow
def test_a_slot_is_filled_without_a_collective(pod):
    insert = pods.programs(pod)["insert"]()
    text = program.parse(insert.as_text())
    assert costs.cost(text, "ENTRY").ici == 0
    assert pods.temporary(insert) < pods.size(pod.slots.cache.layers[0].keys) / 2


@pytest.mark.slow
def test_without_a_mesh_for_decoding_each_token_gathers_weights():
    """The fault, and that the reader sees it."""
    pod = make_pod("v5e:4x4", layers=1, mesh_for=lambda mesh, model: mesh)
    decode = pods.programs(pod)["decode"]()
    assert program.largest_moved(program.parse(decode.as_text())) > pod.smallest_weight()


# --- fdjax plan ----------------------------------------------------------------------------------


def question(*flags):
    config = parse(load(RECIPE, [("mesh.tensor", "2"), *flags]))
    model = pods.with_layers(pods.read_model(config, RECIPE, "qwen3_0.6b"), 4)
    given = estimate.Assumed(400, 400, 500, 512, 0.1, lean=1.0, price=None, workers=None)
    return search.Question(config, config.blocks["fd"], model, find_slice("v5e:2x2"), given, most=1)


SHORT = [
    ("prompt.student_buckets", "512"),
    ("prompt.teacher_buckets", "512"),
    ("prompt.response_length", "512"),
    ("generation.slots", "16"),
    ("fd.optimizer.microbatch_tokens", "2048"),
]


@pytest.mark.slow
def test_a_plan_reads_what_the_arithmetic_expects():
    what = question(*SHORT)
    found, counted = search.answer(what), search.answer(what, compile_=False)
    assert found.estimate.fits and found.shapes == counted.shapes
    shape = next(iter(found.shapes))
    ours, expected = found.parts.updates[shape].cost, counted.parts.updates[shape].cost
    assert ours.flops == pytest.approx(expected.flops, rel=0.3)
    assert ours.hbm > 0.5 * expected.hbm and ours.ici > 0.5 * expected.ici
    assert found.parts.apply.held == counted.parts.apply.held
    token = found.parts.generation[parts.TOKEN].cost
    assert token.hbm == pytest.approx(found.pod.least_read(), rel=0.3)


@pytest.mark.slow
def test_a_plan_that_the_compiler_refuses_names_the_function():
    what = question(*SHORT)
    whole = pods.read_model(what.config, RECIPE, "qwen3_8b")  # 25 GB of state on each of 4 chips
    made = what._replace(model=whole).make()
    shapes = updates.update_shapes(made, estimate.make_lengths(made, what.given))
    with pytest.raises(parts.DoesNotFit, match="update"):
        parts.update(made, list(shapes), 1)
