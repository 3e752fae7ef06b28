"""SDPO (Hübotter et al. 2026; github.com/lasgroup/SDPO) as a config of Feedback Distillation.

    python -m fdjax.main --config=configs/sdpo.py --workdir=runs/sdpo \\
        --config.init_from=runs/pool/sft

As published (yaml defaults): Jensen-Shannon (alpha .5) over the student's top 100 and a tail
bucket; every attempt with feedback, successes too, on every token; the importance weight capped at
2, per token; mean over the batch's tokens; an EMA teacher, .05 per rollout batch; 32 prompts x 8
attempts. The feedback is the first other success of the group, and an attempt without one teaches
nothing. Its script for rich feedback (Lean's message where no other succeeded, 32 updates a batch):
--config.feedback.provider=peers,lean_messages --config.fd.alpha=1
--config.fd.variants.top_k=20 --config.fd.minibatches=32. Its alternative teacher:
--config.fd.teacher=trust_region.

Not as published: our template; the learning rate is that of configs/fd.py (1e-5 there, for 8 B
parameters); attempts cut off by the length limit are left out; one importance weight q/q_sampler
stands for theirs of q/q_old and q_old/q_sampler (equal with one update per batch); ties join the
top 100. The steps make as many attempts as configs/fd.py.
"""

from fdjax.config import default


def get_config():
    config = default()
    config.stages = ("sft", "fd")
    config.feedback.provider = "peers"
    config.fd.update(
        steps=50,
        prompts_per_step=32,
        samples_per_prompt=8,
        alpha=0.5,
        success_weight=1.0,
        learn_tokens="all",
        ema_rate=0.05,
    )
    config.fd.variants.update(top_k=100, support="student", ema_per="batch")
    return config
