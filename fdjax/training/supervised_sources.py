"""What supervised stages train on: reference proofs and answers to feedback, or the policy's own
verified proofs.
"""

from collections.abc import Iterable, Iterator, Sequence

from fdjax.batches import arrays as batching
from fdjax.batches.arrays import Shape
from fdjax.config import ConfigError
from fdjax.feedback.metrics import feedback_metrics
from fdjax.lean.extract import parse_candidate
from fdjax.reporting.diversity import normalise
from fdjax.rollout.curriculum import in_epochs
from fdjax.rollout.generate import Prompting
from fdjax.rollout.worker import RolloutWorker
from fdjax.runtime.metrics import console
from fdjax.training.sources import Metrics, Source, Step, rollout_metrics, shared_bucket
from fdjax.training.state import TrainState
from fdjax.types import REFUSED, Candidate, Group, Theorem


def supervised(config, prompting: Prompting, worker: RolloutWorker, seed: int) -> Source:
    """Plain proofs; from step `feedback_start` on also what feedback on the policy's own failed
    attempts of that moment says, answered by a proof that does as it says.

    The theorems have reference proofs. Rows over the token budgets are left out, and counted on
    the console. Raises ConfigError where none is left.
    """
    prefill = prompting.template.prefill
    longest = max(prompting.student_buckets + prompting.teacher_buckets)
    response = prompting.response_length

    def rows_of(
        triples: Iterable[tuple[Sequence[int], Theorem, Candidate]],
    ) -> list[batching.SupervisedRow]:
        to_ids = prompting.template.response_ids
        rows = [
            batching.SupervisedRow(prompt, to_ids(prompting.tokenizer, theorem, candidate))
            for prompt, theorem, candidate in triples
            if candidate.text.startswith(prefill)  # the prompt may end with it
        ]
        fitting = [r for r in rows if len(r.prompt) <= longest and len(r.response) <= response]
        tell_left_out(len(rows) - len(fitting), len(rows), "rows")
        return fitting

    plain = rows_of(
        (worker.prompts[t.id], t, parse_candidate(t.reference, t, allow_helpers=True))
        for t in worker.theorems
    )
    if not plain:
        raise ConfigError(
            f"no proof of the split {config.theorems} fits prompt.response_length={response}"
        )
    read: list[batching.SupervisedRow] | None = None  # None: not yet asked for

    def step(index: int, state: TrainState) -> Step:
        nonlocal read
        about: Metrics = {}
        if config.feedback_fraction and index >= config.feedback_start and read is None:
            # Attempts of the step `feedback_start`: from the journal if the run resumes after it.
            groups = worker.launch(config.feedback_start, state)(state)
            read = rows_of(_answers(groups, prompting))
            if index == config.feedback_start:
                about = feedback_metrics(groups) | worker.cost(groups)
        told = round(config.feedback_fraction * config.batch_size) if read else 0
        chosen = [
            rows[i]
            for rows, count in ((plain, config.batch_size - told), (read or [], told))
            for i in in_epochs(len(rows), count, index, (seed, 2))
        ]
        prompt = longest if told else max(prompting.student_buckets)
        shape = Shape(config.batch_size, prompt, response)
        batch = batching.supervised_batch(chosen, shape, prompting.tokenizer.pad_id)
        padding = 1 - float(batch.mask.mean())
        return Step(batch, {"padding": padding, "rows_read": len(read or [])} | about)

    return step


def tell_left_out(count: int, of: int, what: str) -> None:
    if count:
        console.print(f"{count:,} of {of:,} {what} are over the token budgets and left out")


def _answers(
    groups: list[Group], prompting: Prompting
) -> Iterator[tuple[list[int], Theorem, Candidate]]:
    """(teacher's prompt, theorem, a proof that does as the feedback says), of failed attempts."""
    for theorem, _, verdict, feedback in (item for g in groups for item in g):
        if verdict.status in REFUSED and feedback and feedback.proof:
            yield prompting.teacher_prompt(theorem, feedback)[0], theorem, feedback.proof


# --- Expert iteration ----------------------------------------------------------------------------


def expert_iteration(config, prompting: Prompting, worker: RolloutWorker, seed: int) -> Source:
    """Supervised learning on the policy's own verified proofs (Polu et al. 2022), in rounds.

    A round begins with rollouts by the policy as it then is; its steps learn from all that was
    verified so far: distinct proofs, the latest `per_theorem` of each theorem, each as often as
    any other. Unlike the original, a round goes on from the last one's parameters.
    """
    known: dict[str, dict[str, batching.SupervisedRow]] = {}  # theorem -> normal form -> row
    rounds = 0  # gathered so far

    def gather(groups: list[Group]) -> None:
        for theorem, attempt, verdict, _ in (item for g in groups for item in g):
            if verdict.proved and attempt.finished:
                rows = known.setdefault(theorem.id, {})
                row = batching.SupervisedRow(
                    worker.prompts[theorem.id], attempt.tokens, attempt.trained
                )
                rows.setdefault(normalise(attempt.candidate.text), row)
                if len(rows) > config.per_theorem:
                    del rows[next(iter(rows))]

    def step(index: int, state: TrainState) -> Step:
        nonlocal rounds
        this_round, of_round = divmod(index, config.steps_per_round)
        metrics = {}
        while rounds <= this_round:  # a resumed run reads earlier rounds in the journal
            groups = worker.launch(rounds, state)(state)
            if rounds == this_round and of_round == 0:
                worker.curriculum.note(rounds, groups)
                metrics = rollout_metrics(groups) | worker.cost(groups)
                metrics |= worker.curriculum.metrics(rounds)
            gather(groups)
            rounds += 1
        rows = [row for of_theorem in known.values() for row in of_theorem.values()]
        chosen = []
        if rows:
            epochs = in_epochs(len(rows), config.batch_size, of_round, (seed, 5, this_round))
            chosen = [rows[i] for i in epochs]
        shape = Shape(
            config.batch_size,
            shared_bucket([r.prompt for r in chosen], prompting.student_buckets),
            prompting.response_length,
        )
        batch = batching.supervised_batch(chosen, shape, prompting.tokenizer.pad_id)
        return Step(batch, metrics | {"rows": len(rows), "theorems_proved": len(known)})

    return step
