"""The section `environment` of a config: what a run makes of it, and what it refuses."""

import dataclasses

import pytest
from rollouts import small_generator
from tiny_config import change
from tiny_runs import Lean, config_of_files, set_up

from fdjax.config import Config, ConfigError, EnvironmentConfig
from fdjax.environment.repair import Repair
from fdjax.lean.extract import NoProof
from fdjax.lean.farm import Farm
from fdjax.models import tokenizer
from fdjax.rollout.prompts import read_template
from fdjax.runtime.metrics import Timers
from fdjax.training import build
from fdjax.training.environment import repair_answer_ids, with_environment
from fdjax.types import Attempt, Candidate, Message, Segment, Theorem, Verdict
from tests import tool_chats


@pytest.fixture
def config(tmp_path, monkeypatch):
    return config_of_files(tmp_path, monkeypatch)


def repaired(config, **changes):
    config.environment.update(
        **{"name": "repair", "turn_tokens": 20, "answer_tokens": 30} | changes
    )
    config.prompt.response_length = 80
    return config


def test_without_an_environment_nothing_names_it(config, tmp_path):
    run, _, names = set_up(config, tmp_path / "run")
    assert run.generator.episodes is None and run.generator.prompts.first_turn is None
    assert not [name for name in names if "environment" in run.manifests[name]]
    config.environment.turns = 7  # of nothing
    again, _, _ = set_up(config, tmp_path / "other")
    assert again.manifests == run.manifests


def test_repair_of_a_config(config, tmp_path):
    run, _, _ = set_up(repaired(config), tmp_path / "run")
    episodes, trained = run.generator.episodes, run.generator.prompts.tokenizer
    assert isinstance(episodes.environment, Repair) and episodes.environment.turns == 3
    assert episodes.environment.measure("a b") == len(trained.encode("a b"))
    theorem = run.theorems["train"][0]
    assert run.generator.prompts.student(theorem) == episodes.dialogue.prompt(theorem)
    workers = {name: build.make_worker(run, name, Timers()) for name in ("sft", "fd", "grpo")}
    assert workers["sft"].generator.episodes is None  # single answers, of which it makes dialogues
    assert workers["fd"].generator.episodes == workers["grpo"].generator.episodes == episodes
    assert run.manifests["fd"]["environment"]["turn_tokens"] == 20
    other, _, _ = set_up(repaired(config, lag=2), tmp_path / "other")
    prints = [made.manifests["fd"]["fingerprint"] for made in (run, other)]
    assert len(set(prints)) == 2


def test_what_repair_would_answer(config, tmp_path):
    run, _, _ = set_up(config, tmp_path / "run")
    assert repair_answer_ids(run.generator) is None
    run, _, _ = set_up(repaired(config), tmp_path / "repair")
    trained, theorem = run.generator.prompts.tokenizer, run.theorems["train"][0]
    ids = tuple(trained.encode("x"))
    whole = Attempt(
        theorem.id, 0, (Segment((*ids, trained.eos_id)),), (), True, Candidate(" by\n  x"), ()
    )
    verdict = Verdict("failed", (Message("error", "what is x?", start=6, end=7),))
    answer_ids = repair_answer_ids(run.generator)
    found = answer_ids((theorem, whole, verdict))
    assert "what is" in trained.decode(found) and trained.eos_id not in found
    # A turn that its budget cut is ended first.
    cut = dataclasses.replace(whole, segments=(Segment(ids),), finished=False)
    assert answer_ids((theorem, cut, verdict)) == [trained.eos_id, *found]


def test_what_a_chat_template_would_rewrite_is_printed(tmp_path, capsys):
    pytest.importorskip("jinja2")
    config, made = Config(environment=EnvironmentConfig(name="repair")), small_generator()
    prompts = dataclasses.replace(
        made.prompts,
        tokenizer=tokenizer.load(tool_chats.make(tmp_path, "qwen3")),
        template=read_template("goedel_prover_v2"),
    )
    with Farm(Lean(), workers=1) as farm:
        with_environment(config, dataclasses.replace(made, prompts=prompts), farm, [])
    told = "environment: thoughts of earlier turns are kept; the chat template drops them\n"
    assert capsys.readouterr().out == told


@pytest.mark.parametrize("allow_helpers", [True, False])
def test_a_turn_is_read_with_the_helpers_that_a_single_answer_may_have(allow_helpers):
    config = Config(environment=EnvironmentConfig(name="tools", tools=("submit",)))
    template, made = read_template("plain_tools"), small_generator()
    prompts = dataclasses.replace(made.prompts, template=template, allow_helpers=allow_helpers)
    with Farm(Lean(), workers=1) as farm:
        made = with_environment(config, dataclasses.replace(made, prompts=prompts), farm, [])
    lemma, theorem = "lemma a : True := trivial", Theorem(id="t", name="t", signature=": True")
    text = f"```lean\n{lemma}\ntheorem t : True := a\n```\n"
    find_proof = made.episodes.environment.find_proof
    if not allow_helpers:
        with pytest.raises(NoProof, match="helper declarations are not allowed"):
            find_proof(text, theorem)
        return
    proof, places = find_proof(text, theorem)
    assert lemma in proof and "".join(text[place] for place in places) == proof


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"environment.turn_tokens": 81}, r"^environment\.turn_tokens is 81, must be at most "),
        (
            {"environment.answer_tokens": 60},
            r"^prompt\.response_length is 80, must be at least 88 for environment\.name=repair: a "
            r"turn, an answer of answer_tokens=60 and min_turn_tokens=8 of the next turn$",
        ),
        ({"environment.name": "repairs"}, r"^environment\.name is 'repairs', must be one of "),
        ({"environment.lag": 0}, r"^environment\.lag is 0, must be at least 1"),
        ({"environment.turns": 0}, r"^environment\.turns is 0, must be at least 1"),
        # The template has no place for calls.
        ({"environment.name": "tools", "environment.tools": ("check", "submit")}, "plain_tools"),
        ({"environment.name": "tools", "environment.tools": ("chek",)}, r"environment\.tools has "),
        # Without calls these would do nothing.
        ({"environment.format": "hermes"}, r"^environment\.format is 'hermes', must be None "),
        ({"environment.lean_seconds": 2.0}, r"^environment\.lean_seconds is 2\.0, must be None "),
        ({"environment.tools": ("submit",)}, r"^environment\.tools is .* which has no tools$"),
    ],
)
def test_what_is_refused(config, tmp_path, fields, error):
    repaired(config)
    for path, value in fields.items():
        change(config, path, value)
    with pytest.raises(ConfigError, match=error):
        set_up(config, tmp_path / "run")
