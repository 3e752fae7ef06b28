"""Seconds of a token of all slots on a TPU slice over those that reading the weights and the cache
once takes. No TPU is needed: its compiler is asked, and nothing runs.

    pip install -e '.[tpu]'
    python benchmarks/decode_roofline.py

Qwen3-8B with the sizes of configs/published.py:v5e-16 and v6e-16. Bytes, FLOPs and collectives are
read off the optimized program, its loop over tokens apart; peaks are the vendor's. Exits with 1
where the ratio is above 1.3, where the loop moves weights between chips, or where a chip has no
room for generation beside the state of Feedback Distillation.
"""

import argparse
import sys
import time
from pathlib import Path

import jax

from fdjax.config import read
from fdjax.config.flags import read_recipe
from fdjax.runtime.chips import Chip
from fdjax.training.planning import costs, program
from fdjax.training.planning.costs import Cost
from fdjax.training.planning.pod import (
    Pod,
    make_pod,
    programs,
    read_model,
    size,
    temporary,
    with_layers,
)
from fdjax.training.planning.slices import find_slice, has_compiler

AT_MOST = 1.3
RECIPE = str(Path(__file__).parents[1] / "configs" / "published.py")
SIZES = {"v5e:4x4": "v5e-16", "v6e:4x4": "v6e-16"}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("topologies", nargs="*", default=list(SIZES))
    parser.add_argument("--layers", type=int, default=36)
    args = parser.parse_args()
    if unknown := set(args.topologies) - set(SIZES):
        parser.error(f"{', '.join(unknown)}: known are {', '.join(SIZES)}")
    if not has_compiler():
        print("not measured: TPU's compiler is missing (pip install -e '.[tpu]')")
        return
    jax.config.update("jax_platforms", "cpu")
    good = [report(topology, args.layers) for topology in args.topologies]
    sys.exit(0 if all(good) else 1)


def report(topology: str, layers: int) -> bool:
    """Prints the figures of a slice. -> are they as they should be?"""
    where, config = find_slice(topology), read(read_recipe(f"{RECIPE}:{SIZES[topology]}"))
    model = with_layers(read_model(config, RECIPE, "qwen3_8b"), layers)
    chip, pod = where.chip, make_pod(config, config.blocks["fd"], model, where.devices)
    shapes, compiled = pod.shapes, {}
    print(
        f"{topology}: {shapes.slots} slots of {shapes.columns} columns,"
        f" weights for decoding on {dict(pod.decoding.shape)}"
    )
    for name, build in programs(pod).items():
        began = time.perf_counter()
        compiled[name] = build()
        print(f"  {name}: {time.perf_counter() - began:.0f} s to compile", flush=True)
    fits = max(memory(pod, compiled).values()) <= chip.memory
    text = program.parse(compiled["decode"].as_text())
    moved, bound = program.largest_moved(text), pod.smallest_weight()
    print(f"  largest array in a collective of the loop {moved:,} bytes, smallest weight {bound:,}")
    seconds = seconds_of_token(chip, *costs.decode_costs(text, shapes.chunk))
    ratio = seconds / seconds_at_least(chip, pod)
    print(
        f"  ratio {ratio:.3f}, at most {AT_MOST}; fits: {fits}; gathers weights: {moved >= bound}"
    )
    return fits and moved < bound and ratio <= AT_MOST


def memory(pod: Pod, compiled: dict) -> dict[str, int]:
    """Bytes on a chip while each program runs; the code of all stays there."""
    code = sum(x.memory_analysis().generated_code_size_in_bytes for x in compiled.values())
    parts = {"state": pod.state, "weights": pod.weights, "keys and values": pod.slots.cache}
    sizes = ", ".join(f"{name} {size(tree) / 1e9:.2f}" for name, tree in parts.items())
    used = {name: pod.held(name) + temporary(x) + code for name, x in compiled.items()}
    print(f"  GB on a chip: {sizes}, code {code / 1e9:.2f}; in all", end=" ")
    print(", ".join(f"{name} {bytes_ / 1e9:.2f}" for name, bytes_ in used.items()))
    return used


def seconds_of_token(chip: Chip, loop: Cost, besides: Cost) -> float:
    total = loop.plus(besides)
    hbm, ici, products = total.hbm / chip.hbm, total.ici / chip.ici, total.flops / chip.flops
    print(
        f"  a token of all slots: HBM {total.hbm / 1e9:.2f} GB ({besides.hbm / 1e9:.2f} of them its"
        f" share of what a chunk does besides) {1e3 * hbm:.2f} ms,"
        f" ICI {total.ici / 1e9:.3f} GB {1e3 * ici:.2f} ms, products {1e3 * products:.2f} ms"
    )
    return max(hbm, products) + ici


def seconds_at_least(chip: Chip, pod: Pod) -> float:
    """Seconds that reading the weights and the whole cache once takes."""
    least = pod.least_read()
    print(f"  weights and cache: {least / 1e9:.2f} GB {1e3 * least / chip.hbm:.2f} ms")
    return least / chip.hbm


if __name__ == "__main__":
    main()
