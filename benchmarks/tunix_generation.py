"""The engine against tunix's Sampler: one model, the same weights, samples of mixed lengths.

    python -m venv venv-tunix
    venv-tunix/bin/pip install --editable . google-tunix==0.1.7 jax==0.10.2
    venv-tunix/bin/python benchmarks/tunix_generation.py [--repeats=3] [--together=128]

Lengths are those of generation.py's mixed case. tunix repeats each prompt for its samples, takes
`together` of these at a time, and writes as many tokens as the longest of them has; the engine has
no more memory for keys and values. Both decode greedily once, and must write the same tokens. Then
both sample, in turns; prints tokens/s (medians) and their ratio. Exit code 1 if the engine is less
than twice as fast. Without tunix nothing is measured.
"""

import argparse
import functools
import importlib.util
import sys

import jax
import numpy as np
from generation import (
    LARGE,
    PROMPT,
    column_gb,
    interleaved,
    lognormal,
    make_shapes,
    make_work,
    slots,
)

AT_LEAST = 2.0
PAD, EOS = -1, -2  # tokens that the model never writes


class Ids:
    """A tokenizer whose texts are lists of ids."""

    def encode(self, ids, **_):
        return ids

    def decode(self, ids, **_):
        return ids

    def bos_id(self):
        return None  # tunix puts it before each prompt

    def pad_id(self):
        return PAD

    def eos_id(self):
        return EOS


def make_model(params):
    """tunix's Qwen3 with the weights of LARGE."""
    from flax import nnx
    from tunix.models.qwen3 import model as qwen3

    c = LARGE
    config = qwen3.ModelConfig(
        num_layers=c.num_layers,
        vocab_size=c.vocab_size,
        embed_dim=c.width,
        hidden_dim=c.mlp_width,
        num_heads=c.num_heads,
        head_dim=c.head_dim,
        num_kv_heads=c.num_kv_heads,
        rope_theta=int(c.rope_theta),
        norm_eps=c.norm_eps,
        use_tied_embedding=True,
    )
    model = qwen3.Qwen3(config, rngs=nnx.Rngs(0))

    def put(variable, x):
        variable[...] = x.reshape(variable.shape)

    put(model.embedder.input_embedding, params["embedding"])
    put(model.final_norm.w, params["final_norm"]["scale"])
    for i, layer in enumerate(model.layers):
        ours = jax.tree.map(lambda x, i=i: x[i], params["layers"])
        put(layer.input_layernorm.w, ours["attention_norm"]["scale"])
        put(layer.post_attention_layernorm.w, ours["mlp_norm"]["scale"])
        for name in ("q_norm", "k_norm"):
            put(getattr(layer.attn, name).w, ours[name]["scale"])
        for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
            put(getattr(layer.attn, name).w, ours[name]["kernel"])
        for name in ("gate_proj", "up_proj", "down_proj"):
            put(getattr(layer.mlp, name).kernel, ours[name]["kernel"])
    return model


def make_sampler(params, columns: int):
    """tunix's Sampler of that model."""
    from tunix.generate.sampler import CacheConfig, Sampler

    c = LARGE
    cache = CacheConfig(columns, c.num_layers, c.num_kv_heads, c.head_dim)
    return Sampler(make_model(params), Ids(), cache)


def sampled(sampler, work, together: int, **drawing) -> list[np.ndarray]:
    """The tokens of each sample; behind its own end those up to the longest of its batch."""
    prompts = work.prompts.repeat(work.lengths.shape[1], axis=0).tolist()
    lengths, out = work.lengths.reshape(-1), []
    for start in range(0, len(prompts), together):
        steps = int(lengths[start : start + together].max())
        batch = prompts[start : start + together]
        out += sampler(batch, steps, max_prompt_length=PROMPT, **drawing).tokens
    return out


def has_tunix(text: str) -> bool:
    """Is it installed? If not, prints how to: lines 3 to 5 of a benchmark's docstring `text`."""
    if importlib.util.find_spec("tunix"):
        return True
    print("tunix is not installed, nothing is measured; to install it:")
    print("\n".join(text.splitlines()[2:5]))
    return False


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--together", type=int, default=128)
    args = parser.parse_args()
    if not has_tunix(__doc__):
        return 0

    work = make_work(LARGE, 64, 8, 128, lognormal)
    columns = PROMPT + work.longest
    memory_gb = args.together * columns * column_gb(LARGE)
    count = make_shapes(work, memory_gb).slots
    sampler = make_sampler(work.params, columns)

    few = work._replace(prompts=work.prompts[:4], lengths=work.lengths[:4])
    theirs = sampled(sampler, few, few.lengths.size)
    same = [
        np.array_equal(written.tokens, theirs[written.sample][: len(written.tokens)])
        for written in slots(few, memory_gb, temperature=0)
    ]
    print(f"greedy: {sum(same)} of {len(same)} samples have the same tokens")
    if np.mean(same) < 0.9:  # rounding may decide a near tie
        raise RuntimeError("the models are not the same")

    functions = {
        "engine": functools.partial(slots, work, memory_gb),
        "tunix": functools.partial(
            sampled, sampler, work, args.together, temperature=1.0, top_p=1.0, seed=0
        ),
    }
    seconds = interleaved(functions, args.repeats)
    rates = {name: int(work.lengths.sum()) / seconds[name] for name in seconds}
    ratio = rates["engine"] / rates["tunix"]
    print(
        f"{work.lengths.size} samples, {work.lengths.mean():.1f} tokens of {work.longest}: engine "
        f"({count} slots) {rates['engine']:,.0f} tokens/s, tunix ({args.together} samples at a "
        f"time) {rates['tunix']:,.0f}, ratio {ratio:.2f}, must be {AT_LEAST}"
    )
    return 0 if ratio >= AT_LEAST else 1


if __name__ == "__main__":
    sys.exit(main())
