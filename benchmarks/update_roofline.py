"""The least that an update of the committed configs takes on TPU slices, all rows at their longest.
No TPU is needed: its compiler is asked, and nothing runs.

    pip install -e '.[tpu]'
    python benchmarks/update_roofline.py             # minutes of compilation for each slice
    python benchmarks/update_roofline.py v6e-16

Feedback Distillation, 512 rows of 6,144 tokens, prompts of 2,048 and of 4,096 with feedback. Read
off the optimized program of a microbatch: memory, and at the vendor's peaks the seconds of an
update and its MFU; seconds before attention had kernels stand beside them (docs/lab_notes.md).
Exits with 1 where an update does not fit, where it takes more than the share given below of those
seconds, where its MFU cannot reach what is given below, or where the head's loop sends more than 5
% of its bytes.
"""

import argparse
import sys
from pathlib import Path
from typing import NamedTuple

from fdjax.config import read
from fdjax.config.flags import read_recipe
from fdjax.training.planning import costs, parts, program, updates
from fdjax.training.planning.estimate import Assumed, make_lengths, model_flops
from fdjax.training.planning.parts import at_least, build_program, seconds
from fdjax.training.planning.pod import make_pod, read_model
from fdjax.training.planning.slices import find_slice, has_compiler

RECIPE = str(Path(__file__).parents[1] / "configs" / "published.py")
HEAD = 0.05  # of the bytes between chips


class Slice(NamedTuple):
    topology: str
    model: str
    before: float | None = None  # seconds of an update with attention by blocks of queries
    share: float = 1.0  # of them, at most
    mfu: float = 0.0  # at least


SLICES = {  # by the name of its config
    "v5e-16": Slice("v5e:4x4", "qwen3_8b", before=327, share=0.4, mfu=0.6),
    "v6e-16": Slice("v6e:4x4", "qwen3_8b", before=198, share=0.3),
    "v5p-64": Slice("v5p:4x4x4", "qwen3_32b"),
    "v5e-64": Slice("v5e:8x8", "gemma3_12b"),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("configs", nargs="*", default=list(SLICES))
    names = parser.parse_args().configs
    if unknown := set(names) - set(SLICES):
        parser.error(f"{', '.join(unknown)}: known are {', '.join(SLICES)}")
    if not has_compiler():
        print("not measured: TPU's compiler is missing (pip install -e '.[tpu]')")
        return
    good = [report(name, SLICES[name]) for name in names]
    sys.exit(0 if all(good) else 1)


def report(name: str, slice_: Slice) -> bool:
    """Prints the figures of an update. -> are they as they should be?"""
    where, config = find_slice(slice_.topology), read(read_recipe(f"{RECIPE}:{name}"))
    model = read_model(config, RECIPE, slice_.model)
    pod, chip = make_pod(config, config.blocks["fd"], model, where.devices), where.chip
    lengths = make_lengths(pod, longest(config))
    [(shape, count)] = updates.update_shapes(pod, lengths).items()
    print(f"{name}: {slice_.model} on {slice_.topology}, {count} microbatches {shape}", flush=True)
    builders, _ = updates.update_programs(pod, [shape])
    try:
        built = build_program("  microbatch", builders[shape])
    except parts.DoesNotFit as error:
        print(f"  does not fit: {error.needed} bytes, of {chip.memory}")
        return False
    part = parts.update_part(pod, shape, built)
    text = program.parse(built.as_text())
    head = costs.head_cost(text).ici / part.cost.ici
    took = count * at_least(part.cost, chip)
    mfu = model_flops(pod, lengths) / (took * len(where.devices) * chip.flops)
    each = ", ".join(f"{name} {count * s:.1f}" for name, s in seconds(part.cost, chip).items())
    share = f" ({took / slice_.before:.2f} of {slice_.before})" if slice_.before else ""
    print(f"  {part.memory / 1e9:.1f} GB of {chip.memory / 1e9:.1f}; seconds at least: {each}")
    print(f"  an update {took:.1f} s{share}, MFU at most {mfu:.2f}")
    print(f"  {head:.1%} of the bytes sent are those of the head's loop", flush=True)
    fits = part.memory <= chip.memory
    fast = slice_.before is None or took <= slice_.share * slice_.before
    return fits and fast and mfu >= slice_.mfu and 0 < head <= HEAD


def longest(config):
    """All prompts and answers as long as they may be."""
    prompt = config.prompt
    return Assumed(
        prompt=prompt.student_buckets[-1],
        teacher=prompt.teacher_buckets[-1],
        response=prompt.response_length,
        longest=prompt.response_length,
        spread=1.0,
        lean=0.0,
        price=None,
        workers=None,
    )


if __name__ == "__main__":
    main()
