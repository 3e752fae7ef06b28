"""Feedback Distillation on attempts of up to three turns: a proof, Lean's first error and its goal,
a mended proof.

    python -m fdjax.main --config=configs/fd_repair.py --workdir=runs/repair

The warm start learns to read what Lean answers: a failed attempt of its own, the answer, the
attempt mended. `configs/fd_repair.py:pool` as in configs/fd.py.
"""

from fdjax.config import builtin


def get_config(benchmark: str = "habits"):
    config = builtin(benchmark)
    config.stages = ("sft", "fd")
    config.environment.update(name="repair", turns=3, turn_tokens=28, answer_tokens=40)
    config.prompt.response_length = 180  # three turns, two answers with what stands around them
    config.sft.update(feedback_fraction=0.3, dialogue_fraction=0.3)
    config.evaluation.update(heldout_samples=16, train_samples=16)  # of three turns each
    return config
