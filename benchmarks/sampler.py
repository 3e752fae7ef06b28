"""Sampling and training speed of the laptop model: `python -m benchmarks.sampler [--prompts=16]`.

The sampler is compared with naive ones of the same model, interleaved in one run: a host loop
that runs one jitted decode step per token, the sampler given every prompt once per sample, and
both habits together. Prints tokens per second (median of interleaved repeats) and the ratios.
"""

import argparse
import functools
import statistics
import time

import jax
import jax.numpy as jnp
import optax

from fdjax.models import transformer
from fdjax.models.config import ModelConfig
from fdjax.rollout import sampler

NEVER = jnp.array([-1], jnp.int32)  # no stop id: every method decodes the same number of tokens


@functools.partial(jax.jit, static_argnums=0, static_argnames=("group", "budget"))
def _prefill(config, params, tokens, mask, *, group, budget):
    hidden_BD, cache = transformer.prefill(config, params, tokens, mask, group=group, budget=budget)
    return jnp.broadcast_to(hidden_BD[:, None], (len(tokens), group, config.width)), cache


@functools.partial(jax.jit, static_argnums=0, donate_argnames="cache")
def _decode(config, params, token, cache):
    return transformer.decode(config, params, token, cache)


@jax.jit
def _draw(params, hidden, keys, step, temperature):
    keys = jax.vmap(jax.vmap(lambda key: jax.random.fold_in(key, step)))(keys)
    return sampler.draw(hidden @ transformer.unembedding(params), keys, temperature)


def host_loop(config, params, tokens, mask, keys, *, max_new):
    """A device step per token; the host reads each token before it starts the next step."""
    hidden, cache = _prefill(config, params, tokens, mask, group=keys.shape[1], budget=max_new)
    out = []
    for step in range(max_new):
        token, *_ = _draw(params, hidden, keys, step, 1.0)
        out.append(jax.device_get(token))
        if step + 1 < max_new:
            hidden, cache = _decode(config, params, token, cache)
    return jnp.stack(out, -1)


def shared(config, params, tokens, mask, keys, *, max_new):
    """The project's sampler."""
    out = sampler.sample(config, params, tokens, mask, keys, 1.0, NEVER, max_new=max_new)
    return out.response_tokens


def no_sharing(config, params, tokens, mask, keys, *, max_new, sample=shared):
    """Every sample is a prompt of its own: prefilled and cached once per sample."""
    group = keys.shape[1]
    tokens, mask = (jnp.repeat(x, group, axis=0) for x in (tokens, mask))
    out = sample(config, params, tokens, mask, keys.reshape(-1, 1), max_new=max_new)
    return out.reshape(*keys.shape, max_new)


def training_step(config, optimizer):
    """Next-token loss, gradient and Adam: an upper bound on the speed of training."""

    def loss(params, tokens):
        hidden = transformer.hidden_states(config, params, tokens, jnp.ones(tokens.shape, bool))
        logits = hidden[:, :-1] @ transformer.unembedding(params)
        return optax.softmax_cross_entropy_with_integer_labels(logits, tokens[:, 1:]).mean()

    @functools.partial(jax.jit, donate_argnums=(0, 1))
    def step(params, opt_state, tokens):
        updates, opt_state = optimizer.update(jax.grad(loss)(params, tokens), opt_state, params)
        return optax.apply_updates(params, updates), opt_state

    return step


def interleaved(functions, repeats):
    """Median seconds of each, taking turns, after one call of each for compilation."""
    times = {name: [] for name in functions}
    for repeat in range(repeats + 1):
        for name, function in functions.items():
            start = time.perf_counter()
            jax.block_until_ready(function())
            if repeat:
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(t) for name, t in times.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in dict(
        prompts=16, group=8, prompt=48, response=40, vocabulary=512, repeats=9
    ).items():
        parser.add_argument(f"--{name}", type=int, default=default)
    args = parser.parse_args()

    config = ModelConfig(args.vocabulary)
    params = jax.jit(transformer.init, static_argnums=0)(config, jax.random.key(0))
    shape = (args.prompts, args.prompt)
    tokens = jax.random.randint(jax.random.key(1), shape, 0, args.vocabulary)
    keys = jax.random.split(jax.random.key(2), (args.prompts, args.group))
    inputs = config, params, tokens, jnp.ones(shape, bool), keys
    methods = {
        "shared": shared,
        "host loop": host_loop,
        "no sharing": no_sharing,
        "both": functools.partial(no_sharing, sample=host_loop),
    }
    calls = {n: functools.partial(f, *inputs, max_new=args.response) for n, f in methods.items()}

    results = {name: call() for name, call in calls.items()}
    for name, result in results.items():
        agree = (result == results["shared"]).mean()
        if agree < 0.99:  # rounding may flip a near tie, and the rest of that sample with it
            raise RuntimeError(f"{name} draws other tokens than shared: {agree:.3f} agree")

    seconds = interleaved(calls, args.repeats)
    count = args.prompts * args.group * args.response
    print(f"sampling {args.prompts} prompts x {args.group} samples, {shape[1]} + {args.response}")
    for name, s in seconds.items():
        ratio = s / seconds["shared"]
        print(f"  {name:12s} {count / s:9,.0f} tokens/s   shared is {ratio:.2f} times as fast")

    optimizer = optax.adam(3e-4)
    step = training_step(config, optimizer)
    batch = jax.random.randint(jax.random.key(3), (64, 64), 0, args.vocabulary)
    state = [params, optimizer.init(params)]

    def train():
        state[:] = step(*state, batch)
        return state

    s = interleaved({"train": train}, args.repeats)["train"]
    print(f"training 64 x 64 (forward, backward, Adam): {batch.size / s:,.0f} tokens/s")


if __name__ == "__main__":
    main()
