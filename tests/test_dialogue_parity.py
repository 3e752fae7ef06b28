"""Ids of whole episodes as transformers has them, and chat templates that rewrite what is past."""

import dataclasses
import datetime
import importlib.util
import json
from pathlib import Path

import pytest

from fdjax.config import ConfigError
from fdjax.environment.protocol import Call
from fdjax.models import tokenizer as tk
from fdjax.models.tokenizer.chat import DATE
from fdjax.rollout.dialogue import make_dialogue
from fdjax.rollout.prompts import read_template
from fdjax.types import Theorem
from tests import tool_chats
from tests.tool_chats import TOOLS

transformers = pytest.importorskip("transformers")
TEMPLATE = read_template("kimina_prover")  # it has a system's turn
PLAIN = read_template("goedel_prover_v2")
THEOREM = Theorem(id="t", name="t", signature="(p q : Prop) (h : p ∧ q) : q", informal="q.")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return {n: tool_chats.make(tmp_path_factory.mktemp(n), n) for n in tool_chats.NAMES}


@pytest.fixture(scope="module")
def tokenizers(folders):
    return {name: tk.load(folder) for name, folder in folders.items()}


# --- Whole episodes ------------------------------------------------------------------------------

ANSWERS = [
    "Lean refuses exact h\ntype mismatch\n  h : p ∧ q\n⊢ q",
    "",
    "  And.right : a ∧ b → b\n\n\n",
    'a "quoted" \\ ∀ 𝔸\tb',
]


def episode(name, thoughts):
    """Messages of an episode of four turns; its last turn calls nothing."""
    messages = [
        {"role": "system", "content": TEMPLATE.system},
        {"role": "user", "content": TEMPLATE.text(THEOREM)},
    ]
    for i, answer in enumerate(ANSWERS[:3]):
        arguments = {"proof": f"by\n  exact h.{i} -- ∀"}
        written = json.dumps(arguments) if name.startswith("deepseek") else arguments
        function = {"name": "check", "arguments": written}
        call = {"id": f"call{i:05d}", "type": "function", "function": function}
        said = f"<think>\nso {i}\n</think>\n\nI try." if thoughts else ""
        messages += [
            {"role": "assistant", "content": said, "tool_calls": [call]},
            {"role": "tool", "name": "check", "tool_call_id": "call00000", "content": answer},
        ]
    said = "<think>\ndone\n</think>\n\nby simp" if thoughts else "by simp"
    return [*messages, {"role": "assistant", "content": said}]


def compare(folder, messages, template=TEMPLATE):
    """Ids of an episode are those of transformers, outside of the turns and within them."""
    ours, theirs = tk.load(folder), transformers.AutoTokenizer.from_pretrained(folder)
    expected = theirs.apply_chat_template(messages, tools=list(TOOLS), return_dict=False)
    dialogue = make_dialogue(ours, template, TOOLS)
    text = next(m["content"] for m in messages if m["role"] == "user")
    prompt = dialogue.prompt(THEOREM)
    assert text == template.text(THEOREM) and expected[: len(prompt)] == prompt
    at, turns = len(prompt), 0
    for i, answer in [(i, m["content"]) for i, m in enumerate(messages) if m["role"] == "tool"]:
        end = expected.index(ours.chat_eos_id, at) + 1
        turn = dialogue.read(ours.decode(expected[at : end - 1]))
        assert [c.tool for c in turn.calls] == ["check"] and turn.problem is None
        between = dialogue.answers([answer], turn.calls, ended=True, last_ids=expected[at:end])
        assert expected[end : end + len(between)] == between, ours.decode(between)
        asked = theirs.apply_chat_template(
            messages[: i + 1], tools=list(TOOLS), add_generation_prompt=True, return_dict=False
        )
        assert asked == expected[: end + len(between)]  # also while it was the last
        at, turns = end + len(between), turns + 1
    end = expected.index(ours.chat_eos_id, at) + 1
    assert dialogue.read(ours.decode(expected[at : end - 1])).calls == ()
    assert ours.decode(expected[end:]).strip() == "" and turns == 3
    return dialogue


@pytest.mark.parametrize(
    ("name", "thoughts"),
    [("qwen3", True), ("hermes", False), ("hermes", True), ("llama31", False)],
)
def test_ids_of_four_turns_are_those_of_transformers(folders, name, thoughts):
    messages = episode(name, thoughts)
    if name in ("hermes", "llama31"):  # these drop what is said beside a call
        messages = [m | {"content": ""} if "tool_calls" in m else m for m in messages]
    if name == "hermes":  # it has tools and no system's turn, or one after them
        messages, template = messages[1:], PLAIN
        messages[0] = {"role": "user", "content": PLAIN.text(THEOREM)}
    else:
        template = TEMPLATE
    assert compare(folders[name], messages, template).notes == ()


def test_ids_of_four_turns_by_a_template_that_drops_thoughts(folders):
    dialogue = compare(folders["deepseek_v31"], episode("deepseek_v31", thoughts=False))
    assert dialogue.notes == ("thoughts of earlier turns are kept; the chat template drops them",)


PUBLISHED = {
    "qwen3": "qwen3",
    "qwen3_instruct_2507": "hermes",
    "qwen2_5": "hermes",
    "llama3_1": "llama31",
    "llama3_2": "llama31",
}


@pytest.mark.parametrize("file", PUBLISHED)
def test_ids_by_published_templates(tmp_path, monkeypatch, file):
    """The package trl has templates as they were published; without it, nothing is compared."""

    class Clock(datetime.datetime):
        @classmethod
        def now(cls, tz=None):
            return cls(DATE.year, DATE.month, DATE.day)

    monkeypatch.setattr(transformers.utils.chat_template_utils, "datetime", Clock)
    spec = importlib.util.find_spec("trl")
    if spec is None:
        pytest.skip("the package trl is not there")
    folder = Path(spec.submodule_search_locations[0]) / "chat_templates"
    name = PUBLISHED[file]
    folder = tool_chats.make(tmp_path, name, (folder / f"{file}.jinja").read_text())
    messages = episode(name, thoughts=file == "qwen3")
    if name == "llama31":
        messages = [m | {"content": ""} if "tool_calls" in m else m for m in messages]
    assert compare(folder, messages).notes == ()


def test_answers_do_not_look_at_what_was_sampled(tokenizers):
    for name in tool_chats.NAMES:
        dialogue = make_dialogue(tokenizers[name], PLAIN, TOOLS)
        calls = [Call("check", {})]
        one, other = (
            dialogue.answers(["no"], calls, ended=True, last_ids=ids) for ids in ([], [5, 6, 7])
        )
        assert one == other


# --- Templates that rewrite what is past ---------------------------------------------------------


def test_what_a_template_does_to_earlier_turns_is_told(tokenizers):
    def notes(name, tools=(), thinking=None):
        template = dataclasses.replace(PLAIN, thinking=thinking)
        return " ".join(make_dialogue(tokenizers[name], template, tools).notes)

    assert notes("qwen3", TOOLS) == "" and notes("hermes") == "" and notes("llama31") == ""
    assert notes("qwen3").startswith("thoughts of earlier turns are kept")  # after a user's turn
    assert "<think>\\n\\n</think>" in notes("qwen3", TOOLS, thinking=False)
    assert notes("deepseek_v31", TOOLS).startswith("thoughts of earlier turns are kept")


def test_an_answer_stays_as_it_was_when_it_was_the_last(tmp_path):
    """As in a published template for Hermes: a line break more where turns follow."""
    source = (tool_chats.FOLDER / "hermes.jinja").read_text()
    end = "}\\n</tool_response><|im_end|>\\n' }}"
    more = "}\\n</tool_response>' + ('' if loop.last else '\\n') + '<|im_end|>\\n' }}"
    assert source.count(end) == 1
    template = source.replace(end, more)
    tokenizer = tk.load(tool_chats.make(tmp_path, "hermes", template))
    dialogue = make_dialogue(tokenizer, PLAIN, TOOLS)
    assert "an answer stays as it was when it was the last" in " ".join(dialogue.notes)
    text = tokenizer.decode(dialogue.answers(["no"], [Call("check", {})], ended=True))
    assert text.endswith('"no"}\n</tool_response>\nassistant\n')


def test_what_begins_a_turn_begins_every_turn(tokenizers):
    """Qwen3 without thoughts: their empty frame is in the ids of each turn, as it was sampled."""
    template = dataclasses.replace(PLAIN, thinking=False)
    tokenizer = tokenizers["qwen3"]
    dialogue = make_dialogue(tokenizer, template, TOOLS)
    for ids in (dialogue.prompt(THEOREM), dialogue.answers(["no"], (), ended=True)):
        assert tokenizer.decode(ids).endswith("assistant\n<think>\n\n</think>\n\n")


REFUSED = {
    "{{ messages[0].content }}<|im_end|>": "leaves out, or repeats, what the assistant said",
    "{% for m in messages %}{{ m.content }}{{ m.content }}{% endfor %}<|im_end|>": "repeats",
    "{% for m in messages %}{{ m.content if loop.index0 < 2 }}{% endfor %}": "leaves out the user",
    "{% for m in messages %}{{ m.nothing.at.all }}{% endfor %}": "refuses the messages",
}


@pytest.mark.parametrize("template", REFUSED)
def test_templates_that_cannot_keep_an_episode_are_refused(tmp_path, template):
    tokenizer = tk.load(tool_chats.make(tmp_path, "qwen3", template))
    with pytest.raises(ConfigError, match="prompt.template is a chat.*" + REFUSED[template]):
        make_dialogue(tokenizer, PLAIN)
