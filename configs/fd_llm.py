"""Feedback Distillation in which a language model writes the feedback, as in the paper.

    export OPENAI_API_KEY=...
    python -m fdjax.main --config=configs/fd_llm.py --workdir=runs/fd_llm \\
        --config.feedback.llm.model=NAME --config.feedback.llm.price_in=1.0 \\
        --config.feedback.llm.price_out=4.0 --config.feedback.llm.money_budget=5.0

    # A server of one's own (vLLM, llama.cpp), that wants no key:
    python -m fdjax.main --config=configs/fd_llm.py --workdir=runs/fd_llm \\
        --config.feedback.llm.model=NAME --config.feedback.llm.base_url=http://localhost:8000/v1 \\
        --config.feedback.llm.key_variable=None

Prices are per million tokens, in whatever currency; set your model's. Where the service fails or
the budget is used up, Lean's own messages stand in. The service of the tests is a small server that
speaks the protocol, well and badly; no hosted model has been asked, and no figure comes from here.
The small prover of the defaults cannot read prose: this recipe is for a model that can, with
theorems of its own (`data.train`) and prompts long enough for what is said (`prompt`).
"""

from fdjax.config import default


def get_config():
    config = default()
    config.stages = ("sft", "fd")
    # 120 words of prose take many tokens of a vocabulary that was made for Lean.
    config.prompt.teacher_buckets = (256, 512, 1024)
    config.feedback.update(provider="llm,lean_messages", leak_limit=0.5)
    # Models that think need thousands. For hosted models that take `max_completion_tokens`, that
    # option replaces this one.
    config.feedback.llm.options.max_tokens = 600
    config.feedback.llm.update(
        show_reference=True,  # and keeps it to itself; also the answer when sft reads feedback
        requests_per_minute=500.0,
        tokens_per_minute=200_000.0,
    )
    # The warm start reads feedback too; each of its attempts that fails is a question.
    config.sft.update(prompts_per_step=256, samples_per_prompt=1, feedback_fraction=0.3)
    config.fd.distill_attempts = "failed"  # no questions are asked about successes
    return config
