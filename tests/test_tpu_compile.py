"""What TPU's compiler makes of generation with Qwen3-8B's shapes. No TPU is needed."""

from pathlib import Path

import pytest

from fdjax.config import read
from fdjax.config.flags import read_recipe
from fdjax.runtime import sharding
from fdjax.training.planning import costs, program
from fdjax.training.planning import pod as pods
from fdjax.training.planning.peaks import find_slice

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
