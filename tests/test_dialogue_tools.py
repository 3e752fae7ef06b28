"""Formats and the environment with tools, on the embedded Lean: text in, ids and verdict out."""

import pytest
from lean_samples import GOOD, SWAP, WRONG
from tool_episodes import environment, judged, play

from fdjax.lean.backends.embedded.backend import EmbeddedBackend
from fdjax.lean.farm import Farm
from fdjax.models import tokenizer as tk
from fdjax.rollout.dialogue import make_dialogue
from fdjax.rollout.prompts import read_template
from tests import tiny_tokenizers, tool_chats

pytest.importorskip("tokenizers")
pytest.importorskip("jinja2")
PLAIN, CHAT = read_template("plain_tools"), read_template("chat_tools")
NAMES = (*tool_chats.NAMES, "fences")
every = pytest.mark.parametrize("name", NAMES)


@pytest.fixture(scope="module")
def farm():
    with Farm(EmbeddedBackend(), workers=1) as farm:
        yield farm


@pytest.fixture
def make(farm, tmp_path):
    """(tokenizer, dialogue, environment) of a format."""

    def make(name):
        world = environment(farm)
        if name == "fences":
            tokenizer = tk.train([*tiny_tokenizers.TEXTS, GOOD, "```check\n```submit\n"] * 5, 400)
            return tokenizer, make_dialogue(tokenizer, PLAIN, world.schemas), world
        tokenizer = tk.load(tool_chats.make(tmp_path, name))
        return tokenizer, make_dialogue(tokenizer, CHAT, world.schemas), world

    return make


def written(dialogue, name, tool, argument, text):
    if name == "fences":
        return f"```{tool}\n{text}\n```\n"
    return tool_chats.written(dialogue.format, [(tool, {argument: text})])


@every
def test_an_episode_from_text_to_verdict(farm, make, name):
    """Ids that were sampled character by character, as a model may; what Lean refuses is at the
    characters that wrote it, through the escapes of JSON."""
    tokenizer, dialogue, world = make(name)
    turns, ids = [], dialogue.prompt(SWAP)
    for tool, argument, proof in (("check", "code", WRONG), ("submit", "proof", GOOD)):
        text = written(dialogue, name, tool, argument, proof)
        sampled = [i for character in text for i in tokenizer.encode(character)]
        turns.append(dialogue.read(tokenizer.decode(sampled)))
        assert turns[-1].problem is None
        ids += sampled
    first, last = play(world, *turns)
    assert first.answers[0].startswith("Lean refuses it\n3:9: error: ") and not first.done
    assert last.done and judged(farm, last).proved
    submission, text = last.submission, turns[1].text
    assert len(submission.places) == len(submission.text)
    for character, at in zip(submission.text, submission.places):
        assert text[at] == character or (text[at] == "\\" and character == "\n")
    between = dialogue.answers(first.answers, turns[0].calls, ended=False, last_ids=ids)
    assert first.answers[0] in tokenizer.decode(between).replace("\\n", "\n")


@every
def test_a_malformed_call_is_answered_in_the_same_form(make, name):
    tokenizer, dialogue, world = make(name)
    text = written(dialogue, name, "check", "code", WRONG)
    broken = "```check now\nx\n```\n" if name == "fences" else text.replace("}", "", 2)
    turn = dialogue.read(broken)
    [step] = play(world, turn)
    assert step.malformed == 1 and "malformed" in step.answers[-1]
    ids = dialogue.answers(step.answers, turn.calls, ended=True)
    assert "check(code?, file?)" in tokenizer.decode(ids)
