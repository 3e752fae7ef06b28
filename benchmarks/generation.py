"""The engine of slots against a sampler of whole batches, on the same model and the same lengths.

    python benchmarks/generation.py [mixed] [equal] [run] [--repeats=3]

mixed: lognormal lengths, mean 32, longest 128; both have the same memory for keys and values. A
batch ends with its longest sample; a slot takes the next sample.
equal: all samples have 64 tokens, which is what a batch is best at.
run:   all that `make run` samples, with lengths like its own.

Prints tokens/s (medians of interleaved repeats) and ratios. Exit code 1 if the engine is less than
2.2 times as fast on mixed lengths, or slower by more than 5 % elsewhere. A training step of
`make run`'s model is timed for comparison.
"""

import argparse
import functools
import statistics
import sys
import time
from typing import NamedTuple

import jax
import numpy as np
import optax
from batch_sampler import sample

from fdjax.config import GenerationConfig
from fdjax.models import decoding, transformer
from fdjax.models.config import ModelConfig
from fdjax.rollout import engine
from fdjax.rollout.scheduler import Figures, Sample, Shapes, Written, plan, run
from fdjax.runtime import sharding

TOGETHER = 16  # prompts of a batch
PROMPT = 48  # tokens
NEVER = np.array([-1], np.int32)  # no stop id: budgets end the samples
MIXED, EQUAL, RUN = 2.2, 0.95, 0.95

SMALL = ModelConfig(512)
LARGE = ModelConfig(  # a Qwen3 of 20 M parameters
    16384,
    width=384,
    num_layers=8,
    num_heads=6,
    num_kv_heads=2,
    head_dim=64,
    mlp_width=1152,
    rope_theta=1e6,
)


class Work(NamedTuple):
    """Samples of some prompts, and how many tokens each will have."""

    config: ModelConfig
    params: transformer.Params
    prompts: np.ndarray  # i32[B, PROMPT]
    lengths: np.ndarray  # i32[B, G]
    longest: int  # the room that a sample has


def make_work(config, prompts, samples, longest, draw_lengths) -> Work:
    rng = np.random.default_rng(0)
    lengths = draw_lengths(rng, (prompts, samples))
    lengths = np.clip(np.round(lengths), 1, longest).astype(np.int32)
    lengths[0, 0] = longest
    params = jax.jit(transformer.init, static_argnums=0)(config, jax.random.key(0))
    tokens = rng.integers(0, config.vocab_size, (prompts, PROMPT), np.int32)
    return Work(config, params, tokens, lengths, longest)


def lognormal(rng, shape, mean=32, sigma=0.8):
    return rng.lognormal(np.log(mean) - sigma**2 / 2, sigma, shape)


def like_a_run(rng, shape):
    return np.maximum(rng.normal(14, 5, shape), 5)


# --- The two -------------------------------------------------------------------------------------


def batches(work: Work) -> list[np.ndarray]:
    """The responses of each batch, by the sampler of whole batches."""
    out = []
    for start in range(0, len(work.prompts), TOGETHER):
        prompts = work.prompts[start : start + TOGETHER]
        budgets = work.lengths[start : start + TOGETHER]
        keys = _keys(start, *budgets.shape)
        args = work.config, work.params, prompts, keys, budgets, np.float32(1), NEVER
        out.append(jax.device_get(sample(*args, max_new=work.longest)))
    return out


@functools.partial(jax.jit, static_argnums=(1, 2))
def _keys(start, *shape):
    return jax.random.split(jax.random.fold_in(jax.random.key(0), start), shape)


def slots(work: Work, memory_gb: float | None = None, temperature: float = 1.0) -> list[Written]:
    """The responses by the engine, the copy of the weights included. `memory_gb`: of keys and
    values; None: the default's slots.
    """
    mesh = sharding.decoding_mesh(sharding.make_mesh(), work.config)
    queue = [
        Sample(place, place, index, int(length))
        for place, lengths in enumerate(work.lengths)
        for index, length in enumerate(lengths)
    ]
    return list(
        run(
            make_shapes(work, memory_gb),
            work.config,
            decoding.weights(work.config, work.params, mesh),
            mesh,
            work.prompts.tolist(),
            queue,
            engine.Drawing(np.float32(temperature), NEVER),
            jax.random.key(0),
            Figures(len(queue)),
        )
    )


def make_shapes(work: Work, memory_gb: float | None) -> Shapes:
    settings = GenerationConfig(slots=512, memory_gb=memory_gb) if memory_gb else GenerationConfig()
    mesh = sharding.decoding_mesh(sharding.make_mesh(), work.config)
    samples = work.lengths.size
    return plan(settings, work.config, mesh, samples=samples, prompt=PROMPT, response=work.longest)


def column_gb(config: ModelConfig) -> float:
    """Of a token's keys and values."""
    c = config
    return 2 * c.num_layers * c.num_kv_heads * c.head_dim * np.dtype(c.dtype).itemsize / 1e9


# --- Cases ---------------------------------------------------------------------------------------


def interleaved(functions: dict, repeats: int) -> dict[str, float]:
    """Median seconds of each, taking turns, after one call of each for compilation."""
    times = {name: [] for name in functions}
    for repeat in range(repeats + 1):
        for name, function in functions.items():
            begun = time.perf_counter()
            jax.block_until_ready(function())
            if repeat:
                times[name].append(time.perf_counter() - begun)
    return {name: statistics.median(t) for name, t in times.items()}


def compare(
    name: str, work: Work, repeats: int, memory_gb: float | None = None
) -> dict[str, float]:
    functions = {
        "engine": functools.partial(slots, work, memory_gb),
        "batches": functools.partial(batches, work),
    }
    for written in slots(work, memory_gb):
        if len(written.tokens) != work.lengths.flat[written.sample]:
            raise RuntimeError(f"sample {written.sample} has {len(written.tokens)} tokens")
    seconds = interleaved(functions, repeats)
    tokens = int(work.lengths.sum())
    print(
        f"{name}: {work.lengths.shape[0]} prompts x {work.lengths.shape[1]}, "
        f"{tokens / work.lengths.size:.1f} tokens of {work.longest}: engine "
        f"{tokens / seconds['engine']:,.0f} tokens/s, batches "
        f"{tokens / seconds['batches']:,.0f}, ratio {seconds['batches'] / seconds['engine']:.2f}",
        flush=True,
    )
    return seconds


def reached(name: str, seconds: dict[str, float], bound: float) -> bool:
    ratio = seconds["batches"] / seconds["engine"]
    print(f"{name}: {ratio:.2f} times as fast, must be {bound}: {'ok' if ratio >= bound else 'NO'}")
    return ratio >= bound


def mixed(repeats: int) -> bool:
    work = make_work(LARGE, 64, 8, 128, lognormal)
    columns = TOGETHER * (PROMPT + work.lengths.shape[1] * work.longest)
    memory_gb = columns * column_gb(LARGE)
    count = make_shapes(work, memory_gb).slots
    print(f"mixed: a batch has {memory_gb * 1e3:.0f} MB of keys and values, as {count} slots have")
    return reached("mixed", compare("mixed", work, repeats, memory_gb), MIXED)


def equal(repeats: int) -> bool:
    work = make_work(LARGE, 16, 8, 64, lambda rng, shape: np.full(shape, 64))
    return reached("equal", compare("equal", work, repeats), EQUAL)


def whole_run(repeats: int) -> bool:
    """A part of each kind of sampling in `make run`, times what it has of it."""
    evaluated = 2 * 2 * (96 + 200)  # theorems: two stages at two temperatures
    parts = {
        "run, a step": (16, 8, 100),
        "run, for sft's feedback": (480, 2, 6000 / 480),
        "run, evaluation": (96, 64, evaluated / 96),
    }
    total = {"engine": 0.0, "batches": 0.0}
    for name, (prompts, samples, times) in parts.items():
        work = make_work(SMALL, prompts, samples, 28, like_a_run)
        few = prompts * samples < 1000
        seconds = compare(name, work, repeats * 7 if few else repeats)
        total = {key: total[key] + times * seconds[key] for key in total}
    print(f"run: engine {total['engine']:.1f} s in all, batches {total['batches']:.1f} s")
    training_speed(repeats)
    return reached("run", total, RUN)


def training_speed(repeats: int) -> None:
    """Next-token loss, gradient and Adam: an upper bound on the speed of training."""
    config, optimizer = SMALL, optax.adam(3e-4)

    def loss(params, tokens):
        hidden = transformer.hidden_states(
            config, params, tokens, jax.numpy.ones(tokens.shape, bool)
        )
        logits = hidden[:, :-1] @ transformer.unembedding(params)
        return optax.softmax_cross_entropy_with_integer_labels(logits, tokens[:, 1:]).mean()

    @jax.jit
    def step(params, opt_state):
        updates, opt_state = optimizer.update(jax.grad(loss)(params, batch), opt_state, params)
        return optax.apply_updates(params, updates), opt_state

    batch = jax.random.randint(jax.random.key(3), (64, 64), 0, config.vocab_size)
    params = jax.jit(transformer.init, static_argnums=0)(config, jax.random.key(0))
    state = params, optimizer.init(params)
    seconds = interleaved({"train": lambda: step(*state)}, repeats)["train"]
    print(f"training 64 x 64 (forward, backward, Adam): {batch.size / seconds:,.0f} tokens/s")


CASES = {"mixed": mixed, "equal": equal, "run": whole_run}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="*", help=f"of {', '.join(CASES)}; all if there are none")
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    return 0 if all([CASES[case](args.repeats) for case in args.cases or CASES]) else 1


if __name__ == "__main__":
    sys.exit(main())
