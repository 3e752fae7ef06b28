"""GRPO on attempts of up to three turns, after the warm start of configs/fd_repair.py (reuse it
with --config.init_from=runs/repair/sft).

    python -m fdjax.main --config=configs/grpo_repair.py --workdir=runs/grpo_repair

The reward is the verdict on the last proof: one advantage for all turns of an attempt.
`configs/grpo_repair.py:pool` as in configs/fd.py.
"""

from fdjax.config import builtin


def get_config(benchmark: str = "habits"):
    config = builtin(benchmark)
    config.stages = ("sft", "grpo")
    config.environment.update(name="repair", turns=3, turn_tokens=28, answer_tokens=40)
    config.prompt.response_length = 180  # three turns, two answers with what stands around them
    config.sft.update(feedback_fraction=0.3, dialogue_fraction=0.3)
    config.evaluation.update(heldout_samples=16, train_samples=16)  # of three turns each
    return config
