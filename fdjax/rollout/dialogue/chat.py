"""Dialogues of chat models, by their own chat template.

What stands between two turns is what the template writes between an assistant's words and its next
ones, in a chat that has only these two turns: whatever a template does to turns long past (Qwen3
drops their thoughts), an episode keeps its ids. `Chat.notes` says where that differs.
"""

import dataclasses
import itertools
import json
import re
from collections.abc import Sequence

from fdjax.config import naming_field
from fdjax.environment.protocol import Call, Turn
from fdjax.models.tokenizer import Tokenizer
from fdjax.models.tokenizer.protocol import Message, Tool
from fdjax.rollout.dialogue.calls import CallFormat, formats
from fdjax.rollout.dialogue.fences import Fences
from fdjax.rollout.prompts import Template
from fdjax.types import Theorem


@dataclasses.dataclass(frozen=True)
class Chat:
    """A `Dialogue`; `make_chat` makes it."""

    tokenizer: Tokenizer
    template: Template
    tools: tuple[Tool, ...] = ()
    format: CallFormat | Fences | None = None  # None: no tools, answers are the user's turns
    declared: bool = True  # does the chat template tell the tools? else the system's turn does
    tool_turns: bool = False  # answers are turns of a tool, else of the user
    in_thought: bool = False  # does the template open the thoughts of each turn?
    frame: tuple[str, ...] = ()  # tags that stand around an answer
    notes: tuple[str, ...] = ()  # where ids differ from those of the chat template, and why

    @property
    def stop_ids(self) -> tuple[int, ...]:
        return self.tokenizer.stop_ids

    @property
    def until(self) -> str:
        return ""

    def prompt(self, theorem: Theorem, feedback: str | None = None) -> list[int]:
        messages = self.messages(self.template.text(theorem, feedback))
        with naming_field("prompt.template is a chat", ValueError):
            return self.tokenizer.encode_chat(messages, self.template.thinking, self._told)

    def messages(self, text: str) -> list[Message]:
        """The system's turn, if there is one, and the user's first."""
        messages = self.template.messages(text)
        if self.declared:
            return messages
        tools = "\n".join(json.dumps(tool, ensure_ascii=False) for tool in self.tools)
        told = self.format.declaration.replace("{tools}", tools).strip()
        system = "\n\n".join(filter(None, (self.template.system, told)))
        return [{"role": "system", "content": system, "trusted": True}, messages[-1]]

    def read(self, text: str) -> Turn:
        if self.format is None:
            return Turn(text)
        thought = text.find(_THOUGHT_END)
        if thought < 0 and (self.in_thought or text.lstrip().startswith(_THOUGHT)):
            return Turn(text)  # it was cut before it said anything
        return self.format.read(text, thought + len(_THOUGHT_END) if thought >= 0 else 0)

    def answers(
        self,
        answers: Sequence[str],
        calls: Sequence[Call] = (),
        *,
        ended: bool,
        last_ids: Sequence[int] = (),
    ) -> list[int]:
        return self.tokenizer.encode_between(
            self.messages("?"),
            self._answer_messages(answers, calls),
            self.template.thinking,
            self._told,
            ended=ended,
        )

    @property
    def _told(self) -> tuple[Tool, ...]:
        return self.tools if self.declared else ()

    def _answer_messages(self, answers: Sequence[str], calls: Sequence[Call]) -> list[Message]:
        texts = [self._without_frame(answer) for answer in answers]
        if not self.tool_turns:
            if self.format is not None:
                texts = [f"<tool_response>\n{text}\n</tool_response>" for text in texts]
            return [{"role": "user", "content": "\n".join(texts)}]
        known = {tool["function"]["name"] for tool in self.tools}
        names = [call.tool if call.tool in known else "unknown" for call in calls]
        names += ["malformed"] * (len(texts) - len(names))
        return [
            {"role": "tool", "name": name, "tool_call_id": f"call{i:05d}", "content": text}
            for i, (name, text) in enumerate(zip(names, texts))
        ]

    def _without_frame(self, answer: str) -> str:
        """A space is put into what would end the answer, or begin another."""
        for tag in self.frame:
            answer = answer.replace(tag, f"{tag[0]} {tag[1:]}")
        return answer


_THOUGHT, _THOUGHT_END = "<think>", "</think>"


# --- What a chat template can do -----------------------------------------------------------------

_PROBE: Tool = {
    "type": "function",
    "function": {
        "name": "probe",
        "description": "A tool to probe with.",
        "parameters": {
            "type": "object",
            "properties": {"value": {"type": "string", "description": "any"}},
            "required": ["value"],
        },
    },
}
_CALL = ("probe", {"value": "so be it"})
_ANSWER, _WORDS, _REASON = "then let it be", "here it is", "because of that"
_TAG = re.compile(r"[<\[]/?\w+[>\]]")


def make_chat(
    tokenizer: Tokenizer,
    template: Template,
    tools: Sequence[Tool] = (),
    format: str | None = None,
) -> Chat:
    """The dialogue of a chat, once its template has been tried.

    Raises ConfigError where the tokenizer has no chat template, where that refuses such a chat,
    leaves out what was said or answered, or writes calls in no format that is known; and where the
    marks of the format that was named have no text.
    """
    chat = Chat(tokenizer, template, tuple(tools))
    with naming_field("prompt.template is a chat", ValueError):
        tokenizer.encode_chat(chat.messages("?"), template.thinking)
        if tools:
            declared = _PROBE["function"]["description"] in _text(chat, [], [_PROBE])
            found = _format(chat, declared, format)
            # A format that the template does not write is not what its declaration tells.
            declared = declared and found == _written_format(chat)
            chat = dataclasses.replace(chat, format=found, declared=declared)
            chat = dataclasses.replace(chat, tool_turns=_takes_tool_turns(chat))
        before, answer, after = _between(chat).partition(_ANSWER)
        if not answer:
            raise ValueError("the chat template leaves out the user's second turn")
        begins = _text(chat, [], chat._told), after
        return dataclasses.replace(
            chat,
            in_thought=all(text.rstrip().endswith(_THOUGHT) for text in begins),
            frame=tuple(dict.fromkeys(_TAG.findall(before + after))),
            notes=tuple(_notes(chat)),
        )


def _ids(chat: Chat, more: Sequence[Message], tools: Sequence[Tool] = ()) -> list[int]:
    messages = [*chat.messages("?"), *more]
    return chat.tokenizer.encode_chat(messages, chat.template.thinking, tools)


def _text(chat: Chat, more: Sequence[Message], tools: Sequence[Tool] = ()) -> str:
    return chat.tokenizer.decode(_ids(chat, more, tools))


def _between(chat: Chat) -> str:
    calls = [Call(chat.tools[0]["function"]["name"], {})] if chat.tools else []
    return chat.tokenizer.decode(chat.answers([_ANSWER], calls, ended=True))


def _format(chat: Chat, declared: bool, name: str | None) -> CallFormat | Fences:
    if name == "fences":
        return Fences(chat.tools)
    known = formats()
    if name is not None:
        if name not in known:
            raise ValueError(f"format {name!r} is none of fences, {', '.join(known)}")
        _check_marks(chat, known[name])
        return known[name]
    found = _written_format(chat)
    if found is None:
        told = (
            "tells tools but writes their calls" if declared else "tells no tools and writes calls"
        )
        raise ValueError(
            f"the chat template {told} in no format that is known; environment.format can be "
            f"fences, {', '.join(known)}: then the system's turn tells tools and format"
        )
    return found


def _check_marks(chat: Chat, format: CallFormat) -> None:
    """Raises ValueError for marks that leave no text: no call would ever be read."""
    marks = format.begin, format.after_name, format.end
    said = {"role": "assistant", "content": "".join(marks), "trusted": True}
    text = _text(chat, [said, {"role": "user", "content": _ANSWER}])
    for mark in (mark.strip() for mark in marks):
        if mark not in text:
            raise ValueError(f"the tokenizer gives {mark!r} no text, so no call could be read")


def _written_format(chat: Chat) -> CallFormat | None:
    """The format that reads the call which the chat template writes."""
    tool, arguments = _CALL
    chat = dataclasses.replace(chat, format=None, declared=True)
    for written in (arguments, json.dumps(arguments)):  # templates want one or the other
        function = {"name": tool, "arguments": written}
        call = {"type": "function", "id": "call00000", "function": function}
        turn = {"role": "assistant", "content": "", "tool_calls": [call]}
        try:
            ids, prompt = _ids(chat, [turn]), _ids(chat, [])
        except ValueError:
            continue
        same = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(ids, prompt))
        text = chat.tokenizer.decode(ids[sum(1 for _ in same) :])  # of the turn
        for format in formats().values():
            if [(call.tool, call.arguments) for call in format.read(text).calls] == [_CALL]:
                return format
    return None


def _takes_tool_turns(chat: Chat) -> bool:
    try:
        return _ANSWER in _between(dataclasses.replace(chat, tool_turns=True))
    except ValueError:
        return False


def _notes(chat: Chat) -> list[str]:
    """What the chat template does to turns that are past, and an episode does not."""
    answers = chat._answer_messages([_ANSWER], ())

    def prompt(*turns: str) -> str:
        messages: list[Message] = []
        for turn in turns:
            messages += [{"role": "assistant", "content": turn, "trusted": True}, *answers]
        return _text(chat, messages, chat._told)

    notes = []
    if _REASON not in prompt(f"{_THOUGHT}\n{_REASON}\n{_THOUGHT_END}\n\n{_WORDS}"):
        notes.append("thoughts of earlier turns are kept; the chat template drops them")
    first, second, third = prompt(), prompt(_WORDS), prompt(_WORDS, _WORDS)
    if not second.startswith(first):
        notes.append(
            f"what begins a turn ({first[-30:]!r}) stays there; the chat template drops it from "
            "earlier turns"
        )
    elif not third.startswith(second):
        notes.append(
            "an answer stays as it was when it was the last; the chat template writes it otherwise "
            "where turns follow"
        )
    return notes
