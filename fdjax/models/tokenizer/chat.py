"""Chats rendered by a model's own template.

The template's control tokens are marked in the text, for `Engine.encode_marked`; a message that
spells a control token gets no mark. transformers has no such distinction.
"""

import dataclasses
import datetime
import functools
import json
import re
from collections.abc import Mapping, Sequence

from fdjax.models.tokenizer.engines import MARK
from fdjax.models.tokenizer.protocol import Message, Tool

DATE = datetime.date(2024, 7, 26)  # as in the templates of Llama 3 that have one
_BREAK = "\ufdd1"  # put inside spelled control tokens while the template is rendered
_WORDS = "\ufdd2"  # stands for what the assistant says


@dataclasses.dataclass(frozen=True)
class ChatTemplate:
    """Jinja, rendered in a sandbox as in transformers, but with a fixed date: prompts do not
    change with the day.
    """

    source: str
    tokens: Mapping[str, str]  # variables of the template: bos_token, eos_token, ...
    control: tuple[str, ...]  # names of the control tokens

    def marked(
        self,
        messages: Sequence[Message],
        thinking: bool | None = None,
        tools: Sequence[Tool] = (),
    ) -> str:
        """The chat up to the assistant's answer, with MARK before each control token.

        Raises ValueError if the template refuses the messages.
        """
        return self._with_marks(self._prompt(self._safe(messages), thinking, tools))

    def between(
        self,
        messages: Sequence[Message],
        answers: Sequence[Message],
        thinking: bool | None = None,
        tools: Sequence[Tool] = (),
    ) -> str:
        """What stands between the assistant's words, which follow `messages`, and its next words,
        which follow `answers`; as `marked`.

        Raises ValueError if the template refuses the messages, or does not write an assistant's
        words just as they are.
        """
        words = {"role": "assistant", "content": _WORDS}
        chat = [*self._safe(messages), words, *self._safe(answers)]
        _, *after = self._prompt(chat, thinking, tools).split(_WORDS)
        if len(after) != 1:
            raise ValueError("the chat template leaves out, or repeats, what the assistant said")
        return self._with_marks(after[0])

    def after_answer(self) -> list[str]:
        """The control tokens that directly follow the assistant's words, in order, up to the first
        that also stands directly before the words: some templates end every text with it.

        Raises ValueError as `marked` does.
        """
        chat = [{"role": role, "content": "so be it"} for role in ("user", "assistant")]
        text = self._rendered(chat, add_generation_prompt=False)
        before, words, rest = text.rpartition(chat[-1]["content"])
        names = []
        while words and (found := self._pattern.match(rest := rest.lstrip())):
            if before.rstrip().endswith(found[0]):
                break
            names.append(found[0])
            rest = rest[found.end() :]
        return names

    @functools.cached_property
    def _pattern(self) -> re.Pattern:
        """Matches the longest control token that starts at a place."""
        names = sorted(self.control, key=len, reverse=True)
        return re.compile("|".join(map(re.escape, names)) or r"(?!)")

    def _safe(self, messages: Sequence[Message]) -> list[Message]:
        return [
            m if m.get("trusted") else m | {"content": self._broken(m["content"])} for m in messages
        ]

    def _prompt(self, messages, thinking: bool | None, tools: Sequence[Tool]) -> str:
        switch = {} if thinking is None else {"enable_thinking": thinking}
        return self._rendered(messages, tools, add_generation_prompt=True, **switch)

    def _with_marks(self, text: str) -> str:
        return self._pattern.sub(rf"{MARK}\g<0>", text).replace(_BREAK, "")

    def _broken(self, content: str) -> str:
        content = re.sub(f"[{MARK}{_BREAK}{_WORDS}]", "\ufffd", content)
        return re.sub(rf"(?=(?:{self._pattern.pattern})).", rf"\g<0>{_BREAK}", content, flags=re.S)

    def _rendered(self, messages, tools: Sequence[Tool] = (), **variables) -> str:
        import jinja2

        tools = list(tools) or None
        try:
            return self._compiled.render(
                messages=messages, tools=tools, documents=None, **self.tokens, **variables
            )
        except (jinja2.TemplateError, TypeError) as error:
            raise ValueError(f"the chat template refuses the messages: {error}") from error

    @functools.cached_property
    def _compiled(self):
        try:
            import jinja2.ext
            from jinja2.sandbox import ImmutableSandboxedEnvironment
        except ImportError as error:
            raise ValueError("a chat template needs jinja2: pip install -e '.[hf]'") from error

        class Generation(jinja2.ext.Extension):
            """{% generation %} encloses the assistant's words; here they are rendered as is."""

            tags = frozenset({"generation"})

            def parse(self, parser):
                next(parser.stream)
                return parser.parse_statements(("name:endgeneration",), drop_needle=True)

        class FixedDate(jinja2.Undefined):
            """`is defined` is false of it, so that templates write a date of their own; where it is
            called, it formats DATE."""

            def __call__(self, layout):
                return DATE.strftime(layout)

            def __getattr__(self, name):  # jinja looks up marks of unsafe functions
                raise AttributeError(name)

        def refuse(message):
            raise jinja2.TemplateError(message)

        def to_json(data, ensure_ascii=False, **layout):
            return json.dumps(data, ensure_ascii=ensure_ascii, **layout)

        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols]
        )
        environment.filters["tojson"] = to_json  # jinja's filter escapes for HTML
        environment.globals["raise_exception"] = refuse
        environment.globals["strftime_now"] = FixedDate(name="strftime_now")
        try:
            return environment.from_string(self.source)
        except jinja2.TemplateError as error:
            raise ValueError(f"the chat template is no valid jinja: {error}") from error
