"""SDFT (Shenfeld et al. 2026; github.com/idanshen/Self-Distillation) as a config of Feedback
Distillation.

    python -m fdjax.main --config=configs/sdft.py --workdir=runs/sdft

As in its public code: forward KL over the vocabulary (the author says that all results of the paper
are of forward KL, though it writes reverse); the first three tokens of a response are skipped; mean
over a response's tokens, then over the responses; a response's tokens share the mean of their
importance weights, each capped at 2; an EMA teacher, .01 per update, which has read a
demonstration; 32 prompts x 1 attempt.

Not as published: our template in place of its "This is an example for a response"; demonstrations
are the data's proofs; the learning rate is that of configs/fd.py (2e-5 there, for 7 B
parameters); attempts cut off by the length limit are left out, and so are those of at most three
tokens (0 in the mean there). Three tokens are a chat template's there, and here the first tactic.
The steps make as many attempts as configs/fd.py.
"""

from fdjax.config import default


def get_config():
    config = default()
    config.stages = ("sft", "fd")
    config.feedback.provider = "reference"
    config.fd.update(
        steps=400,
        save_every=40,
        show_every=4,
        prompts_per_step=32,
        samples_per_prompt=1,
        success_weight=1.0,
        learn_tokens="all",
        ema_rate=0.01,
    )
    config.fd.variants.update(ratio_mean="sequence", aggregation="sequence_mean", skip_tokens=3)
    return config
