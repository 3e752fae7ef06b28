"""The prompts of published provers, to the letter and to the id; feedback in the same turn."""

import dataclasses

import numpy as np
import pytest

from fdjax.batches import arrays as batching
from fdjax.batches.arrays import Shape
from fdjax.batches.token_weights import (
    first_error_token,
    first_token_at,
    token_lines,
    token_weights,
)
from fdjax.config import ConfigError, DistillationConfig
from fdjax.lean.backends.embedded.backend import EmbeddedBackend
from fdjax.lean.extract import parse_candidate
from fdjax.lean.farm import Farm
from fdjax.models import tokenizer as tk
from fdjax.rollout.attempts import submit
from fdjax.rollout.prompts import TEMPLATES, Prompts, read_attempt, read_template
from fdjax.types import Candidate, Feedback, Message, Theorem, Verdict
from tests import tiny_tokenizers

tokenizers = pytest.importorskip("tokenizers")
pytest.importorskip("jinja2")

# The example of DeepSeek-Prover-V2's README.
THEOREM = Theorem(
    id="mathd_algebra_10",
    name="mathd_algebra_10",
    signature=": abs ((120 : ℝ) / 100 * 30 - 130 / 100 * 20) = 10",
    imports=("Mathlib", "Aesop"),
    context="set_option maxHeartbeats 0\n\nopen BigOperators Real Nat Topology Rat",
    informal=r"What is the positive difference between $120\%$ of 30 and $130\%$ of 20? "
    "Show that it is 10.",
)
PLAIN = Theorem(id="t", name="t", signature="{p : Prop} (h : p) : p")
CODE = """\
import Mathlib
import Aesop

set_option maxHeartbeats 0

open BigOperators Real Nat Topology Rat

/-- What is the positive difference between $120\\%$ of 30 and $130\\%$ of 20? Show that it is 10.-/
theorem mathd_algebra_10 : abs ((120 : ℝ) / 100 * 30 - 130 / 100 * 20) = 10 := by
"""
PLAN = (
    "Before producing the Lean 4 code to formally prove the given theorem, provide a detailed "
    "proof plan outlining the main proof steps and strategies.\n"
    "The plan should highlight key ideas, intermediate lemmas, and proof structures that will "
    "guide the construction of the final formal proof."
)
FEEDBACK = "Lean refuses {it}: «h» \\ `p`"
TURNS = {  # name -> (the student's text, the teacher's)
    "deepseek_prover_v2": (
        f"Complete the following Lean 4 code:\n\n```lean4\n{CODE}  sorry\n```\n\n{PLAN}",
        f"Complete the following Lean 4 code:\n\n```lean4\n{CODE}  sorry\n```\n\n"
        f"Feedback on an earlier attempt:\n\n{FEEDBACK}\n\n{PLAN}",
    ),
    "deepseek_prover_completion": (
        f"Complete the following Lean 4 code:\n\n```lean4\n{CODE}",
        f"Feedback on an earlier attempt:\n\n{FEEDBACK}\n\n"
        f"Complete the following Lean 4 code:\n\n```lean4\n{CODE}",
    ),
    "goedel_prover_v2": (
        f"Complete the following Lean 4 code:\n\n```lean4\n{CODE}  sorry```\n\n{PLAN}",
        f"Complete the following Lean 4 code:\n\n```lean4\n{CODE}  sorry```\n\n"
        f"Feedback on an earlier attempt:\n\n{FEEDBACK}\n\n{PLAN}",
    ),
    "kimina_prover": (
        "Think about and solve the following problem step by step in Lean 4.\n"
        f"# Problem:{THEOREM.informal}\n# Formal statement:\n```lean4\n{CODE}```\n",
        "Think about and solve the following problem step by step in Lean 4.\n"
        f"# Problem:{THEOREM.informal}\n# Formal statement:\n```lean4\n{CODE}```\n"
        f"# Feedback on an earlier attempt:\n{FEEDBACK}\n",
    ),
    "chat": (
        f"Prove this theorem in Lean 4:\n\n```lean4\n{CODE}  sorry\n```",
        f"Prove this theorem in Lean 4:\n\n```lean4\n{CODE}  sorry\n```\n\n"
        f"Feedback on an earlier attempt:\n\n{FEEDBACK}",
    ),
    "chat_tools": (
        f"Prove this theorem:\n\n```lean4\n{CODE}  sorry\n```",
        f"Prove this theorem:\n\n```lean4\n{CODE}  sorry\n```\n\n"
        f"Feedback on an earlier attempt:\n\n{FEEDBACK}",
    ),
    "plain_tools": (
        f"A theorem to prove in Lean 4:\n\n```lean\n{CODE}  sorry\n```\n\n",
        f"A theorem to prove in Lean 4:\n\n```lean\n{CODE}  sorry\n```\n\n"
        f"Feedback on an earlier attempt:\n{FEEDBACK}\n\n",
    ),
    "plain": (CODE, f"/-\nFeedback on an earlier attempt:\n{FEEDBACK}\n-/\n{CODE}"),
}
SYSTEM = {
    "kimina_prover": "You are an expert in mathematics and Lean 4.",
    "chat_tools": "You are an expert in Lean 4. Work in steps: try proofs with the tools and read "
    "their answers. End with a proof of the theorem as it is stated.",
}
THOUGHT = "<think>\n\n</think>\n\n"


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    layouts = (tiny_tokenizers.qwen, tiny_tokenizers.deepseek)
    return {f.__name__: f(tmp_path_factory.mktemp(f.__name__)) for f in layouts}


def chat_text(layout, name, turn, thinking):
    """The whole prompt, control tokens by name."""
    system = SYSTEM.get(name)
    if layout == "deepseek":
        return f"<｜begin▁of▁sentence｜>{system or ''}<｜User｜>{turn}<｜Assistant｜>"
    before = f"<|im_start|>system\n{system}<|im_end|>\n" if system else ""
    after = "" if thinking in (None, True) else THOUGHT
    return f"{before}<|im_start|>user\n{turn}<|im_end|>\n<|im_start|>assistant\n{after}"


def read_back(tokenizer, template, theorem, ids, allow_helpers=False):
    """The attempt of a finished response."""
    prompts = Prompts(tokenizer, template, (), (), len(ids), allow_helpers)
    return read_attempt(prompts, theorem, 0, ids, [-1.0] * len(ids), True)


def test_every_template_is_pinned():
    assert {file.stem for file in TEMPLATES.glob("*.toml")} == TURNS.keys()


@pytest.mark.parametrize("layout", ["qwen", "deepseek"])
@pytest.mark.parametrize("name", TURNS)
def test_text_and_ids(folders, name, layout):
    template, ours = read_template(name), tk.load(folders[layout])
    library = tokenizers.Tokenizer.from_file(str(folders[layout] / "tokenizer.json"))
    for turn, feedback in zip(TURNS[name], (None, FEEDBACK)):
        assert template.text(THEOREM, feedback) == turn
        for thinking in (None, True, False):
            switched = dataclasses.replace(template, thinking=thinking)
            whole = chat_text(layout, name, turn, thinking) if template.chat else turn
            expected = library.encode(whole, add_special_tokens=not template.chat).ids
            assert switched.ids(ours, THEOREM, feedback) == expected


def test_what_a_theorem_lacks_leaves_no_gap():
    text = read_template("deepseek_prover_v2").text(PLAIN)
    assert "```lean4\ntheorem t {p : Prop} (h : p) : p := by\n  sorry\n```" in text
    assert read_template("plain").text(PLAIN) == "theorem t {p : Prop} (h : p) : p := by\n"


@pytest.mark.parametrize("name", TURNS)
def test_an_answer_to_learn_from_reads_back_as_its_proof(folders, name):
    template, ours = read_template(name), tk.load(folders["qwen"])
    proofs = [" by\n  norm_num\n  simp", *["\n  by simp"] * template.chat]
    for theorem in (THEOREM, PLAIN):
        for proof in proofs:
            ids = template.response_ids(ours, theorem, parse_candidate(proof, theorem, True))
            read = read_back(ours, template, theorem, ids)
            assert read.refusal is None and read.candidate.text.rstrip("\n") == proof
            assert ids[-1] in ours.stop_ids
    ids = template.response_ids(ours, PLAIN, Candidate(template.prefill + "h"))
    read = read_back(ours, template, PLAIN, ids)
    assert read.candidate.text.strip() == (template.prefill + "h").strip()


def test_a_completion_ends_at_its_fence(folders):
    template, ours = read_template("deepseek_prover_completion"), tk.load(folders["deepseek"])
    response = "  simp\n```\nThat is it."
    ids = [*ours.encode(response), ours.eos_id]
    read = read_back(ours, template, PLAIN, ids)
    assert read.candidate.text == " by\n  simp\n"
    assert (read.offsets[0], read.offsets[-1]) == (len(" by\n"), len(" by\n" + response))


ANSWER = "<think>\nlet us seé 𝔸\n</think>\nA plan.\n\n```lean4\n{}```\nDone."
STATED = "theorem t {p : Prop} (h : p) : p :="


def answered(folders, code, proof, layout="qwen"):
    ours = tk.load(folders[layout])
    answer = ANSWER.replace("{}", code)
    ids = ours.encode(answer) + [ours.eos_id]
    read = read_back(ours, read_template("goedel_prover_v2"), PLAIN, ids)
    start = answer.index(code) + code.index(proof)
    return read, ours, answer, start


def test_places_survive_extraction(folders):
    proof = " by\n  have a𝔸 := h\n  exact h"
    for layout in ("qwen", "deepseek"):
        read, ours, answer, start = answered(folders, f"{STATED}{proof}\n", proof, layout)
        assert read.candidate.text == proof and read.refusal is None
        assert len(read.offsets) == len(read.tokens)
        assert read.offsets[0] == -start and read.offsets[-1] == len(answer) - start
        for token, offset in zip(read.tokens[:-1], read.offsets):
            text = ours.decode([token])
            if "\ufffd" not in text:
                assert answer[start + offset :].startswith(text)
        # Every character of the proof is in the token that first_token_at names.
        for at in range(len(proof) + 1):
            i = first_token_at(read, at)
            later = [o for o in read.offsets if o > read.offsets[i]]
            assert read.offsets[i] <= at < min(later)


def test_weights_end_at_leans_first_error_in_an_answer(folders):
    proof = " by\n  exact hp"
    read, ours, *_ = answered(folders, f"{STATED}{proof}\n", proof)
    wrong = Message("error", "unknown identifier", start=proof.index("hp"))
    feedback = Feedback(("look at it",), "some")
    group = [(PLAIN, read, Verdict("failed", (wrong,)), feedback)]
    [weighted] = token_weights(DistillationConfig(), [group])
    weights = weighted.weights
    learned = [t for t, w in zip(read.tokens, weights) if w]
    assert ours.decode(learned).endswith("exact h") or ours.decode(learned).endswith("exact hp")
    assert ours.decode(learned).startswith("<think>\n") and not any(weights[len(learned) :])
    lines = token_lines(read)
    assert lines[0] == 0 and lines[-1] == 1 and lines == sorted(lines)


def test_what_lean_says_of_an_answers_proof_stands_at_the_tokens_that_wrote_it(folders):
    proofs = (" by\n  have a : p := h\n  exact a", " by\n  have a : p := h\n  exact b𝔸")
    reads = [answered(folders, f"{STATED}{proof}\n", proof) for proof in proofs]
    with Farm(EmbeddedBackend(), workers=1) as farm:
        waiting = [submit(farm, PLAIN, read) for read, *_ in reads]
        right, wrong = (future.result() for future in waiting)
    assert right.proved
    read, ours, *_ = reads[1]
    wrong_token = first_error_token(read, wrong, Feedback(("no",), "some"))
    assert "b" in ours.decode(read.tokens[wrong_token : wrong_token + 1])
    assert ours.decode(read.tokens[:wrong_token]).endswith(("exact", "exact "))


HELPED = """
theorem aux {{p : Prop}} (h : p) : p := by
  exact {}

theorem t {{p : Prop}} (h : p) : p := by
  exact aux {}"""


def test_helpers_in_an_answer_are_checked_and_placed_as_the_rest(folders):
    ours, template = tk.load(folders["qwen"]), read_template("goedel_prover_v2")

    def read(code):
        ids = [*ours.encode(ANSWER.replace("{}", f"open Nat{code}\n")), ours.eos_id]
        return read_back(ours, template, PLAIN, ids, allow_helpers=True)

    attempts = [read(HELPED.format(*fill)) for fill in (("h", "h"), ("b𝔸", "h"), ("h", "b𝔸"))]
    with Farm(EmbeddedBackend(), workers=1, allow_helpers=True) as farm:
        right, *wrong = (submit(farm, PLAIN, read).result() for read in attempts)
    assert right.proved and attempts[0].candidate.text == HELPED.format("h", "h")
    assert [a.candidate.proof for a in attempts] == [
        f" by\n  exact aux {h}" for h in ("h", "h", "b𝔸")
    ]
    for attempt, verdict, before in zip(attempts[1:], wrong, ("  exact", "  exact aux")):
        place = first_error_token(attempt, verdict, Feedback(("no",), "some"))
        assert "b" in ours.decode(attempt.tokens[place : place + 1])
        assert ours.decode(attempt.tokens[:place]).endswith((before, before + " "))


def test_an_answer_with_helpers_to_learn_from_reads_back(folders):
    ours, template = tk.load(folders["qwen"]), read_template("goedel_prover_v2")
    proof = HELPED.format("h", "h")
    for theorem in (PLAIN, dataclasses.replace(PLAIN, context="open Nat\n\ndef two := 2")):
        ids = template.response_ids(ours, theorem, parse_candidate(proof, theorem, True))
        again = read_back(ours, template, theorem, ids, allow_helpers=True)
        assert again.candidate.text.split() == proof.split()


def test_an_answer_without_a_proof_is_kept_whole(folders):
    read, _, answer, _ = answered(folders, "theorem t {p : Prop} : p := by simp\n", " by")
    assert read.candidate.text == answer and "states t differently" in read.refusal
    assert read.offsets[0] == 0 and read.offsets[-1] == len(answer)
    feedback = Feedback(("no",), "some", first_error=0)
    assert first_error_token(read, Verdict("rejected"), feedback) is None


def test_a_response_is_never_tokenized_again(folders):
    """Sampled ids whose text the tokenizer would write in other ids, in both prompts of a row."""
    ours, template = tk.load(folders["qwen"]), read_template("goedel_prover_v2")
    answer = f"```lean4\n{STATED} by exact h\n```"
    sampled = [i for character in answer for i in ours.encode(character)] + [ours.eos_id]
    assert ours.decode(sampled) == answer and ours.encode(answer) != sampled[:-1]
    read = read_back(ours, template, PLAIN, sampled)
    assert read.candidate.text == " by exact h" and list(read.tokens) == sampled
    student, teacher = template.ids(ours, PLAIN), template.ids(ours, PLAIN, FEEDBACK)
    row = batching.DistillationRow(student, teacher, read, None, [1.0] * len(sampled))
    shape = Shape(1, len(student) + 3, len(sampled) + 2)
    batch = batching.distillation_batch([row], shape, len(teacher), ours.pad_id)
    for tokens, prompt in ((batch.student_tokens, student), (batch.teacher_tokens, teacher)):
        response = tokens[0, -shape.response :][: len(sampled)]
        np.testing.assert_array_equal(response, sampled)
        np.testing.assert_array_equal(tokens[0, : -shape.response][-len(prompt) :], prompt)
    kept = slice(0, len(sampled))
    np.testing.assert_array_equal(batch.generator_logprobs[0, kept], read.logprobs)


def test_bad_templates_are_named(tmp_path, folders):
    with pytest.raises(ConfigError, match=r"prompt\.template=x: no such file, and none of chat"):
        read_template("x")
    for text, message in (
        ("student = 1x", "prompt.template=.*mine.toml: "),
        ("student = ''", "missing 1 required.*'teacher'"),
        ("student = ''\nteacher = ''\npupil = ''", "unexpected keyword argument 'pupil'"),
    ):
        (tmp_path / "mine.toml").write_text(text)
        with pytest.raises(ConfigError, match=message):
            read_template(str(tmp_path / "mine.toml"))
    trained = tk.train(tiny_tokenizers.TEXTS, 400)
    with pytest.raises(ConfigError, match=r"prompt.template is a chat: .* no chat template"):
        read_template("kimina_prover").ids(trained, PLAIN)
