"""Chat templates with tools, each with a small tokenizer that has its control tokens.

The templates in data/chat_templates are ours: short, and each in the manner of a published one.
"""

import json
from pathlib import Path

from fdjax.rollout.dialogue.calls import CallFormat
from tests import tiny_tokenizers

FOLDER = Path(__file__).parent / "data" / "chat_templates"
_OUTPUTS = ("outputs▁begin", "outputs▁end", "output▁begin", "output▁end")
_CALLS = ("calls▁begin", "calls▁end", "call▁begin", "call▁end", "sep")
_DEEPSEEK = [*(f"<｜tool▁{name}｜>" for name in (*_CALLS, *_OUTPUTS)), "<think>", "</think>"]
_QWEN = ["</tool_call>", "<tool_response>", "</tool_response>"]
_LAYOUTS = {
    "qwen3": (tiny_tokenizers.qwen, _QWEN),
    "hermes": (tiny_tokenizers.qwen, []),  # its tags are text
    "llama31": (tiny_tokenizers.llama3, ["<|python_tag|>", "<|eom_id|>"]),
    "deepseek_v3": (tiny_tokenizers.deepseek, _DEEPSEEK),
    "deepseek_v31": (tiny_tokenizers.deepseek, _DEEPSEEK),
}
NAMES = tuple(_LAYOUTS)


def make(folder: Path, name: str, template: str | None = None) -> Path:
    """The folder of the tokenizer `name`, with another template in place of its own if given."""
    layout, added = _LAYOUTS[name]
    layout(folder)
    spec = json.loads((folder / "tokenizer.json").read_text())
    known = {token["content"]: token for token in spec["added_tokens"]}
    after = max(token["id"] for token in known.values()) + 1
    blank = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    for i, token in enumerate(name for name in added if name not in known):
        special = token.startswith("<|")
        entry = {"id": after + i, "content": token, "special": special}
        spec["added_tokens"].append(blank | entry)
    (folder / "tokenizer.json").write_text(json.dumps(spec))
    config = json.loads((folder / "tokenizer_config.json").read_text())
    config.pop("chat_template", None)
    if name == "hermes":
        config["bos_token"] = "<|endoftext|>"
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    text = template or (FOLDER / f"{name}.jinja").read_text()
    (folder / "chat_template.jinja").write_text(text)
    return folder


def written(format: CallFormat, calls) -> str:
    """(tool, arguments) of each call as text that `format` reads."""
    texts = []
    for name, arguments in calls:
        if format.after_name:
            body = name + format.after_name + json.dumps(arguments, ensure_ascii=False)
        else:
            call = {format.name: name, format.arguments[0]: arguments}
            body = json.dumps(call, ensure_ascii=False)
        texts.append(format.begin + body + format.end)
    return "\n".join(texts)


def tool(name: str, *texts: str) -> dict:
    """A tool whose arguments are `texts`, all required."""
    properties = {text: {"type": "string", "description": f"the {text}"} for text in texts}
    parameters = {"type": "object", "properties": properties, "required": list(texts)}
    function = {"name": name, "description": f"To {name}.", "parameters": parameters}
    return {"type": "function", "function": function}


TOOLS = (tool("check", "proof"), tool("search", "words"), tool("edit", "file", "old", "new"))
