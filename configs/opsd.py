"""OPSD (Zhao et al. 2026; github.com/siyan-zhao/OPSD) as a config of Feedback Distillation.

    python -m fdjax.main --config=configs/opsd.py --workdir=runs/opsd

As in its later public code: forward KL over the vocabulary, each entry's summand clamped at .05
before the sum; no importance weight; every attempt, on every token; mean over the batch's tokens;
the teacher is the initial policy, which has read a reference solution; temperature 1.1 of sampling
and loss; 32 prompts x 1 attempt. The paper's first version: --config.fd.alpha=0.5
--config.fd.variants.entry_clip=None. Its top-k variant: --config.fd.variants.top_k=K
--config.fd.variants.support=teacher --config.fd.variants.tail=False. Its sampled-token variant:
--config.fd.alpha=1 --config.fd.variants.estimator=k1 --config.fd.variants.entry_clip=None.

Not as published: our template in place of its transition prompt, and the data's proof in place of
a worked solution; all parameters are trained at the learning rate of configs/fd.py (LoRA of rank 64
there, at 5e-6, in the paper's first version 2e-4); sampling draws from the whole softmax (top-p .95
and top-k 20 there); attempts cut off by the length limit are left out. The steps make as many
attempts as configs/fd.py.
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
        temperature=1.1,
        is_clip=None,
        success_weight=1.0,
        learn_tokens="all",
        teacher="frozen",
    )
    config.fd.variants.entry_clip = 0.05
    return config
