"""How the turns of an episode are written: prompts, calls of tools, answers.

`make_dialogue` gives the dialogue of a tokenizer and a template.
"""

from collections.abc import Sequence

from fdjax.config import ConfigError
from fdjax.models.tokenizer import Tokenizer
from fdjax.models.tokenizer.protocol import Tool
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
    if not tools and not template.chat:
        return Plain(tokenizer, template)
    raise ConfigError("not there yet")
