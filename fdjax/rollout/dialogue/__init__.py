"""How the turns of an episode are written: prompts, calls of tools, answers.

`make_dialogue` gives the dialogue of a tokenizer and a template.
"""

from collections.abc import Sequence

from fdjax.config import ConfigError
from fdjax.models.tokenizer import Tokenizer
from fdjax.models.tokenizer.protocol import Tool
from fdjax.rollout.dialogue.chat import make_chat
from fdjax.rollout.dialogue.fences import FencedCompletion, Fences
from fdjax.rollout.dialogue.plain import Plain
from fdjax.rollout.dialogue.protocol import Dialogue
from fdjax.rollout.prompts import Template

__all__ = ["Dialogue", "make_dialogue"]


def make_dialogue(
    tokenizer: Tokenizer,
    template: Template,
    tools: Sequence[Tool] = (),
    format: str | None = None,
) -> Dialogue:
    """The dialogue in which the prompts of `template` are the first turn.

    tools: declared to the model; none in repair. format: how it calls them; None: by the template.
    Raises ConfigError naming what the template or the tokenizer cannot do.
    """
    tools = tuple(tools)
    if template.chat:
        return make_chat(tokenizer, template, tools, format)
    if not tools:
        plain = Plain(tokenizer, template)
        if "{answer}" not in plain.retry:
            raise ConfigError(
                "prompt.template has no place for an answer: its `retry`, which stands between two "
                "proofs of environment.name=repair, must hold {answer}"
            )
        return plain
    if format not in (None, "fences"):
        raise ConfigError(
            f"environment.format={format} is of chats, and prompt.template is none; a completion "
            "calls tools in fences"
        )
    if not template.fenced:
        raise ConfigError(
            "the prompts of prompt.template end inside a proof, where no call of a tool can begin; "
            "plain_tools has others"
        )
    return FencedCompletion(tokenizer, template, Fences(tools))
