"""On-policy GKD (Agarwal et al. 2023; TRL's GKDTrainer with lmbda=1) as a config of Feedback
Distillation.

    python -m fdjax.main --config=configs/gkd.py --workdir=runs/gkd --config.init_from=runs/pool/sft

As published: generalised Jensen-Shannon (TRL's default beta .5) over the vocabulary, on responses
of the student's own; no importance weight; every token; mean over the batch's tokens; a fixed
teacher; temperature .9 (TRL's).

Not as published: GKD's teacher is a larger model that reads the same prompt. Here it is the initial
policy, which has also read the feedback; without it the teacher would be the student. The loss is
at the sampling temperature too (TRL samples at .9 and takes its loss at 1). No share of the
responses comes from a data set. Attempts cut off by the length limit, and those without feedback,
are left out. Prompts, attempts and learning rate are those of configs/fd.py.
"""

from fdjax.config import default


def get_config():
    config = default()
    config.stages = ("sft", "fd")
    config.fd.update(
        temperature=0.9,
        alpha=0.5,
        is_clip=None,
        success_weight=1.0,
        learn_tokens="all",
        teacher="frozen",
    )
    return config
