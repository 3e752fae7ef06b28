"""An update from microbatches of rows of like lengths, against the padded batch as one.

    python benchmarks/updates.py [mixed] [equal] [run] [--repeats=3]

mixed: FD and GRPO of 20 M parameters, lengths lognormal (mean 32, longest 128 tokens); at most 0.5
of the time of the padded batch. equal: the same with full lengths; run: `make run`'s model, rows
and lengths; at most 1.05 of the time. The peer is one program that scans parts of as many padded
tokens, with logits of all columns, as updates were before. They take turns; prints medians, their
ratio, and how far the movements of the parameters in the first update are apart. Exit code 1 if one
falls short.
"""

import argparse
import functools
import sys
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
from generation import LARGE, PROMPT, SMALL, interleaved, like_a_run, lognormal

from fdjax.batches.microbatches import microbatches, padding
from fdjax.config import DistillationStage, PolicyGradientStage
from fdjax.models import transformer
from fdjax.objectives import distillation, policy_gradient
from fdjax.objectives.chunked import chunked_sum
from fdjax.objectives.distillation import DistillationBatch
from fdjax.objectives.policy_gradient import PolicyGradientBatch
from fdjax.runtime import sharding
from fdjax.training import build, state, step

MIXED, SAME = 0.5, 1.05
STAGES = {"fd": DistillationStage(), "grpo": PolicyGradientStage()}


def make_batch(name: str, config, rows: int, teacher: int, longest: int, draw_lengths, own=PROMPT):
    """Rows of prompts of `own` tokens, for the teacher `teacher`, and answers of drawn lengths."""
    rng = np.random.default_rng(0)
    lengths = np.clip(np.round(draw_lengths(rng, (rows,))), 1, longest).astype(int)
    lengths[0] = longest
    response = rng.integers(0, config.vocab_size, (rows, longest), np.int32)
    wrote = np.arange(longest)[None] < lengths[:, None]
    logprobs = np.where(wrote, -rng.uniform(1, 5, wrote.shape), 0).astype(np.float32)

    def tokens_and_mask(prompt):
        read = rng.integers(0, config.vocab_size, (rows, prompt), np.int32)
        return np.hstack([read, response]), np.hstack([np.ones((rows, prompt), bool), wrote])

    student = tokens_and_mask(own)
    if name == "grpo":
        advantages = rng.normal(size=rows).astype(np.float32)
        return PolicyGradientBatch(*student, wrote, logprobs, logprobs, advantages)
    first = np.full(rows, longest, np.int32)
    weights, lines = wrote.astype(np.float32), np.zeros_like(response)
    return DistillationBatch(
        *student, *tokens_and_mask(teacher), wrote, weights, logprobs, first, lines
    )


def of_all_columns(*args, where_NR, **settings):
    return chunked_sum(*args, where_NR=jnp.ones_like(where_NR), **settings)


def fused(objective, optimizer, model, ema_rate):
    """(state, padded parts of the batch) -> state: one program that scans the parts."""
    parts = step.make_update(objective, optimizer, model, ema_rate=ema_rate)

    def update(made, stacked, denominator):
        def accumulate(gradient, rows):
            return parts.accumulate(made, gradient, rows, denominator)[0], None

        with (
            mock.patch.object(distillation, "chunked_sum", of_all_columns),
            mock.patch.object(policy_gradient, "chunked_sum", of_all_columns),
        ):
            gradient, _ = jax.lax.scan(accumulate, parts.zeros(made), stacked)
        return parts.apply(made, gradient, True)[0]

    return jax.jit(update, donate_argnums=0)


def compare(name: str, config, repeats: int, rows, teacher, longest, draw_lengths) -> float:
    """The ratio of the times, once both have left the same parameters."""
    stage = STAGES[name]
    batch = make_batch(name, config, rows, teacher, longest, draw_lengths)
    objective, model = build.make_objective(stage), build.objective_model(config)
    optimizer, mesh = build.stage_optimizer(stage), sharding.make_mesh()
    rate = stage.ema_rate if name == "fd" else 0.0
    init = functools.partial(transformer.init, config)
    start = functools.partial(
        state.create, init, jax.random.key(0), optimizer, mesh, with_teacher=name == "fd"
    )
    denominator = objective.denominator(batch)
    placed = state.shardings(start(), mesh)
    parts = step.make_update(objective, optimizer, model, ema_rate=rate, shardings=placed)
    whole = fused(objective, optimizer, model, rate)
    held = {"parts": start(), "whole": start()}
    before = sharding.fetch(held["whole"].params)
    cut = functools.partial(
        microbatches,
        tokens=stage.optimizer.microbatch_tokens,
        shards=1,
        prompts=sorted({PROMPT, teacher}),
    )

    count = -(-rows * (teacher + longest) // stage.optimizer.microbatch_tokens)
    stacked = jax.tree.map(lambda x: x.reshape(count, -1, *x.shape[1:]), batch)

    def by_parts():
        cuts = sharding.put([m.batch for m in cut(batch)], mesh)
        held["parts"], _ = step.learn(parts, held["parts"], cuts, denominator)
        return held["parts"]

    def by_whole():
        held["whole"] = whole(held["whole"], stacked, np.float32(denominator))
        return held["whole"]

    by_parts(), by_whole()
    moved = [jax.tree.map(np.subtract, sharding.fetch(h.params), before) for h in held.values()]
    apart = max(jax.tree.leaves(jax.tree.map(_distance, *moved)))
    seconds = interleaved({"parts": by_parts, "whole": by_whole}, repeats)
    ratio = seconds["parts"] / seconds["whole"]
    shapes = [m.batch[0].shape for m in cut(batch)]
    print(
        f"{name}: {rows} rows of {longest}: {len(shapes)} microbatches {sorted(set(shapes))}, "
        f"padding {padding([m.batch for m in cut(batch)]):.0%} against {padding([batch]):.0%}; "
        f"{seconds['parts']:.2f} s against {seconds['whole']:.2f} s: {ratio:.2f}; "
        f"movements differ by {apart:.1e}",
        flush=True,
    )
    return ratio


def _distance(a, b):
    return np.linalg.norm(a - b) / max(np.linalg.norm(b), 1e-30)


def full(rng, shape):
    return np.full(shape, 10**6)


CASES = {  # name -> (model, arguments of `compare`, the most that the ratio may be)
    "mixed": (LARGE, dict(rows=64, teacher=96, longest=128, draw_lengths=lognormal), MIXED),
    "equal": (LARGE, dict(rows=64, teacher=96, longest=128, draw_lengths=full), SAME),
    "run": (SMALL, dict(rows=128, teacher=64, longest=28, draw_lengths=like_a_run), SAME),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="*", help=f"of {', '.join(CASES)}; all if there are none")
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    good = True
    for case in args.cases or CASES:
        config, work, most = CASES[case]
        for name in STAGES:
            ratio = compare(name, config, args.repeats * (10 if case == "run" else 1), **work)
            print(f"{case}, {name}: {ratio:.2f}, at most {most}: {'ok' if ratio <= most else 'NO'}")
            good &= ratio <= most
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
