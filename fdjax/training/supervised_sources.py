"""Where the batches of supervised stages come from: reference proofs, answers to feedback and
mended attempts, or the policy's own verified proofs.
"""

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence

from fdjax.batches import arrays
from fdjax.batches.arrays import Shape
from fdjax.config import (
    ConfigError,
    DataConfig,
    ExpertIterationStage,
    SupervisedStage,
    learns_from_feedback,
)
from fdjax.data.splits import learned_proof
from fdjax.feedback.metrics import feedback_metrics
from fdjax.lean.extract import parse_candidate
from fdjax.reporting.diversity import normalise
from fdjax.rollout.curriculum import in_epochs
from fdjax.rollout.prompts import Prompts, all_buckets, shared_bucket
from fdjax.rollout.worker import RolloutWorker
from fdjax.runtime.metrics import console
from fdjax.training.sources import (
    Metrics,
    RolloutPlan,
    Source,
    rollout_costs,
    rollout_metrics,
)
from fdjax.training.state import TrainState
from fdjax.types import REFUSED, Candidate, Group, Item, Theorem

# The ids between an attempt that Lean refused and the next turn: what the environment answers.
AnswerIds = Callable[[Item], Sequence[int]]


def supervised(
    stage: SupervisedStage,
    worker: RolloutWorker,
    data: DataConfig,
    seed: int,
    start: int,
    answer_ids: AnswerIds | None = None,
) -> Source:
    """Plain proofs, in the data's dialect; from step `feedback_start` on also answers to feedback
    on the policy's own failed attempts of that step: the proof that the feedback leads to. And with
    `answer_ids` dialogues: such an attempt and the answer to it, which are read, and that proof as
    the next turn, which is learned.

    The theorems have reference proofs. Rows over the token budgets are left out and counted on the
    console. Raises ConfigError where none is left.
    """
    prompts = worker.generator.prompts
    longest, response = max(all_buckets(prompts)), prompts.response_length

    def rows_of(
        triples: Iterable[tuple[Sequence[int], Theorem, Candidate]],
    ) -> list[arrays.SupervisedRow]:
        to_ids = functools.partial(prompts.template.response_ids, prompts.tokenizer)
        rows = [(prompt, to_ids(theorem, candidate)) for prompt, theorem, candidate in triples]
        return fitting([arrays.SupervisedRow(prompt, ids) for prompt, ids in rows if ids])

    def fitting(rows: Sequence[arrays.SupervisedRow]) -> list[arrays.SupervisedRow]:
        found = [r for r in rows if len(r.prompt) <= longest and len(r.response) <= response]
        report_left_out(len(rows) - len(found), len(rows), "rows")
        return found

    plain = rows_of(
        (prompts.student(t), t, parse_candidate(learned_proof(data, t), t, allow_helpers=True))
        for t in worker.curriculum.theorems
    )
    if not plain:
        raise ConfigError(
            f"no proof of the split {stage.theorems} fits prompt.response_length={response}"
        )
    answers: list[arrays.SupervisedRow] = []
    dialogues: list[arrays.SupervisedRow] = []

    def rollouts(step: int) -> RolloutPlan:
        """Those of `feedback_start`; a run that resumes after it finds them in the journal."""
        if learns_from_feedback(stage) and step == max(start, stage.feedback_start):
            return RolloutPlan([stage.feedback_start], finish=1)
        return RolloutPlan()

    def make_batch(step: int, rolled_out: list[list[Group]], state: TrainState):
        metrics: Metrics = {}
        for groups in rolled_out:
            answers.extend(rows_of(_answers(groups, prompts)))
            if stage.dialogue_fraction:
                dialogues.extend(fitting([*_mended(groups, prompts, answer_ids)]))
            if step == stage.feedback_start:
                metrics = feedback_metrics(groups) | rollout_costs(worker.generator, groups)
        from_feedback = round(stage.feedback_fraction * stage.batch_size) if answers else 0
        from_dialogues = round(stage.dialogue_fraction * stage.batch_size) if dialogues else 0
        from_dialogues = min(from_dialogues, stage.batch_size - from_feedback)  # both rounded up
        chosen = [
            rows[i]
            for rows, count in (
                (plain, stage.batch_size - from_feedback - from_dialogues),
                (answers, from_feedback),
                (dialogues, from_dialogues),
            )
            for i in in_epochs(len(rows), count, step, (seed, 2))
        ]
        shape = Shape(stage.batch_size, longest, response)
        batch = arrays.supervised_batch(chosen, shape, prompts.tokenizer.pad_id)
        metrics |= {"dialogue_rows": len(dialogues)} if stage.dialogue_fraction else {}
        return batch, {"feedback_rows": len(answers)} | metrics

    return Source(rollouts, make_batch)


def report_left_out(count: int, of: int, what: str) -> None:
    if count:
        console.print(f"{count:,} of {of:,} {what} are over the token budgets and left out")


def _answers(
    groups: list[Group], prompts: Prompts
) -> Iterator[tuple[list[int], Theorem, Candidate]]:
    """(teacher's prompt, theorem, the proof that the feedback leads to), of failed attempts."""
    for theorem, _, verdict, feedback in (item for g in groups for item in g):
        if verdict.status in REFUSED and feedback and feedback.proof:
            prompt, _ = prompts.teacher(theorem, feedback)
            if prompt is not None:
                yield prompt, theorem, feedback.proof


def _mended(
    groups: list[Group], prompts: Prompts, answer_ids: AnswerIds
) -> Iterator[arrays.SupervisedRow]:
    """A failed attempt, the answer to it, and the proof that the feedback leads to, of which alone
    the row learns. Where another attempt of the group failed before it, also a row that reads that
    one and its answer first: a third turn.
    """
    for group in groups:
        before: list[int] = []
        for theorem, attempt, verdict, feedback in group:
            proof = feedback and feedback.proof
            if verdict.status not in REFUSED or not attempt.finished or not proof:
                continue
            mended = prompts.template.response_ids(prompts.tokenizer, theorem, proof)
            if mended is None:
                continue
            failed = [*attempt.tokens, *answer_ids((theorem, attempt, verdict))]
            for read in (failed, before + failed)[: 2 if before else 1]:
                learned = [False] * len(read) + [True] * len(mended)
                yield arrays.SupervisedRow(prompts.student(theorem), [*read, *mended], learned)
            before = failed


def expert_iteration(
    stage: ExpertIterationStage, worker: RolloutWorker, seed: int, start: int
) -> Source:
    """Supervised learning on the policy's own verified proofs (Polu et al. 2022), in rounds. With
    `corrections`: on the proofs that feedback on its attempts leads to.

    A round begins with rollouts by the policy as it then is; its steps learn from all that was
    verified so far, or without `replay` in this round: distinct proofs, of each theorem the
    `proofs_per_theorem` first found last, each as often as any other. Unlike the original, a round
    goes on from the last one's parameters.
    """
    prompts = worker.generator.prompts
    known: dict[str, dict[str, arrays.SupervisedRow]] = {}  # theorem -> normal form -> row

    def rollouts(step: int) -> RolloutPlan:
        """A round's, at its first step; a resumed run reads earlier rounds in the journal."""
        this_round, step_of_round = divmod(step, stage.steps_per_round)
        if step == start:
            return RolloutPlan(range(this_round + 1), finish=this_round + 1)
        return RolloutPlan([this_round], finish=1) if step_of_round == 0 else RolloutPlan()

    def make_batch(step: int, rolled_out: list[list[Group]], state: TrainState):
        this_round, step_of_round = divmod(step, stage.steps_per_round)
        metrics: Metrics = {}
        for groups in rolled_out:
            if not stage.replay:
                known.clear()
            _keep_proofs(groups, known, prompts, stage)
        if rolled_out and step_of_round == 0:
            worker.curriculum.note(this_round, rolled_out[-1])
            metrics = rollout_metrics(rolled_out[-1])
            metrics |= rollout_costs(worker.generator, rolled_out[-1])
            metrics |= worker.curriculum.metrics(this_round)
        rows = [row for of_theorem in known.values() for row in of_theorem.values()]
        chosen = []
        if rows:
            order = in_epochs(len(rows), stage.batch_size, step_of_round, (seed, 5, this_round))
            chosen = [rows[i] for i in order]
        shape = Shape(
            stage.batch_size,
            shared_bucket([r.prompt for r in chosen], prompts.student_buckets),
            prompts.response_length,
        )
        batch = arrays.supervised_batch(chosen, shape, prompts.tokenizer.pad_id)
        return batch, metrics | {"rows": len(rows), "theorems_learned": len(known)}

    return Source(rollouts, make_batch)


def _keep_proofs(
    groups: list[Group],
    known: dict[str, dict[str, arrays.SupervisedRow]],
    prompts: Prompts,
    stage: ExpertIterationStage,
) -> None:
    for theorem, attempt, verdict, feedback in (item for g in groups for item in g):
        prompt, trained = prompts.student(theorem), None
        if stage.corrections:
            if not (proof := feedback and feedback.proof):
                continue
            response = prompts.template.response_ids(prompts.tokenizer, theorem, proof)
            if response is None or len(response) > prompts.response_length:
                continue
        elif verdict.proved and attempt.finished:
            proof, response, trained = attempt.candidate, attempt.tokens, attempt.trained
        else:
            continue
        rows = known.setdefault(theorem.id, {})
        rows.setdefault(normalise(proof.text), arrays.SupervisedRow(prompt, response, trained))
        if len(rows) > stage.proofs_per_theorem:
            del rows[next(iter(rows))]
