"""Time of an FD update over that of an SFT update of as many tokens.

    python benchmarks/fd_update.py

Interleaved pairs in one process, so that other load of the machine slows both; the median of the
pairs' ratios. FD runs two forward passes over each response (student, teacher), one with gradients.
"""

import argparse
import dataclasses
import functools
import statistics
import time

import jax
import numpy as np

from fdjax.config import DistillationStage, OptimizerConfig
from fdjax.models import transformer
from fdjax.models.config import ModelConfig
from fdjax.objectives.distillation import DistillationBatch
from fdjax.objectives.protocol import Model
from fdjax.objectives.supervised import Supervised, SupervisedBatch
from fdjax.runtime import sharding
from fdjax.training import state
from fdjax.training.build import make_objective
from fdjax.training.step import make_update


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--prompt", type=int, default=64, help="P = Q, tokens")
    parser.add_argument("--response", type=int, default=64, help="R, tokens")
    parser.add_argument("--vocab", type=int, default=512)
    parser.add_argument("--chunk", type=int, default=1024, help="tokens whose logits exist at once")
    parser.add_argument("--alpha", type=float, default=0.0, help="0 forward KL, 1 reverse KL")
    parser.add_argument("--pairs", type=int, default=15)
    args = parser.parse_args()

    N, P, R = args.rows, args.prompt, args.response
    rng = np.random.default_rng(0)
    tokens = rng.integers(0, args.vocab, (N, P + R)).astype(np.int32)
    teacher_tokens = np.hstack([rng.permutation(tokens[:, :P], axis=1), tokens[:, P:]])
    mask, weights = np.ones((N, P + R), bool), np.ones((N, R), np.float32)
    logprobs = np.full((N, R), -np.log(args.vocab), np.float32)
    first_error_token, lines = np.full(N, R // 2, np.int32), np.zeros((N, R), np.int32)
    distillation = DistillationBatch(
        tokens, mask, teacher_tokens, mask, weights > 0, weights, logprobs, first_error_token, lines
    )
    fd = _step(args, _distillation(args), distillation)
    sft = _step(args, Supervised(chunk=args.chunk), SupervisedBatch(tokens, mask, weights))

    fd(), sft()  # compile
    pairs = [(_seconds(fd), _seconds(sft)) for _ in range(args.pairs)]
    for name, seconds in zip(("FD", "SFT"), zip(*pairs)):
        median = statistics.median(seconds)
        print(f"{name:3} update {1e3 * median:8.1f} ms  {N * (P + R) / median:10.0f} tokens/s")
    ratio = statistics.median(a / b for a, b in pairs)
    print(f"FD / SFT, median of {args.pairs} interleaved pairs: {ratio:.3f}")


def _distillation(args):
    objective = make_objective(DistillationStage(alpha=args.alpha))
    return dataclasses.replace(objective, chunk=args.chunk)


def _step(args, objective, batch):
    """A function that makes one training step and waits for it."""
    config = ModelConfig(vocab_size=args.vocab)
    model = Model(functools.partial(transformer.hidden_states, config), transformer.unembedding)
    mesh = sharding.make_mesh()
    optimizer = state.make_optimizer(OptimizerConfig(), total_updates=1000)
    carried = state.create(
        functools.partial(transformer.init, config),
        jax.random.key(0),
        optimizer,
        mesh,
        with_teacher=objective.needs_teacher,
    )
    placed = state.shardings(carried, mesh)
    update = make_update(objective, optimizer, model, ema_rate=0.01, shardings=placed)
    batch = sharding.put(batch, mesh)

    def step():
        nonlocal carried
        carried, metrics = update(carried, batch)
        jax.block_until_ready((carried, metrics))

    return step


def _seconds(step):
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
