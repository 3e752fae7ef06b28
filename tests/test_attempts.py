"""Figures of attempts, against cases counted by hand."""

from concurrent.futures import Future

import pytest

from fdjax.rollout import attempts as attempts_module
from fdjax.rollout.attempts import Verdicts, policy_entropy, submit
from fdjax.types import Attempt, Candidate, Segment, Theorem, Verdict


def attempt(own: int, tool: int, entropy: float) -> Attempt:
    segments = (Segment((1,) * own), Segment((2,) * tool, "tool"))
    return Attempt("t", 0, segments, (0.0,) * (own + tool), True, Candidate(""), (), entropy)


def test_entropy_is_weighted_by_the_tokens_that_the_model_wrote():
    assert policy_entropy([attempt(3, 5, 0.2), attempt(1, 0, 1.0)]) == pytest.approx(1.6 / 4)
    assert policy_entropy([]) == 0


def test_a_response_without_a_proof_is_rejected_without_lean():
    class Farm:
        def submit(self, theorem, candidate, urgent, more_follow):
            return (theorem.id, candidate)

    theorem = Theorem(id="t", name="t", signature=": True")
    read = Attempt("t", 0, (), (), True, Candidate(" trivial"), ())
    assert submit(Farm(), theorem, read) == ("t", Candidate(" trivial"))
    unread = Attempt("t", 0, (), (), True, Candidate("I give up"), (), refusal="no block")
    verdict = submit(Farm(), theorem, unread).result(timeout=0)
    assert (
        verdict.status,
        verdict.first_error_message.text,
        verdict.first_error_message.start,
    ) == ("rejected", "no block", None)


class SlowFarm:
    """Decides when it is told to; `asked` are the proofs and whether they were urgent."""

    def __init__(self):
        self.asked, self.futures = [], {}

    def submit(self, theorem, candidate, urgent, more_follow):
        self.asked.append((candidate.text, urgent))
        return self.futures.setdefault(candidate.text, Future())


def written(theorem, sample):
    return Attempt(theorem.id, sample, (), (), True, Candidate(f"{theorem.id} {sample}"), ())


def two_groups():
    theorems = [Theorem(id=name, name=name, signature=": True") for name in "tu"]
    return theorems, [[written(t, g) for g in range(2)] for t in theorems]


def test_verdicts_have_the_order_of_their_groups_not_of_submission():
    theorems, groups = two_groups()
    farm = SlowFarm()
    verdicts = Verdicts(farm, urgent=True)
    for g, i in ((1, 1), (0, 0), (1, 0), (0, 1)):
        verdicts.submit(g, theorems[g], groups[g][i])
    assert farm.asked == [("u 1", True), ("t 0", True), ("u 0", True), ("t 1", True)]
    for text, future in farm.futures.items():
        future.set_result(Verdict("proved" if text == "u 0" else "failed"))
    statuses = [[v.status for v in group] for group in verdicts.result("name", groups)]
    assert statuses == [["failed", "failed"], ["proved", "failed"]]
    backwards = [group[::-1] for group in groups]
    assert verdicts.result("name", backwards)[1][1].status == "proved"


def test_a_host_submits_its_own_groups_and_hears_of_the_others(monkeypatch):
    theorems, groups = two_groups()
    of_other = [[Verdict("proved")] * 2, []]
    monkeypatch.setattr(attempts_module.hosts, "is_mine", lambda number: number == 1)
    monkeypatch.setattr(attempts_module.hosts, "allgather", lambda name, own: [of_other, own()])
    farm = SlowFarm()
    verdicts = Verdicts(farm)
    for g, group in enumerate(groups):
        for attempt in group:
            verdicts.submit(g, theorems[g], attempt)
    assert farm.asked == [("u 0", False), ("u 1", False)]
    for future in farm.futures.values():
        future.set_result(Verdict("timeout"))
    assert verdicts.result("name", groups) == [of_other[0], [Verdict("timeout")] * 2]


def test_what_the_farm_raises_is_raised_where_verdicts_are_awaited():
    theorems, groups = two_groups()
    farm = SlowFarm()
    verdicts = Verdicts(farm)
    verdicts.submit(0, theorems[0], groups[0][0])
    farm.futures["t 0"].set_exception(RuntimeError("no Lean"))
    with pytest.raises(RuntimeError, match="no Lean"):
        verdicts.result("name", [groups[0][:1]])
