"""Lean text of theorems, and the statement in a text: name and signature, without comments."""

import re

from fdjax.types import Theorem


def lean_text(theorem: Theorem, proof: str) -> str:
    """The whole Lean file of `theorem` with `proof` (what follows `:=`)."""
    imports = "".join(f"import {module}\n" for module in theorem.imports)
    gap = "" if proof[:1].isspace() else " "
    parts = (imports, theorem.context, f"theorem {theorem.name} {theorem.signature} :={gap}{proof}")
    return "\n\n".join(part.strip("\n") for part in parts if part.strip()) + "\n"


# --- Parsing --------------------------------------------------------------------------------------

# Strings, quoted names and characters come first: a `--` inside them does not begin a comment.
_LEXEME = re.compile(
    r'"(?:\\.|[^"\\])*"|«[^»]*»|\'(?:\\.[^\']*|[^\'\\])\'|--[^\n]*|/-|[\w.!?\']+|.', re.S
)
_NAME = r"(?:«[^»\n]+»|[^\W\d][\w!?']*)"
_MODIFIERS = r"(?:@\[[^\]]*\]\s*|(?:private|protected|nonrec)\s+)*"
_DECLARATION = re.compile(
    rf"(?P<before>.*)^\s*{_MODIFIERS}"
    rf"(?:theorem|lemma)\s+(?P<name>{_NAME}(?:\.{_NAME})*)(?P<signature>.*)\Z",
    re.S | re.M,
)
_COMMAND = re.compile(r"^(?:end|def|abbrev|example|instance|namespace|section|open|#\w+)\b", re.M)
_END = re.compile(r"\s*:=\s*(?:by(?:\s+sorry)?|sorry)?\s*\Z")


def parse_statement(text: str) -> tuple[str, str]:
    """(name, signature) of `theorem NAME ... : TYPE`, with or without a trailing `:=`, `:= by`.

    Drops comments, attributes and modifiers. Raises ValueError if `text` is not one statement.
    """
    before, name, signature = split_statement(text)
    if before:
        raise ValueError(f"expected `theorem NAME ... : TYPE`, found {before[:40]!r} before it")
    return name, signature


def split_statement(text: str) -> tuple[str, str, str]:
    """(the text before the last theorem of `text`, its name, its signature), without comments.

    Raises ValueError if there is no theorem or if other text follows it.
    """
    match = _DECLARATION.match(strip_comments(text))
    if match is None:
        raise ValueError(f"expected `theorem NAME ... : TYPE`, found {text.strip()[:60]!r}")
    signature = _END.sub("", match["signature"]).strip()
    _check_signature(signature)
    before = re.sub(_MODIFIERS + r"\Z", "", match["before"])  # modifiers on a line before it
    return before.strip(), match["name"], signature


def lexemes(text: str) -> list[str]:
    """The words and symbols of `text`, comments and white space left out."""
    return [word for word in _LEXEME.findall(strip_comments(text)) if not word.isspace()]


def strip_comments(text: str) -> str:
    """`text` with each Lean comment (they may be nested) replaced by one space.

    Raises ValueError for a comment that is never closed.
    """
    pieces, position, depth = [], 0, 0
    while position < len(text):
        if depth:  # inside /- ... -/, where only its delimiters count
            step = re.compile(r"/-|-/|.", re.S).match(text, position)[0]
            depth += {"/-": 1, "-/": -1}.get(step, 0)
        else:
            step = _LEXEME.match(text, position)[0]
            if step == "/-":
                depth = 1
                pieces.append(" ")
            elif not step.startswith("--"):
                pieces.append(step)
        position += len(step)
    if depth:
        raise ValueError("a comment `/-` is never closed")
    return "".join(pieces)


def _check_signature(signature: str) -> None:
    """Raises ValueError unless brackets are balanced, a colon outside of them is followed by a
    type, and nothing follows the type."""
    closing = {"(": ")", "[": "]", "{": "}", "⟨": "⟩", "⦃": "⦄"}
    stack, typed = [], False
    definitions = 0  # number of `let` and `have`, minus the number of their `:=`
    for match in _LEXEME.finditer(signature):
        lexeme, end = match[0], match.end()
        if lexeme in closing:
            stack.append(closing[lexeme])
        elif lexeme in closing.values() and (not stack or stack.pop() != lexeme):
            raise ValueError(f"unbalanced {lexeme!r} in the statement {signature[:60]!r}")
        elif lexeme in ("let", "have", "letI", "haveI") and not stack:
            definitions += 1
        elif lexeme == ":" and not stack and signature.startswith("=", end):
            definitions -= 1
            if definitions < 0:
                raise ValueError(f"more than a statement: {signature[end - 1 :][:40]!r}")
        elif lexeme == ":" and not stack:
            typed = typed or bool(signature[end:].strip())
    if stack:
        raise ValueError(f"missing {stack[-1]!r} in the statement {signature[:60]!r}")
    if after := _COMMAND.search(signature):
        raise ValueError(f"more than a statement: {after[0]!r}")
    if not typed:
        raise ValueError(f"no type after a colon in the statement {signature[:60]!r}")
