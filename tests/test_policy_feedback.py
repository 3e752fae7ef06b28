"""The policy as the one who writes feedback: what it reads, and what becomes of what it writes."""

import asyncio

import pytest

from fdjax.config import PolicyFeedbackConfig
from fdjax.feedback import policy as policy_lib
from fdjax.feedback.policy import policy
from fdjax.models import tokenizer as tokenizer_lib
from fdjax.models.config import ModelConfig
from fdjax.models.flops import forward_flops
from fdjax.rollout.generate import Generator, Sampling
from fdjax.rollout.prompts import Prompts, Template
from fdjax.types import Attempt, Candidate, FeedbackContext, Message, Segment, Theorem, Verdict

PROOF = " by\n  exact h2"
ERROR = Message("error", "unknown identifier 'h2'\n⊢ p", start=PROOF.index("h2"))


@pytest.fixture(scope="module")
def generator():
    texts = [f"a b c p q h1 h2 exact intro {PROOF} {ERROR.text} Lean refuses"] * 20
    prompts = Prompts(
        tokenizer=tokenizer_lib.train(texts, 300),
        template=Template("{goal}\n:= by\n  ", "{goal}\n{feedback}\n:= by\n  ", " by\n  "),
        student_buckets=(16,),
        teacher_buckets=(64,),
        response_length=8,
        allow_helpers=False,
    )
    return Generator(ModelConfig(vocab_size=300), None, prompts)


def theorem(name):
    return Theorem(name, name, "(p : Prop) (h1 : p) : p", goal="h1 : p\n⊢ p")


def item(name="t", sample=0, status="failed", finished=True, proof=PROOF, text=ERROR.text):
    error = Message("error", text, start=ERROR.start)
    verdict = Verdict(status, (error,) if status == "failed" else ())
    return theorem(name), Attempt(name, sample, (), (), finished, Candidate(proof), ()), verdict


class Writer:
    """Stands in for `generate`: writes the texts it is given, the last one first."""

    def __init__(self, monkeypatch, *texts):
        self.texts, self.calls = list(texts), []
        monkeypatch.setattr(policy_lib, "generate", self)

    def __call__(self, generator, params, requests, sampling):
        self.calls.append((generator, params, requests, sampling))
        for place in reversed(range(min(len(requests), len(self.texts)))):
            text, theorem = self.texts[place], requests[place].theorem
            finished, segments = not text.endswith("..."), (Segment((1, 2, 3)),)
            attempt = Attempt(theorem.id, 0, segments, (0.0,) * 3, finished, Candidate(text), ())
            yield place, attempt


def ask(generator, groups, context, draw=0, successes=False, **changes):
    config = PolicyFeedbackConfig(**changes)
    provider = policy(generator, config, successes=successes, seed=7, draw=draw)
    return asyncio.run(provider(groups, context))


def test_it_reads_the_attempt_and_lean_and_writes_lines(generator, monkeypatch):
    writer = Writer(monkeypatch, "use h1\n\n <|im_end|> not h2 ")
    context = FeedbackContext("fd", 5, "params", "average")
    group = [item(), item(status="proved"), item(finished=False), item(status="timeout")]
    [feedbacks] = ask(generator, [group], context)
    assert feedbacks[0].messages == ("use h1", "< |im_end|> not h2") and feedbacks[1:] == [None] * 3
    [(writing, params, [request], sampling)] = writer.calls
    ids = request.prompt
    assert generator.prompts.tokenizer.decode(ids) == (
        "h1 : p\n⊢ p\n:= by\n  exact h2\nLean refuses exact h2\nunknown identifier 'h2'\n⊢ p\n"
    )
    read, written = len(ids), 3
    assert feedbacks[0].tokens == read + written
    model = generator.model
    assert feedbacks[0].own_flops == (
        forward_flops(model, 0, read, logits=0)
        + forward_flops(model, read, read + written, logits=written)
    )
    assert feedbacks[0].first_error == ERROR.start
    assert (feedbacks[0].requests, feedbacks[0].failed_requests, feedbacks[0].provider) == (
        1,
        0,
        "policy",
    )
    assert params == "params" and writing.prompts.response_length == 28
    assert not writing.prompts.template.prefill
    assert request.name == "t 0 0"
    assert sampling == Sampling(1, 1.0, seed=7, stream="feedback fd 0", step=5)


def test_the_teacher_writes_where_there_is_one(generator, monkeypatch):
    writer = Writer(monkeypatch, "a")
    for teacher, draw in (("average", 0), (None, 1)):
        ask(
            generator,
            [[item()]],
            FeedbackContext("sft", 0, "params", teacher),
            draw,
            by_teacher=True,
        )
    assert [params for _, params, *_ in writer.calls] == ["average", "params"]
    assert [call[-1].stream for call in writer.calls] == ["feedback sft 0", "feedback sft 1"]


def test_samples_have_names_of_their_own(generator, monkeypatch):
    writer = Writer(monkeypatch, *"abcdef")
    groups = [[item("t", 0), item("t", 1)], [item("u", 0)], [item("t", 0), item("t", 1)]]
    context = FeedbackContext("fd", 0, requested=[[True, False], [True], [True, True]])
    feedbacks = ask(generator, groups, context)
    assert [request.name for request in writer.calls[0][2]] == ["t 0 0", "u 0 0", "t 1 0", "t 1 1"]
    assert [[f and f.text for f in g] for g in feedbacks] == [["a", None], ["b"], ["c", "d"]]


def test_successes_too_if_so_configured(generator, monkeypatch):
    Writer(monkeypatch, "a", "b")
    [feedbacks] = ask(
        generator, [[item(), item(status="proved")]], FeedbackContext("fd", 0), successes=True
    )
    assert [f.text for f in feedbacks] == ["a", "b"] and feedbacks[1].first_error is None


def test_responses_that_are_cut_off_or_empty_are_not_used(generator, monkeypatch):
    Writer(monkeypatch, "use h1 and then...", " \n\x07")
    read_answers = []
    monkeypatch.setattr(policy_lib, "without_thoughts", lambda t: read_answers.append(t) or t)
    [feedbacks] = ask(generator, [[item(), item(sample=1)]], FeedbackContext("fd", 0))
    assert [f.messages for f in feedbacks] == [(), ()] and [
        f.failed_requests for f in feedbacks
    ] == [1, 1]
    assert [f.problems for f in feedbacks] == [("policy: cut off",), ("policy: empty answer",)]
    assert read_answers == [" \n\x07"]  # only those that are finished


def test_over_the_budget_lines_of_lean_are_left_out_then_the_attempt(generator, monkeypatch):
    writer = Writer(monkeypatch, "a")
    long = "unknown identifier 'h2'\n" + "h2 " * 200
    group = [item(text=long), item(sample=1, proof=" by\n  exact" + " h2" * 200)]
    [feedbacks] = ask(generator, [group], FeedbackContext("fd", 0))
    [(*_, requests, _)] = writer.calls
    prompts = [request.prompt for request in requests]
    assert [generator.prompts.tokenizer.decode(ids).splitlines()[-1] for ids in prompts] == [
        "unknown identifier 'h2'"
    ]
    assert feedbacks[0].text == "a" and feedbacks[1].problems == ("policy: prompt too long",)
    assert feedbacks[1].failed_requests == 1 and feedbacks[1].tokens == 0


def test_the_lines_of_lean_that_fit_are_found_with_a_few_encodings(generator, monkeypatch):
    writer, encoded = Writer(monkeypatch, "a"), []

    def encode(self, tokenizer, text):
        encoded.append(text)
        return tokenizer.encode_prompt(text)

    monkeypatch.setattr(Template, "encode", encode)
    ask(generator, [[item(text="h2\n" * 300)]], FeedbackContext("fd", 0))
    [(*_, [request], _)] = writer.calls
    assert len(encoded) < 12
    tokenizer, longest = generator.prompts.tokenizer, max(generator.prompts.teacher_buckets)
    longer = f"{tokenizer.decode(request.prompt)}h2\n"
    assert longer in encoded[0] and longer.count("h2") > 3
    assert len(request.prompt) <= longest < len(tokenizer.encode_prompt(longer))


def test_no_attempt_to_comment_on(generator, monkeypatch):
    writer = Writer(monkeypatch)
    assert ask(generator, [[item(status="proved")]], FeedbackContext("fd", 0)) == [[None]]
    assert not writer.calls
