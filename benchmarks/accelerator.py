"""What a GPU or a TPU makes of attention, generation and updates, at the size that people train.

    python benchmarks/accelerator.py [0.6b] [1.7b] [--minutes=9] [--tiny]

attention: the kernel of the platform (cuDNN on a GPU, splash on a TPU) and XLA's blocks, at the
heads of Qwen3-0.6B and -8B: forward, forward with backward, and how far both are from XLA's in
fp32. Then for each size, random weights in the shape of Qwen3: FD's update with each kernel and
GRPO's (tokens/s, MFU), generation (tokens/s, share of the bandwidth that weights and live keys and
values need), and log-probabilities in bf16 against fp32.

Compilation is not timed. A part that fails is reported, and the next begins; none begins after
`--minutes`. The last line is JSON of all figures. `peak_gb`: the most that the device held so far.

So far this has not been run on an accelerator. `--tiny` runs all of it on a CPU in a minute, with
kernels that only compute what the real ones would: its figures say nothing.
"""

import argparse
import functools
import gc
import json
import os
import statistics
import sys
import time
from types import SimpleNamespace
from typing import Any, NamedTuple

os.environ.setdefault("XLA_PYTHON_CLIENT_MEM_FRACTION", "0.92")  # before JAX begins

import jax
import jax.numpy as jnp
import numpy as np
from generation import NEVER
from updates import full, make_batch

from fdjax.config import DistillationStage, GenerationConfig, MeshConfig, PolicyGradientStage
from fdjax.models import attention, attention_kernels, decoding, transformer
from fdjax.models.config import ModelConfig
from fdjax.rollout import engine
from fdjax.rollout.scheduler import Figures, Sample, plan, run
from fdjax.runtime import chips, sharding
from fdjax.training import build

QWEN3 = {
    "0.6b": {"width": 1024, "mlp_width": 3072},
    "1.7b": {"width": 2048, "mlp_width": 6144},
}
STAGES = {"fd": DistillationStage(), "grpo": PolicyGradientStage()}


class Sizes(NamedTuple):
    models: dict[str, ModelConfig]
    heads: list[tuple[int, int]]  # of queries, of keys and values
    head_dim: int
    lengths: list[int]  # tokens of a row of attention
    tokens: int  # of all its rows
    prompt: int
    teacher: int
    response: int
    rows: int  # of an update
    samples: int  # of each of 16 prompts


def full_sizes() -> Sizes:
    def shape(fields):
        same = dict(num_layers=28, num_heads=16, num_kv_heads=8, head_dim=128, rope_theta=1e6)
        return ModelConfig(151_936, dtype="bfloat16", remat=True, **same, **fields)

    models = {name: shape(fields) for name, fields in QWEN3.items()}
    return Sizes(
        models, [(16, 8), (32, 8)], 128, [1024, 4096, 8192], 16_384, 512, 1024, 2048, 32, 16
    )


def tiny_sizes() -> Sizes:
    shape = ModelConfig(
        64, width=32, num_layers=2, num_heads=4, num_kv_heads=2, head_dim=8, dtype="bfloat16"
    )
    return Sizes({name: shape for name in QWEN3}, [(4, 2)], 8, [64], 128, 8, 16, 16, 4, 2)


# --- Attention -----------------------------------------------------------------------------------


def kernels() -> dict[str, Any]:
    """(query, key, value, mask) -> out, by name; on a CPU what cuDNN's would compute, by XLA."""
    named = {"xla": functools.partial(attention.causal, implementation="xla")}
    match jax.default_backend():
        case "gpu":
            return named | {"cudnn": attention_kernels.cudnn}
        case "tpu":
            return named | {"splash": attention_kernels.splash}
    return named | {"cudnn": functools.partial(attention_kernels.cudnn, implementation="xla")}


def compare_attention(sizes: Sizes, heads: tuple[int, int], length: int) -> dict[str, Any]:
    """Of rows with pads on both sides, as prompts and answers leave them."""
    (N, K), H, B = heads, sizes.head_dim, max(1, sizes.tokens // length)
    keys = jax.random.split(jax.random.key(0), 4)
    shapes = [(B, length, count, H) for count in (N, K, K, N)]
    *arrays, cotangent = (jax.random.normal(key, s, "bfloat16") for key, s in zip(keys, shapes))
    arrays[0] /= H**0.5
    columns = jnp.arange(length)[None]
    mask = jnp.broadcast_to(
        (columns >= length // 8) & (columns < length - length // 8), (B, length)
    )

    def forward(attend, *arrays):
        return jnp.where(mask[..., None, None], attend(*arrays, mask), 0)

    def gradients(attend, *arrays):
        out, back = jax.vjp(functools.partial(forward, attend), *arrays)
        return out, *back(cotangent.astype(out.dtype))

    exact = jax.jit(functools.partial(gradients, kernels()["xla"]))
    with jax.default_matmul_precision("highest"):
        reference = jax.device_get(exact(*(x.astype("float32") for x in arrays)))
    found = {}
    for name, attend in kernels().items():
        ahead, both = (jax.jit(functools.partial(f, attend)) for f in (forward, gradients))
        apart = jax.tree.map(_distance, jax.device_get(both(*arrays)), reference)
        found[name] = {
            "forward_ms": 1e3 * seconds(lambda f=ahead: f(*arrays)),
            "both_ms": 1e3 * seconds(lambda f=both: f(*arrays)),
            "out_apart": apart[0],
            "gradients_apart": max(apart[1:]),
        }
    return found


def _distance(a, b):
    """The norm of the difference over the norm of b."""
    return float(np.linalg.norm(a.astype(np.float64) - b) / np.linalg.norm(b))


def seconds(function, repeats: int = 5) -> float:
    """The median, after one call for compilation."""
    times = []
    for _ in range(repeats + 1):
        begun = time.perf_counter()
        jax.block_until_ready(function())
        times.append(time.perf_counter() - begun)
    return statistics.median(times[1:])


# --- Updates -------------------------------------------------------------------------------------


def imitated_run(sizes: Sizes, model: ModelConfig) -> Any:
    """What an update reads of a run."""
    prompts = SimpleNamespace(student_buckets=(sizes.prompt,), teacher_buckets=(sizes.teacher,))
    generator = SimpleNamespace(mesh=sharding.make_mesh(), model=model, prompts=prompts)
    return SimpleNamespace(config=SimpleNamespace(mesh=MeshConfig(), seed=0), generator=generator)


def of_batch(sizes: Sizes, model: ModelConfig, name: str) -> Any:
    """With answers of full length: a microbatch has one shape, without padding."""
    lengths = dict(teacher=sizes.teacher, longest=sizes.response, draw_lengths=full)
    return make_batch(name, model, sizes.rows, own=sizes.prompt, **lengths)


def time_update(sizes: Sizes, model: ModelConfig, name: str, repeats: int = 2) -> dict[str, Any]:
    stage, pretended, batch = STAGES[name], imitated_run(sizes, model), of_batch(sizes, model, name)
    held = build.init_state(pretended, None, stage)
    update = build.make_batch_update(pretended, stage, held)
    times = []
    for _ in range(repeats + 1):
        begun = time.perf_counter()
        held, metrics = update(held, batch)
        jax.block_until_ready(held)
        times.append(time.perf_counter() - begun)
    masks = [getattr(batch, x) for x in batch._fields if x.endswith("attention_mask")]
    middle = statistics.median(times[1:])
    return {
        "seconds": middle,
        "tokens_per_second": sum(int(mask.sum()) for mask in masks) / middle,
        "mfu": metrics.get("mfu"),  # of the last one; None: no peak is known
        "microbatches": metrics["microbatches"],
        "loss": metrics["loss"],
    }


# --- Generation ----------------------------------------------------------------------------------


def time_generation(sizes: Sizes, model: ModelConfig) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    prompts = rng.integers(0, model.vocab_size, (16, sizes.prompt), np.int32)
    lengths = rng.integers(sizes.response // 4, sizes.response + 1, (16, sizes.samples), np.int32)
    mesh = sharding.decoding_mesh(sharding.make_mesh(), model)
    weights = decoding.weights(model, random_params(model), mesh)
    how = dict(samples=lengths.size, prompt=sizes.prompt, response=sizes.response)
    shapes = plan(GenerationConfig(), model, mesh, **how)
    queue = [
        Sample(place, place, index, int(length))
        for place, row in enumerate(lengths)
        for index, length in enumerate(row)
    ]

    def generate() -> Figures:
        figures, drawing = Figures(len(queue)), engine.Drawing(np.float32(1), NEVER)
        key = jax.random.key(0, impl="threefry2x32")
        list(run(shapes, model, weights, mesh, prompts.tolist(), queue, drawing, key, figures))
        return figures

    generate()  # compiles
    begun = time.perf_counter()
    figures = generate()
    taken, peak = time.perf_counter() - begun, chips.peaks(mesh).bandwidth
    return {
        "seconds": taken,
        "tokens_per_second": figures.tokens / taken,
        "slots": shapes.slots,
        "ms_per_step": 1e3 * taken / figures.steps,
        "bandwidth": chips.share("x", figures.bytes_read, figures.seconds, peak).get("x"),
    }


def random_params(model: ModelConfig) -> transformer.Params:
    """With logits as far apart as those of a trained model."""
    params = jax.jit(transformer.init, static_argnums=0)(model, jax.random.key(0))
    return params | {"embedding": 5 * params["embedding"]}


# --- Arithmetic ----------------------------------------------------------------------------------


def compare_logprobs(sizes: Sizes, model: ModelConfig) -> dict[str, Any]:
    """Of answers, in bf16 and with all products in fp32; nats."""
    batch, params = of_batch(sizes, model, "grpo"), random_params(model)
    batch = jax.tree.map(lambda x: x[:2], batch)
    coarse = build.make_score(imitated_run(sizes, model), STAGES["grpo"])(params, batch)
    exact = ModelConfig(**vars(model) | {"dtype": "float32", "attention": "xla"})
    with jax.default_matmul_precision("highest"):
        fine = build.make_score(imitated_run(sizes, exact), STAGES["grpo"])(params, batch)
    apart = np.abs(coarse - fine)
    return {"mean_apart": float(apart.mean()), "most_apart": float(apart.max())}


# --- All -----------------------------------------------------------------------------------------


def parts(sizes: Sizes, names: list[str]) -> dict[str, Any]:
    """What is measured, by name and in this order."""
    found = {}
    for heads in sizes.heads:
        for length in sizes.lengths:
            name = f"attention {heads[0]}/{heads[1]} x {length}"
            found[name] = functools.partial(compare_attention, sizes, heads, length)
    own = [name for name in kernels() if jax.default_backend() != "cpu" or name == "xla"]
    for name in names:
        for kernel in own:
            model = ModelConfig(**vars(sizes.models[name]) | {"attention": kernel})
            found[f"{name} fd, {kernel}"] = functools.partial(time_update, sizes, model, "fd")
        found[f"{name} grpo, {kernel}"] = functools.partial(time_update, sizes, model, "grpo")
        found[f"{name} generation"] = functools.partial(time_generation, sizes, model)
        found[f"{name} logprobs"] = functools.partial(compare_logprobs, sizes, model)
    return found


def measure(sizes: Sizes, names: list[str], minutes: float) -> dict[str, Any]:
    begun, results = time.monotonic(), {}
    for name, part in parts(sizes, names).items():
        if time.monotonic() - begun > 60 * minutes:
            results[name] = {"left_out": f"after {minutes:g} minutes"}
        else:
            try:
                results[name] = part()
            except Exception as error:  # of one kernel or size: the others are worth knowing
                results[name] = {"failed": f"{type(error).__name__}: {error}"[:500]}
        gc.collect()
        memory = jax.devices()[0].memory_stats() or {}
        if "peak_bytes_in_use" in memory:
            results[name]["peak_gb"] = memory["peak_bytes_in_use"] / 1e9
        print(f"{name}: {shown(results[name])}", flush=True)
    return results


def shown(figures: Any) -> str:
    if isinstance(figures, dict):
        return ", ".join(f"{name} {shown(value)}" for name, value in figures.items())
    return f"{figures:.4g}" if isinstance(figures, float) else str(figures)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sizes", nargs="*", help=f"of {', '.join(QWEN3)}; all if there are none")
    parser.add_argument("--minutes", type=float, default=9, help="no part begins after them")
    parser.add_argument("--tiny", action="store_true", help="does it run? On any device")
    args = parser.parse_args(argv)
    names = args.sizes or list(QWEN3)
    if unknown := set(names) - set(QWEN3):
        parser.error(f"no such size: {', '.join(sorted(unknown))}; known are {', '.join(QWEN3)}")
    if jax.default_backend() == "cpu" and not args.tiny:
        print("not measured: there is no accelerator (--tiny shows that it runs)")
        return 0
    results = measure(tiny_sizes() if args.tiny else full_sizes(), names, args.minutes)
    device = jax.devices()[0].device_kind
    print(json.dumps({"device": device, "jax": jax.__version__, "tiny": args.tiny} | results))
    return 1 if any("failed" in figures for figures in results.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
