"""What a run costs on a slice, before there is one: memory, roofline times and price.

Every function of a stage with rollouts (FD, GRPO, both) is compiled for the slice, which need not
exist, and what it costs a chip is read from the compiler's text loop by loop. Times are bounds from
below: the vendor's peaks, and no function waits for another. GPUs are counted by arithmetic alone.
docs/pods.md walks through it.

    fdjax plan --config=configs/published.py:v5e-16 --model=qwen3_8b --topology=v5e:4x4
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from fdjax.config import Config, ConfigError, RolloutStage, check_stages, parse
from fdjax.config.flags import load, split_flags
from fdjax.training.planning import parts, pod, search, tables
from fdjax.training.planning.estimate import Assumed
from fdjax.training.planning.slices import find_slice


def main(argv: Sequence[str]) -> int:
    recipe, assignments, rest = split_flags(argv)
    args = parser().parse_args(rest)
    try:
        if recipe is None or args.topology is None:
            raise ConfigError("--config=RECIPE and --topology=KIND:SHAPE are needed")
        where = find_slice(args.topology)
        config = parse(load(recipe, assignments))
        stage = find_stage(config, args.stage)
        model = pod.read_model(config, recipe, args.model)
        given = assumptions(args, config)
        what = search.Question(config, stage, model, where, given, args.shapes)
        if args.search:
            found = search.search(what, args.search)
            text, data = tables.of_search(what, found)
            asked = [c for c in found if c.answer or not where.compiles]
            fits = any(candidate.fits for candidate in asked)
        else:
            answer = search.answer(what)
            text, data = tables.of_plan(what, answer)
            fits = answer.estimate.fits
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except parts.DoesNotFit as error:
        print(f"error: {tables.refused(error, where)}", file=sys.stderr)
        return 1
    print(text)
    if args.json:
        Path(args.json).write_text(tables.as_json(data))
    return 0 if fits else 1


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        "fdjax plan",
        usage="fdjax plan --config=RECIPE --topology=KIND:SHAPE [--model=NAME] [...]",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = made.add_argument
    add("--config", metavar="RECIPE", help="and --config.FIELD=VALUE, as of `fdjax train`")
    add("--topology", help="v5e:4x4, v6e:4x4, v5p:2x2x4, h100:8, a100:8, cpu:8 (simulated here)")
    add(
        "--model",
        help="a shape of configs/models: qwen3_8b; else that of init_from, whose "
        "config.json is enough",
    )
    add("--stage", help="default: the first of the config's stages with rollouts")
    add("--prompt", type=float, help="mean tokens; default: 0.3 of the largest bucket")
    add("--teacher-prompt", type=float, help="the same with feedback")
    add("--response", type=float, help="mean tokens of an answer; default: a third of the longest")
    add("--longest", type=int, help="tokens of an answer; default: prompt.response_length")
    add("--spread", type=float, default=0.8, help="sigma of the lognormal lengths of answers")
    add("--lean-seconds", type=float, default=10.0, help="of a candidate, on one worker")
    add("--lean-workers", type=int, help="in all; default: lean.workers for each host")
    add("--price", type=float, help="$ of a chip-hour")
    add(
        "--shapes",
        type=int,
        default=2,
        metavar="N",
        help="microbatches that are compiled, the largest first; the others are scaled (2)",
    )
    add(
        "--search",
        type=int,
        nargs="?",
        const=4,
        metavar="N",
        help="ranks meshes and token budgets, of which the N best by arithmetic are compiled (4)",
    )
    add("--json", metavar="FILE", help="the figures, too")
    return made


def find_stage(config: Config, name: str | None) -> RolloutStage:
    rollouts = [n for n in config.stages if isinstance(config.blocks[n], RolloutStage)]
    if name is None and not rollouts:
        raise ConfigError(f"stages={config.stages}: none has rollouts; --stage names another block")
    name = name or rollouts[0]
    if not isinstance(config.blocks.get(name), RolloutStage):
        raise ConfigError(f"--stage={name}: no stage with rollouts, as {', '.join(rollouts)}")
    check_stages(config, [name])
    return config.blocks[name]


def assumptions(args: argparse.Namespace, config: Config) -> Assumed:
    prompt = config.prompt
    student, teacher = prompt.student_buckets[-1], prompt.teacher_buckets[-1]
    longest = _or(args.longest, prompt.response_length)
    given = Assumed(
        prompt=_or(args.prompt, 0.3 * student),
        teacher=_or(args.teacher_prompt, 0.3 * teacher),
        response=_or(args.response, longest / 3),
        longest=longest,
        spread=args.spread,
        lean=args.lean_seconds,
        price=args.price,
        workers=args.lean_workers,
    )
    if args.lean_seconds < 0:
        raise ConfigError(f"--lean-seconds={args.lean_seconds:g}: must be at least 0")
    for name, value in (vars(args) | {"lean_seconds": None}).items():
        if isinstance(value, int | float) and value <= 0:
            raise ConfigError(f"--{name.replace('_', '-')}={value:g}: must be above 0")
    if longest > prompt.response_length:
        raise ConfigError(f"--longest={longest}: prompt.response_length={prompt.response_length}")
    for name, mean, most, of in (
        ("prompt", given.prompt, student, "prompt.student_buckets"),
        ("teacher-prompt", given.teacher, teacher, "prompt.teacher_buckets"),
        ("response", given.response, longest, "--longest"),
    ):
        if mean > most:
            raise ConfigError(f"--{name}={mean:g}: the mean is above {of}={most}")
    return given


def _or(value, default):
    return default if value is None else value
