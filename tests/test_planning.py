"""The reader of compiled programs, assumed lengths, and what `fdjax plan` says and refuses."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from configs.models import qwen3
from fdjax.config import ConfigError, MeshConfig
from fdjax.models.config import from_fields
from fdjax.models.hf import config as hf
from fdjax.rollout.scheduler import Shapes
from fdjax.runtime import chips
from fdjax.training.planning import (
    command,
    costs,
    estimate,
    lengths,
    pod,
    program,
    search,
    slices,
)

PUBLISHED = "--config=configs/published.py"


def read(function, *args):
    return costs.cost(program.parse(jax.jit(function).lower(*args).compile().as_text()), "ENTRY")


# --- Programs ------------------------------------------------------------------------------------


def test_loops_count_as_often_as_they_run():
    def function(x, w):
        def inner(x, _):
            return x @ w, None

        def outer(x, _):
            return jax.lax.scan(inner, jnp.tanh(x @ w), None, length=5)[0], None

        return jax.lax.scan(outer, x, None, length=3)[0]

    x, w = jnp.ones((64, 256)), jnp.ones((256, 256))
    assert read(function, x, w).flops == 3 * (1 + 5) * 2 * 64 * 256 * 256


def test_batches_of_products_count():
    a, b = jnp.ones((7, 64, 32)), jnp.ones((7, 32, 128))
    assert read(jnp.matmul, a, b).flops == 2 * 7 * 64 * 32 * 128


def test_of_a_conditional_the_dearest_branch_counts_or_the_cheapest():
    def function(x, w, twice):
        return jax.lax.cond(twice, lambda: x @ w @ w, lambda: x @ w)

    x, w = jnp.ones((64, 256)), jnp.ones((256, 256))
    lowered = jax.jit(function).lower(x, w, jnp.bool_(True))
    text = program.parse(lowered.compile().as_text())
    once = 2 * 64 * 256 * 256
    assert costs.cost(text, "ENTRY").flops == 2 * once
    assert costs.cost(text, "ENTRY", branch=min).flops == once


def test_collectives_count_what_a_chip_sends():
    mesh = jax.make_mesh((8,), ("x",), axis_types=(AxisType.Auto,))
    spec = PartitionSpec("x")
    sharded = jax.device_put(jnp.ones((64, 128)), NamedSharding(mesh, spec))

    def repeated(x):
        def body(x, _):
            return jax.lax.psum(x, "x") / 8, None

        return jax.lax.scan(body, x, None, length=4)[0]

    def gathered(x):
        return jax.lax.all_gather(x, "x", tiled=True)

    def on(function, out):
        return read(
            jax.shard_map(function, mesh=mesh, in_specs=spec, out_specs=out, check_vma=False),
            sharded,
        )

    size = 64 * 128 * 4
    reduced, whole = on(repeated, spec), on(gathered, PartitionSpec())
    assert reduced.all_reduce == 4 * 2 * 7 / 8 * size / 8 and reduced.all_gather == 0
    assert whole.all_gather == 7 / 8 * size and whole.ici == whole.all_gather


TPU = """
%body (p: (s32[], f32[8,4096,64])) -> (s32[], f32[8,4096,64]) {
  %p = (s32[], f32[8,4096,64]{2,1,0}) parameter(0)
  %i = s32[] get-tuple-element(%p), index=0
  %two = s32[] constant(2)
  %next = s32[] add(%i, %two)
  %x = f32[8,4096,64]{2,1,0} get-tuple-element(%p), index=1
  ROOT %t = (s32[], f32[8,4096,64]{2,1,0}) tuple(%next, %x)
}

%condition (p: (s32[], f32[8,4096,64])) -> pred[] {
  %p.1 = (s32[], f32[8,4096,64]{2,1,0}) parameter(0)
  %limit = s32[] constant(8)
  %i.1 = s32[] get-tuple-element(%p.1), index=0
  ROOT %less = pred[] compare(%i.1, %limit), direction=LT
}

ENTRY %main (a: bf16[1024,4,512], b: bf16[4,512,128]) -> bf16[1024,4,128] {
  %a = bf16[1024,1,512]{2,1,0} parameter(0)
  %b = bf16[4,512,128]{2,1,0:S(1)} parameter(1)
  ROOT %c = bf16[1024,4,128]{2,1,0} convolution(%a, %b), WINDOW
}
""".replace("WINDOW", "window={size=4 pad=3_3 rhs_reversal=1}, dim_labels=b0f_0io->b0f")


def test_a_loop_that_was_unrolled_runs_less_often():
    parsed = program.parse(TPU)
    text = "%w = (s32[], f32[]) while(%start), condition=%condition, body=%body"
    loop = program.Op("w", "while", "", "(%start)", text, False)
    assert program.trips(parsed, {}, loop) == 4


def test_places_in_the_padding_of_a_convolution_cost_nothing():
    cost = costs.cost(program.parse(TPU), "ENTRY")
    assert cost.flops == 2 * 1024 * 512 * (4 * 128)  # one place of the window each
    assert cost.hbm == 2 * (1024 * 512 + 1024 * 4 * 128)  # the operand in S(1) is on the chip


# --- Lengths -------------------------------------------------------------------------------------


@pytest.mark.parametrize("mean, longest", [(2000, 6144), (6000, 6144), (32, 128)])
def test_lengths_have_the_mean_and_the_bound(mean, longest):
    found = lengths.lognormal(512, mean, longest, 0.8, seed=0)
    assert found.max() <= longest and found.min() >= 1
    assert found.mean() == pytest.approx(mean, rel=0.01)
    assert np.median(found) < mean or mean > 0.9 * longest


def test_equal_lengths_fill_all_slots_to_the_end():
    shapes = Shapes(slots=4, columns=64, chunk=8, prompt=8, prompts=2, starts=2)
    done = lengths.schedule(shapes, np.full(8, 16), samples_per_prompt=4)
    assert done == lengths.Schedule(steps=32, chunks=4, prefills=1, inserts=4)


# --- The command ---------------------------------------------------------------------------------


QWEN3 = (PUBLISHED, "--model=qwen3_8b")
FEWER = "--config.generation.slots=64"  # on 8 GPUs of 80 GB


def plan(capsys, *flags):
    code = command.main(flags)
    return code, *capsys.readouterr()


def test_a_plan_for_gpus_is_marked_as_arithmetic(capsys, tmp_path):
    file = tmp_path / "plan.json"
    flags = (*QWEN3, "--topology=h100:8", FEWER, "--price=2", f"--json={file}")
    code, text, _ = plan(capsys, *flags)
    assert code == 0 and "by arithmetic alone, nothing was compiled" in text
    data = json.loads(file.read_text())
    # parameters and teacher fp32, moments bf16, on 8 chips
    assert data["memory"]["state"] == pytest.approx(8.19e9 * 12 / 8, rel=0.01)
    assert data["memory"]["left"] > 0 and data["arithmetic_alone"]
    assert plan(capsys, *flags, "--config.fd.teacher_dtype=bfloat16")[0] == 0
    smaller = json.loads(file.read_text())["memory"]["state"]
    assert smaller == pytest.approx(8.19e9 * 10 / 8, rel=0.01)
    e = data["estimate"]
    assert e["step"] == pytest.approx(e["sampling"] + e["update"] + e["lean_wait"])
    assert 0 < e["mfu"] < 1 and e["workers_needed"] > 1
    assert e["price_step"] == pytest.approx(2 * 8 * e["step"] / 3600)
    assert sum(data["step"]["parts"].values()) == pytest.approx(e["step"])


def test_more_price_more_lean_more_tokens(capsys, tmp_path):
    def of(*flags):
        file = tmp_path / "plan.json"
        same = (*QWEN3, "--topology=h100:8", FEWER, f"--json={file}")
        assert plan(capsys, *same, *flags)[0] == 0
        return json.loads(file.read_text())["estimate"]

    little, much = of("--response=1000"), of("--response=3000")
    assert much["sampling"] > 1.5 * little["sampling"] and much["update"] > little["update"]
    assert of("--lean-seconds=0")["workers_needed"] == 0
    fast, slow = of("--lean-seconds=1"), of("--lean-seconds=100")
    assert fast["lean_wait"] == 0 < slow["lean_wait"]
    assert slow["workers_needed"] == pytest.approx(100 * fast["workers_needed"], rel=0.3)


def test_a_search_ranks_what_fits(capsys, tmp_path):
    file = tmp_path / "plan.json"
    flags = (*QWEN3, FEWER, "--topology=a100:8", "--search", f"--json={file}")
    code, text, _ = plan(capsys, *flags)
    found = json.loads(file.read_text())
    steps = [x["estimate"]["step"] for x in found if x["estimate"]["fits"]]
    assert code == 0 and steps == sorted(steps) and len(steps) > 2
    assert len({(tuple(x["mesh"].values()), x["tokens"]) for x in found}) == len(found)
    assert text.count("arithmetic") == len(found)


@pytest.mark.parametrize(
    "flags, message",
    [
        (["--topology=v5x:4x4"], "unknown kind of chip, known are v5e, v6e, v5p, h100, h200, a1"),
        (["--topology=h100"], "write h100:4x4 or h100:8"),
        (["--topology=h100:8", "--model=qwen3_9b"], "did you mean qwen3_8b?"),
        (["--topology=h100:8", "--config.mesh.tensor=3"], "mesh {'replica': 1, 'fsdp': 2, 'tenso"),
        (["--topology=h100:8", "--config.mesh.fsdp=4"], "is not one of 8 devices"),
        (["--topology=h100:8", "--stage=sft"], "--stage=sft: no stage with rollouts, as fd"),
        (["--topology=h100:8", "--response=7000"], "the mean is above --longest=6144"),
        (["--topology=h100:8", "--prompt=9000"], "the mean is above prompt.student_buckets=2048"),
        (["--topology=h100:8", "--prompt=0"], "--prompt=0: must be above 0"),
        (["--topology=h100:8", "--shapes=0"], "--shapes=0: must be above 0"),
        (["--topology=h100:8", "--lean-seconds=-1"], "--lean-seconds=-1: must be at least 0"),
        (["--topology=h100:8", "--search=0"], "--search=0: must be above 0"),
        (["--topology=h100:8", "--lean-workers=-3"], "--lean-workers=-3: must be above 0"),
        (["--topology=h100:8", "--config.generation.memory_gb=0.01", "--search"], "memory_gb=0.01"),
        (["--topology=h100:8", "--config.mesh.replica=3", "--search"], "no mesh of h100:8"),
        (["--topology=h100:8", "--config.prompt.response_length=40000"], "max_positions"),
        (["--topology=h100:8", "--config.fd.steps=0"], "fd.steps is 0, must be at least 1"),
        ([], "--config=RECIPE and --topology=KIND:SHAPE are needed"),
    ],
)
def test_what_cannot_be_planned_is_named(capsys, flags, message):
    code, _, error = plan(capsys, PUBLISHED, "--model=qwen3_8b", *flags)
    assert code == 2 and error.startswith("error: ") and message in error


def test_without_tpus_compiler_it_says_how_to_install_it(capsys, monkeypatch):
    monkeypatch.setattr(slices, "has_compiler", lambda: False)
    code, _, error = plan(capsys, PUBLISHED, "--model=qwen3_8b", "--topology=v5e:4x4")
    assert code == 2 and "pip install -e '.[tpu]'" in error


def test_a_plan_that_does_not_fit_says_by_how_much(capsys):
    code, text, _ = plan(capsys, PUBLISHED, "--model=qwen3_32b", "--topology=a100:2")
    assert code == 1 and "does not fit, over by" in text
    code, text, _ = plan(capsys, PUBLISHED, "--model=qwen3_32b", "--topology=a100:2", "--search")
    assert code == 1 and text.count("does not fit") > 2


def counted(capsys, tmp_path, *flags):
    """The figures of a plan by arithmetic."""
    file = tmp_path / "plan.json"
    plan(capsys, *flags, f"--json={file}")
    return json.loads(file.read_text())


def updates_of(data):
    return {name: f for name, f in data["functions"].items() if name.startswith("update ")}


def test_decoding_off_tpus_holds_copies_of_the_columns_that_it_reads(capsys, tmp_path):
    flags = (*QWEN3, "--topology=h100:8", "--config.generation.memory_gb=None")
    data = counted(capsys, tmp_path, *flags)
    cache, columns = data["memory"]["keys and values"], data["columns"]
    assert columns == 8320  # a chunk reads 2,080, 4,160, 6,240 or all; 64 are written
    temporary = data["functions"]["decode, a token"]["temporary"]
    assert temporary > cache * (6240 + 64) / columns
    assert data["memory"]["left"] < 0


def test_caches_of_waiting_episodes_count(capsys, tmp_path):
    flags = (*QWEN3, "--topology=h100:8", "--config.generation.slots=32")
    single = counted(capsys, tmp_path, *flags)
    episodes = counted(capsys, tmp_path, *flags, "--config.environment.name=repair")
    assert single["slots"] == episodes["slots"] == 32
    stored = episodes["memory"]["keys and values"] / episodes["columns"]
    assert stored / (single["memory"]["keys and values"] / single["columns"]) == 1.75


def test_parts_that_take_turns_learn_in_their_share_of_the_steps(capsys, tmp_path):
    def of(stage):
        flags = ("--config=configs/fd_grpo.py", f"--stage={stage}", "--topology=h100:1")
        return counted(capsys, tmp_path, *flags)

    both, turns = of("weighted"), of("alternating")
    shapes = updates_of(both)
    assert shapes.keys() == updates_of(turns).keys()
    for name, shape in updates_of(turns).items():
        assert shape["calls"] == shapes[name]["calls"] / 2
    assert turns["estimate"]["padding"] == pytest.approx(both["estimate"]["padding"])
    assert turns["estimate"]["mfu"] == pytest.approx(both["estimate"]["mfu"], rel=0.02)


@pytest.mark.parametrize("kernel", ["cudnn", "splash"])
def test_a_kernel_of_another_platform_can_be_counted(capsys, tmp_path, kernel):
    flags = (*QWEN3, "--topology=h100:8", FEWER)
    named = counted(capsys, tmp_path, *flags, f"--config.model.attention={kernel}")
    assert named["memory"] == counted(capsys, tmp_path, *flags)["memory"]


def test_copies_of_the_model_gather_no_more(capsys, tmp_path):
    """Parameters are cut over fsdp and tensor alone; replicas add their gradients up."""

    def largest(*flags):
        data = counted(capsys, tmp_path, *QWEN3, *flags)
        return max(updates_of(data).values(), key=lambda f: f["flops"])

    one, two = (
        largest("--topology=h100:8"),
        largest("--topology=h100:16", "--config.mesh.replica=2"),
    )
    for kind in ("all_gather", "reduce_scatter"):
        assert one[kind] == two[kind] > 0
    gradient = 4 * 8.19e9
    assert one["reduce_scatter"] == pytest.approx(gradient * 7 / 8, rel=0.01)
    assert one["all_reduce"] == 0
    assert two["all_reduce"] == pytest.approx(gradient / 8, rel=0.01)  # 2 x 1/2 of the shard
    few = largest("--topology=h100:8", "--config.model.lora_rank=16", "--config.init_from=x")
    assert few["reduce_scatter"] < 0.02 * one["reduce_scatter"]
    assert few["flops"] < 0.85 * one["flops"]


def test_prompts_are_padded_to_the_least_bucket(capsys, tmp_path):
    flags = (*QWEN3, "--topology=h100:8", "--prompt=200", "--teacher-prompt=400")
    shapes = updates_of(counted(capsys, tmp_path, *flags))
    assert shapes and all("x (512+" in name and ", 1024+" in name for name in shapes)


SLICES = {
    "v5e-16": ("v5e", 16, "qwen3_8b"),
    "v6e-16": ("v6e", 16, "qwen3_8b"),
    "v5p-64": ("v5p", 64, "qwen3_32b"),
    "v5e-64": ("v5e", 64, "gemma3_12b"),
}


@pytest.mark.parametrize("name", SLICES)
def test_the_sizes_for_slices_fit_by_arithmetic(name):
    """By the compiler: benchmarks/update_roofline.py."""
    kind, count, shape = SLICES[name]
    recipe = f"configs/published.py:{name}"
    config, chip = command.parse(command.load(recipe, [])), chips.CHIPS[kind]
    where = slices.Slice(name, chip, [slices.Absent(i, kind) for i in range(count)])
    given = estimate.Assumed(600, 1200, 2000, 6144, 0.8, lean=10.0, price=None, workers=None)
    model = pod.read_model(config, recipe, shape)
    what = search.Question(config, config.blocks["fd"], model, where, given)
    found = search.answer(what, compile_=False)
    assert found.estimate.fits
    assert found.pod.training.devices.size == found.pod.decoding.devices.size == count


@pytest.mark.parametrize("name", ["", *SLICES])
def test_grpo_has_the_sizes_of_fd(name):
    config = command.load(f"configs/published.py:{name}" if name else "configs/published.py", [])
    fd, grpo = config.fd, config.grpo
    assert fd.optimizer.learning_rate == 1e-6
    assert grpo.optimizer.to_dict() == fd.optimizer.to_dict()
    for field in ("prompts_per_step", "samples_per_prompt", "pipeline_depth", "save_every"):
        assert grpo[field] == fd[field]


def test_a_slice_without_sizes_is_named(capsys):
    flags = ("--config=configs/published.py:v4-8", "--model=qwen3_8b", "--topology=h100:8")
    code, _, error = plan(capsys, *flags)
    assert code == 2 and "known are v5e-16, v6e-16" in error


# --- Model and mesh ------------------------------------------------------------------------------


def test_the_shape_of_a_folder_without_weights(tmp_path):
    model = from_fields(qwen3.shape("1.7b"))
    (tmp_path / "config.json").write_text(json.dumps(hf.config_json(model, "bfloat16")))
    flags = [("init_from", str(tmp_path)), ("model.dtype", "bfloat16")]
    config = command.parse(command.load("configs/published.py", flags))
    found = pod.read_model(config, "configs/published.py", None)
    assert (found.width, found.num_layers, found.dtype) == (2048, 28, "bfloat16")


def test_an_axis_without_a_size_takes_what_is_left():
    devices = slices.find_slice("h100:8").devices
    mesh = pod.lay_mesh(MeshConfig(replica=1, fsdp=None, tensor=2), devices)
    assert dict(mesh.shape) == {"replica": 1, "fsdp": 4, "tensor": 2}
    with pytest.raises(ConfigError, match="is not one of 8 devices"):
        pod.lay_mesh(MeshConfig(replica=1, fsdp=3, tensor=2), devices)
