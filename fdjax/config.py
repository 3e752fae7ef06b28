"""Every field of a run's config, its default and its meaning. Recipes in configs/ change these."""

import contextlib
from collections.abc import Iterator

from ml_collections import ConfigDict

from fdjax.models.config import PROJECTIONS


class ConfigError(ValueError):
    """The config cannot run, or is not the one that the workdir began with."""


@contextlib.contextmanager
def naming_field(field: str, *errors: type[Exception]) -> Iterator[None]:
    """Turns `errors`, and a ConfigError, into a ConfigError that names the field of the config."""
    try:
        yield
    except (ConfigError, *errors) as error:
        raise ConfigError(f"{field}: {error}") from error


def default() -> ConfigDict:
    """The laptop run: a 0.8 M parameter prover, synthetic theorems, embedded Lean."""
    return ConfigDict(
        {
            "seed": 0,
            # Names of the stages below, in order. A finished one in the workdir is reused.
            "stages": ("sft", "fd"),
            # What training begins with: a stage of another run (runs/fd/sft), which replaces the
            # stages up to that one; a run, its last stage; one checkpoint; a Hugging Face folder.
            "init_from": "",
            "mesh": {"replica": 1, "fsdp": -1, "tensor": 1},  # -1: all devices that are left
            # Fields of fdjax.models.config.ModelConfig; configs/models has published shapes. The
            # vocab_size is the tokenizer's unless named. `init_from` knows its own model: then
            # name no more than how it is computed.
            "model": {
                "width": 128,
                "num_layers": 4,
                "num_heads": 4,
                "num_kv_heads": 2,
                "head_dim": 32,
                "mlp_width": 384,
                "remat": False,  # recompute activations in the backward pass, to save memory
                "dtype": "float32",  # of the arithmetic, or bfloat16; parameters stay fp32
                **adapters(),
            },
            "tokenizer": {
                "vocab_size": 512,  # of one trained on the sft theorems by the first stage
                # A folder with a published model's tokenizer, to use instead; without it that of
                # `init_from` is used, if that is set.
                "path": "",
            },
            "data": {
                # Theorems of each split: a count (generated) or a path to a file (JSON lines, JSON
                # or parquet, as published). Of files, sft and pool lose what they repeat and what
                # validation or test state too; data.json in the workdir says what went and why.
                "sft": "12000",
                "train": "96",  # reinforcement learning trains on these
                "validation": "200",
                "test": "200",
                "seed": 0,  # of the generator
            },
            "prompt": {
                # {goal} {signature} {name} {context} {informal} of the theorem, {header} (imports
                # and context) and {doc} (the informal text as a comment), {feedback} for the
                # teacher. The prefill is the proof's first text; the model continues it.
                "student": "{goal}\n:= by\n  ",
                "teacher": "{goal}\n{feedback}\n:= by\n  ",
                "prefill": " by\n  ",
                # Instead of these three: one of fdjax/rollout/templates (deepseek_prover_v2,
                # deepseek_prover_completion, goedel_prover_v2, kimina_prover, plain), or a path.
                "template": "",
                "thinking": "",  # on or off: in chats whose model has that switch
                # Budgets in tokens. A batch is padded to the shortest bucket that holds it.
                "student_buckets": (48,),
                "teacher_buckets": (64,),
                "response_length": 28,
            },
            "lean": {
                "backend": "embedded",  # or lean_interact, kimina; see docs/lean.md
                "workers": 2,  # Lean processes at a time, for each host of the run
                # Of a Ray cluster (HOST:PORT or auto) whose machines run them; empty: the host.
                "ray_address": "",
                "timeout": 10.0,  # seconds of wall time for one candidate
                "cache": "",  # a file that keeps verdicts between runs; empty: in memory only
                # Must the kernel accept a second time, in a process of its own, what an evaluation
                # counts as proved? See docs/lean.md.
                "replay": False,
                # May the answers of chats state lemmas of their own before the theorem? They, too,
                # are replayed, in training as well.
                "allow_helpers": False,
                "lean_interact": {  # fields of its backend's class
                    "project": "",  # folder of a Lake project (with Mathlib); empty: Lean alone
                    "lean_version": "",  # of Lean alone, such as v4.24.0; empty: the newest
                    "repl": "",  # folder of a built REPL; empty: one is built on first use
                    "readable": "",  # folders that Lean needs besides these, with `:` between
                    "checker": "",  # the program that replays; empty: the toolchain's leanchecker
                    "max_heartbeats": 400_000,  # thousands, of one declaration
                    "memory_mb": 8192,  # private memory of one REPL
                    "spares": 1,  # REPLs kept ready, with everything imported
                },
                "kimina": {
                    "url": "http://localhost:8000",  # of a Kimina Lean Server
                    "max_heartbeats": 400_000,
                    "patience": 300.0,  # seconds that the server may be away
                    "environment": "",  # a name for its project, where its Lean cannot tell
                },
            },
            "feedback": {
                # Who writes it: diagnostics, llm, policy, reference or peers (docs/method.md), or
                # several: "peers,llm,diagnostics".
                "provider": "diagnostics",
                "compose": "first",  # of several: the first with something to say; or merge: all
                # diagnostics: how much help. verdict, error (Lean's first, with its place and
                # goal), step (the right next line), correction (the attempt mended), proof (the
                # shortest known). A model this small needs one of the last two.
                "help": "correction",
                "shuffle": False,  # the control: every theorem gets another theorem's feedback
                # llm and policy:
                "successes": False,  # do they comment on proved attempts, too?
                "draws": 1,  # feedbacks that they write on an attempt
                "pick": "agreed",  # of these: the one most like the others; or merge: all
                # Feedback that shares more than this with a proof of the data is dropped, and with
                # it attempts that speak of feedback; 1: none. The share is measured in any case.
                "leak_limit": 1.0,
                "llm": {  # a service that speaks OpenAI's protocol
                    "model": "",
                    "base_url": "",  # http://localhost:8000/v1; empty: OpenAI's own
                    # Name of the environment variable that holds the key; empty: there is none.
                    "key_variable": "OPENAI_API_KEY",
                    "prompt": "feedback.v1",  # a file of fdjax/feedback/prompts, or a path
                    # Fields of the request's body, whatever the service knows.
                    "options": {"max_tokens": 600},
                    "show_reference": False,  # does it see a reference proof (see below)?
                    "show_peers": 0,  # other attempts of the group that it sees
                    "longest": 2000,  # characters; the rest of an answer is cut off
                    "concurrency": 16,  # requests at a time
                    "requests_per_minute": 0.0,  # 0: no limit
                    "tokens_per_minute": 0.0,
                    "timeout": 60.0,  # seconds for one request; longer pauses are not waited for
                    "retries": 4,
                    "backoff": 1.0,  # seconds before the first retry, then twice as long each time
                    "price_in": 0.0,  # money per million tokens that the model reads
                    "price_out": 0.0,  # and writes
                    # When this much is spent nothing more is asked; 0: no limit. Both count all
                    # that the cache holds.
                    "token_budget": 0,
                    "money_budget": 0.0,
                    "cache": "",  # a file that keeps answers between runs; empty: in the workdir
                },
                "policy": {
                    # Fields as of `prompt`, and {attempt} and {lean}: what Lean says of it.
                    "prompt": "{goal}\n:={attempt}\n{lean}\n",
                    "average": False,  # does the policy's average write it, where there is one?
                    "response_length": 28,  # tokens
                    "temperature": 1.0,
                },
                "reference": {
                    # Proofs asked of llm.model where the data has none that Lean accepts.
                    "asks": 0,
                    "prompt": "proof.v1",
                },
                "peers": {
                    "successes": 1,  # proofs of its group that an attempt is shown
                    "failures": 0,
                    "order": "first",  # which ones; or nearest: that begin as the attempt does
                    # Is a success shown itself? never, alone (without a peer that succeeds), always
                    "own": "never",
                },
            },
            "evaluation": {
                "train": "train",  # the split behind the summary's "pool" and "heldout" figures
                "heldout": "test",
                "theorems": 200,  # of each split, the first ones
                "train_samples": 64,  # attempts per theorem: the largest k of pass@k
                "heldout_samples": 64,
                "batch": 16,  # theorems at a time
                "temperature": 1.0,
                "low_temperature": 0.6,  # once more at this temperature: is a gain only sharpening?
            },
            "keep_checkpoints": 2,  # the latest ones of each stage
            "sft": supervised_stage(),
            "fd": distillation_stage(),
            "grpo": policy_gradient_stage(),
            "expert_iteration": expert_iteration_stage(),
        }
    )


def adapters() -> dict:
    """Fields of `model` for LoRA, on top of what `init_from` names."""
    return {
        "lora_rank": 0,  # above 0 only adapters of this rank are trained
        "lora_alpha": 32.0,  # what they add is multiplied by alpha / rank
        "lora_targets": PROJECTIONS,  # the projections that have one
    }


def optimizer(**changes) -> dict:
    return {
        "learning_rate": 3e-4,
        "warmup": 5,  # steps
        "decay_fraction": 0.6,  # the last part of the steps, in which the rate falls linearly to 0
        "weight_decay": 0.0,
        "clip_norm": 1.0,
        "moments": "float32",  # as which Adam's two are kept, or bfloat16: half the memory
        "microbatches": 1,
    } | changes


def supervised_stage(**changes) -> ConfigDict:
    return ConfigDict(
        {
            "objective": "supervised",
            "theorems": "sft",
            "steps": 800,
            "show_every": 25,  # steps to a line on the console
            "save_every": 100,  # steps to a checkpoint
            "batch_size": 128,
            # From step `feedback_start` on, this share of the rows teaches to read feedback: what
            # the provider says of attempts that the policy fails with at that moment, answered by
            # a proof that does as it says. The others are plain proofs.
            "feedback_start": 300,
            "feedback_fraction": 0.6,
            "prompts_per_step": 6000,  # of that one step with rollouts
            "samples_per_prompt": 2,
            "temperature": 1.0,
            "optimizer": optimizer(learning_rate=2e-3, warmup=50),
        }
        | changes
    )


def curriculum() -> dict:
    """Fields of fdjax.rollout.curriculum.Settings, which explains them."""
    return {
        "window": 0,  # visits that a theorem's solve rate is taken from; 0: all are taken alike
        "min_solve_rate": 0.0,  # passed over at this solve rate or below
        "solved": 1.0,  # passed over at this solve rate or above
        "again": 0.1,  # the chance, each epoch, that such a one is taken all the same
        "visits": 2,  # with as many in an epoch a theorem fills no other's place any more
        "ramp": "",  # easy ones first, by length, by solve_rate, or by tags: "easy,hard"
        "ramp_start": 0.2,  # the difficulty, of 0 to 1, that is taken at first
        "ramp_steps": 0,  # until all are taken
    }


def rollout_fields(**changes) -> dict:
    return {
        "theorems": "train",
        "steps": 100,
        "show_every": 1,  # steps to a line on the console
        "save_every": 10,  # steps to a checkpoint
        "prompts_per_step": 16,
        "samples_per_prompt": 8,
        "generation_batch": 0,  # sampled together, as many as memory has caches for; 0: all
        "temperature": 1.0,
        "pipeline_depth": 0,  # rollouts that may wait, sampled by the policy of as many steps ago
        "curriculum": curriculum(),
        "row_buckets": (64, 128),  # a batch's rows are padded to the least of these that fits
        # A batch is learned from in epochs * minibatches updates, each of every so many-th row.
        "minibatches": 1,
        "epochs": 1,
    } | changes


def distillation_stage(**changes) -> ConfigDict:
    return ConfigDict(
        rollout_fields()
        | {
            "objective": "distillation",
            # The divergence of a token. Formulas and sources of it all: docs/method.md.
            "alpha": 0.0,  # 0: forward KL(p|q), 1: reverse KL(q|p), between: Jensen-Shannon
            "estimator": "full",  # over the vocabulary, or k1, k2, k3: from the sampled token alone
            "top_k": 0,  # support of the divergence; 0: the full vocabulary
            "support": "union",  # of the top_k of student and teacher and the token; or of either
            "tail": True,  # a bucket for all outside the top_k; False: renormalised without it
            "entry_clip": 0.0,  # the most that an entry of the vocabulary adds; 0: no bound
            "token_clip": 0.0,  # of a token (k1, k2, k3: bounds |log q - log p|); 0: no bound
            # How tokens add up.
            "is_clip": 2.0,  # c of the importance weight min(q / q_sampler, c); 0: no weight
            "ratio_mean": "token",  # or sequence: its mean over the response for all its tokens
            "aggregation": "token_mean",  # of the whole batch, or sequence_mean: of the responses
            "line_cap": 0.0,  # lines far from the teacher weigh less, others up to this; 0: alike
            # What is distilled.
            "distill_attempts": "all",  # which attempts are distilled: failed, or all
            "solved_below": 0.0,  # only of groups whose solve rate is below this; 0: of all
            # Of a proved attempt's tokens beside 1 of a failed one's: feedback on a success repeats
            # it, which sharpens. 1 loses a fifth of the entropy on the pool, 0 much of the gain.
            "success_weight": 0.3,
            # Learn up to where the attempt goes wrong (departure), from there on (error), or all.
            "weights": "up_to_error",
            "skip_tokens": 0,  # the first ones of a response, not learned
            "group_weights": "equal",  # or spread: sqrt(p(1-p)) of the group's solve rate p
            "teacher": "ema",  # ema, frozen, live, or trust_region: frozen, mixed with the student
            "ema_rate": 0.005,
            "ema_per": "update",  # or batch: the average moves once a batch, after its last update
            "trust_rate": 0.05,  # of the student's logits in the trust region's
            "min_gap": 0.02,  # warn if feedback raises the teacher's solve rate by less
            "optimizer": optimizer(),
        }
        | changes
    )


def policy_gradient_stage(**changes) -> ConfigDict:
    return ConfigDict(
        rollout_fields()
        | {
            "objective": "policy_gradient",
            # ppo: the clipped ratio of each token; gspo: of the response; cispo: a clipped weight
            # on its log-probability.
            "surrogate": "ppo",
            "clip_low": 0.2,
            "clip_high": 0.28,
            "dual_clip": 0.0,  # c: a negative advantage counts c times at most; 0: no such bound
            "normalize_std": False,
            "aggregation": "token_mean",  # token_mean, sequence_mean or constant
            "is_clip": 0.0,  # of the weight min(q_old / q_sampler, cap); 0: no weight
            # Of the KL to the policy that the stage began with; 0: no such reference is kept.
            "kl_coefficient": 0.0,
            "kl": "k3",  # its estimate: k1 (taken off the rewards), k2 or k3 (added to the loss)
            # The last tokens of the budget, over which a penalty grows from 0; 0: no penalty.
            "overlong_buffer": 0,
            "overlong_penalty": 1.0,  # at the end of the budget
            "mask_truncated": False,  # attempts that the budget cut off: only for the group's mean
            # Further rollouts a step may take to replace groups that are all proved or all not.
            "refill": 0,
            "optimizer": optimizer(),
        }
        | changes
    )


def combined_stage(**changes) -> ConfigDict:
    """Both objectives on the same rollouts: a weighted sum of their losses, or in turns.

    The blocks `distillation` and `policy_gradient` hold what is theirs alone in the stages above.
    """
    shared = (*rollout_fields(), "optimizer")

    def own(stage: ConfigDict) -> ConfigDict:
        return ConfigDict({k: v for k, v in stage.items() if k not in shared})

    return ConfigDict(
        rollout_fields()
        | {
            "objective": "combined",
            "weights": {"distillation": 1.0, "policy_gradient": 1.0},  # of the losses
            # Names of the two: step i is for the i-th, over and over; (): each step is for both.
            "turns": (),
            "distillation": own(distillation_stage()),
            "policy_gradient": own(policy_gradient_stage()),
            "optimizer": optimizer(),
        }
        | changes
    )


def expert_iteration_stage(**changes) -> ConfigDict:
    return ConfigDict(
        {
            "objective": "expert_iteration",
            "theorems": "train",
            "steps": 96,
            "show_every": 1,  # steps to a line on the console
            "save_every": 12,  # steps to a checkpoint
            # A round: rollouts of `prompts_per_step` theorems at its first step, then steps that
            # learn from `batch_size` of the verified attempts of all rounds.
            "steps_per_round": 6,
            "prompts_per_step": 96,
            "samples_per_prompt": 8,
            "temperature": 1.0,
            "curriculum": curriculum(),  # its visits and ramp_steps are rounds
            "batch_size": 64,
            "per_theorem": 4,  # distinct verified attempts of a theorem, the latest
            "optimizer": optimizer(),
        }
        | changes
    )


def part(stage: ConfigDict, objective: str) -> ConfigDict | None:
    """The stage as `objective` sees it: itself, or what it would be without the other part of a
    combined one. None where that objective is not learned from.
    """
    if stage.objective == "combined" and objective in stage.weights:
        return ConfigDict(stage.to_dict() | stage[objective].to_dict())
    return stage if stage.objective == objective else None
