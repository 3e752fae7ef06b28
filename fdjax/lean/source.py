"""A Lean file as a list of commands, found by their words: nothing is elaborated.

For trusted text (theorem files). What a model wrote is read by fdjax/lean/audit.py.
"""

import functools
import re
from typing import NamedTuple

from fdjax.lean.audit import starts_command, word_set
from fdjax.lean.statements import NAME, comments, masked, strip_comments


class Command(NamedTuple):
    """One command of a file. Texts have no comments."""

    keyword: str  # "theorem", "def", "open", "#eval", ...
    name: str  # of a declaration, a namespace or a section; "" without
    before: str  # what applies to it alone: attributes, `private`, `open ... in`
    rest: str  # what follows keyword and name
    doc: str | None  # its doc comment
    below: str  # the line comments directly below it, without their dashes
    gap: str  # what the file has before it: a line break, or two

    @property
    def text(self) -> str:
        return f"{self.before}{self.keyword} {self.name}{self.rest}".rstrip()

    @property
    def scope(self) -> str:
        """The part of `before` that a statement depends on: `open ... in` and the like."""
        pieces = re.finditer(_APPLIED, self.before)
        return "".join(piece[0] for piece in pieces if not re.match(_MODIFIER, piece[0])).strip()


# Beside Lean's own: `problem` and kin are commands of the collection Compfiles.
_WORDS = {"set_option", "import", "problem", "determine", "problem_file", "snip"}
# Words that begin a command wherever they begin a line, because no term or tactic can hold them.
_ALWAYS = word_set(
    """
    theorem lemma problem example def abbrev axiom inductive structure instance namespace section
    end private protected noncomputable universe variable mutual
    """
)
_LINE_START = re.compile(r"^(?P<indent>[ \t]*)(?P<word>@\[|(?:#\w+|[A-Za-z_]+)(?![\w.']))", re.M)
_MODIFIER = (
    r"(?:@\[(?:[^\[\]]|\[[^\[\]]*\])*\]"
    r"|(?:private|protected|noncomputable|nonrec|partial|unsafe|public|meta|scoped|local)\b)"
)
_APPLIED = (
    rf"(?:{_MODIFIER}"
    r"|(?:open|set_option|variable|include|omit|universe|attribute)\b[^\n]*?\bin(?=\s))\s*"
)
_COMMAND = re.compile(
    rf"(?P<before>(?:{_APPLIED})*)(?P<keyword>#?\w+)\s*"
    rf"(?P<name>(?<=\s)(?:{NAME})(?:\.(?:{NAME}))*)?(?P<rest>.*)",
    re.S,
)
_BEFORE = re.compile(rf"(?:{_APPLIED})+")
_NAMELESS = {"open", "export", "variable", "universe", "import", "set_option", "attribute", "end"}
_LEAN3 = re.compile(r"^\s*open_locale\b|(?:^|:=)\s*begin\s*$", re.M)


def read_commands(text: str) -> list[Command]:
    """The commands of a Lean file, up to `#exit`.

    Raises ValueError for a comment that is never closed, and for Lean 3.
    """
    spans, plain = list(comments(text)), masked(text)
    if _LEAN3.search(plain):
        raise ValueError("it is Lean 3 (`begin ... end` or `open_locale`), not Lean 4")
    starts = command_starts(plain)
    found, ends = [], [0]
    for start, stop in zip(starts, [*starts[1:], len(plain)] * bool(starts), strict=True):
        match = _COMMAND.match(strip_comments(text[start:stop]).strip())
        keyword, name = match["keyword"], match["name"] or ""
        if keyword == "#exit":
            break
        if keyword in _NAMELESS or keyword.startswith("#"):
            name = ""
        rest = match["rest"] if name else (match["name"] or "") + match["rest"]
        before = re.sub(r"\bpublic\s+|@\[expose\]\s*", "", match["before"])  # of `module` files
        end = start + len(plain[start:stop].rstrip())
        word = applied.end() if (applied := _BEFORE.match(plain, start)) else start
        docs = [text[a:b] for a, b in spans if ends[-1] <= a <= word]
        docs = [doc[3:-2].strip() for doc in docs if doc.startswith("/--") and len(doc) > 4]
        doc = docs[-1] if docs else None
        gap, below = _gap(text, spans, ends[-1], start), _below(text, spans, end)
        found.append(Command(keyword, name, before, rest.rstrip(), doc, below, gap))
        ends.append(end)
    return found


def command_starts(plain: str) -> list[int]:
    """Where the commands of a masked text begin, each with what applies to it alone."""
    starts: list[int] = []
    for match in _LINE_START.finditer(plain):
        word, start = match["word"], match.start("word")
        known = word[0] in "@#" or word in _WORDS or starts_command(word)
        if word in _ALWAYS or (known and not match["indent"]):
            if starts and _BEFORE.fullmatch(plain[starts[-1] : start]):
                continue  # the last one is no command yet
            starts.append(start)
    return starts


def _gap(text: str, spans: list[tuple[int, int]], start: int, end: int) -> str:
    """Two line breaks where a line is empty between two places, comments aside; else one."""
    pieces = []
    for a, b in (span for span in spans if start <= span[0] < end):
        pieces.append(text[start:a])
        start = b
    pieces.append(text[start:end])
    return "\n\n" if any(re.search(r"\n[ \t]*\n", piece) for piece in pieces) else "\n"


def _below(text: str, spans: list[tuple[int, int]], end: int) -> str:
    lines: list[str] = []
    for start, stop in (span for span in spans if span[0] >= end):
        gap = text[end:start]
        if not text.startswith("--", start) or gap.strip() or gap.count("\n") != 1:
            break
        lines.append(text[start + 2 : stop])
        end = stop
    return "\n".join(lines)


@functools.lru_cache(4096)
def names_in(text: str) -> frozenset[str]:
    """The parts of all names in `text`: `Foo.bar` gives `Foo` and `bar`."""
    return frozenset(re.findall(NAME, masked(text)))
