"""The proof in a chat model's answer: in the last fenced block that states our theorem.

An answer may be a whole file: what stands around the theorem is left out, not judged. Only what
follows `:=` is taken; Lean reads it after a statement of our own, so a restated one that
differs can never prove anything else. It is compared all the same: a candidate for another theorem
gets a message that says so, instead of Lean's messages about the mismatch.

With helper lemmas a candidate is longer: from the first of them over the statement to the end of
the proof, as the model wrote it, so that its offsets are offsets in the answer.
"""

import re
from collections.abc import Iterator, Sequence, Set
from functools import lru_cache
from itertools import islice, pairwise, product, takewhile
from typing import NamedTuple

from fdjax.lean.audit import COMMANDS, word_set
from fdjax.lean.source import command_starts
from fdjax.lean.statements import masked
from fdjax.lean.tokens import Refused, Token, tokenize
from fdjax.types import Candidate, Theorem

# The end of the answer ends a block that is not closed. `~~~` is an operator, too. What has matched
# is not given back (`+`): a search among thousands of backticks would take minutes.
_BLOCK = re.compile(
    r"(?P<fence>(?<!`)`{3,}+|^[ \t]*+~{3,}+)[ \t]*+(?P<info>[^\n`]*)\n"
    r"(?P<code>.*?)(?=(?P=fence)|\Z)",
    re.S | re.M,
)
_LEAN = re.compile(r"\W*lean[ \t]*4?\b", re.I)
_NO_LANGUAGE = re.compile(r"(?:(?:plain)?[ \t]*te?xt|plain|code|proof|tactics?)?", re.I)
_THOUGHTS_END = "</think>"
# Where Lean may begin in an answer without fences: at a line, after a tag.
_LEAN_LINE = re.compile(
    r"(?:^|>)(?P<code>[ \t]*(?:(?:theorem|lemma|import|open|namespace|section|set_option"
    r"|noncomputable|variable|universe|private|protected)\b|/-|@\[))",
    re.M,
)
_MAX_LINES = 20  # of those that are tried
# Text that ends an answer without fences: a paragraph that is not indented, a closing tag. Of line
# breaks in a row only the first begins a match, and none is given back.
_PROSE = re.compile(
    r"(?:(?<!\n)\n\n++|\n[ \t]++\n++)"
    r"(?![ \t]|[|·.<)⟩\]}]|(?:where|termination_by|decreasing_by)\b)"
)
_CLOSING_TAG = re.compile(r"</[a-z]+>")
_LINE_START = re.compile("^\ufeff", re.M)
_DOC_COMMENT = re.compile("/-[-!]")
_DECLARATIONS = word_set(
    """
    theorem lemma example def abbrev instance opaque axiom structure class inductive coinductive
    mutual macro macro_rules syntax notation infix infixl infixr prefix postfix elab elab_rules
    attribute alias declare_syntax_cat irreducible_def run_cmd initialize
    """
)
_THEOREM_WORD = re.compile(r"\b(?:theorem|lemma)\b")
_MODIFIERS = frozenset(
    {"private", "protected", "nonrec", "noncomputable", "public", "unsafe", "partial"}
)
_DECLARATION_STARTS = _DECLARATIONS | _MODIFIERS | {"@", "set_option", "open"}


class Span(NamedTuple):
    """The candidate is `answer[start:end]`: what follows `:=`, without the space after it; with
    helpers, everything from the line break before the first of them on."""

    start: int
    end: int


class NoProof(ValueError):
    """Why no proof can be taken from the answer."""


class _Stated(NamedTuple):
    """The place in a block of code that states the theorem."""

    before: list[Token]
    start: int  # of `theorem`
    end: int  # after `:=`


def extract(answer: str, theorem: Theorem, allow_helpers: bool = False) -> Span:
    """Where in `answer` the proof of `theorem` is.

    Blocks of Lean are tried before blocks without a language, the last first; without any fence it
    is the text itself. The statement is ours token by token (modulo space, comments, and `lemma`
    for `theorem`). Imports, options, namespaces and sections may stand before it and are ignored,
    as is our own context (among helpers by `parse_candidate`); so is the next command after the
    proof, and all that follows.

    Raises NoProof for an answer without such a statement, and for one that declares other things
    before the theorem, unless `allow_helpers` and the first of them is a theorem: the audit decides
    about the others.
    """
    answer = _one_line_end(answer)
    ours = _statement(theorem)
    allow_helpers = allow_helpers and ours is not None  # `parse_candidate` finds none
    nearest = None
    blocks, among_prose = list(_blocks(answer)), _BLOCK.search(answer) is None
    for code, offset in blocks:
        stated = _find(code, ours) if ours else _find_written(code, theorem)
        if isinstance(stated, _Stated):
            start, end = stated.end, _end_of_proof(code, stated, among_prose)
            before = _without_context(stated.before, theorem)
            first = next((i for i, t in enumerate(before) if t.text in _DECLARATIONS), None)
            if first is not None:
                if not allow_helpers or not _THEOREM_WORD.fullmatch(before[first].text):
                    raise NoProof(_not_a_helper(before[first].text, allow_helpers))
                start = before[_modified(before, first)].start
                return Span(_line_start(answer, offset + start), offset + end)
            return Span(offset + start, offset + end)
        nearest = nearest or stated
    if not blocks:
        raise NoProof("the answer holds no fenced Lean block (```lean4)")
    raise NoProof(nearest or f"no Lean block of the answer states theorem {theorem.name}")


def _blocks(answer: str) -> Iterator[tuple[str, int]]:
    """(text, offset in the answer) of each part that may state the theorem, the likeliest first."""
    lean, plain, is_open = [], [], False
    fences = list(_BLOCK.finditer(answer))
    for block in fences:
        if is_open and not block["info"].strip():  # it closes the block before
            is_open = False
            continue
        is_open = True
        if _LEAN.match(block["info"]):
            lean.append(block)
        elif _NO_LANGUAGE.fullmatch(block["info"].strip()):
            plain.append(block)
    for block in (*reversed(lean), *reversed(plain)):
        yield block["code"], block.start("code")
    if not fences:
        thoughts = answer.rfind(_THOUGHTS_END)
        for line in islice(_LEAN_LINE.finditer(answer, max(thoughts, 0)), _MAX_LINES):
            yield answer[line.start("code") :], line.start("code")


def _end_of_proof(code: str, stated: _Stated, among_prose: bool) -> int:
    """The end of the proof: before the next line that begins a command, and before the comments
    and modifiers of that command; with `among_prose` also before a paragraph of prose."""
    _, _, next_line = code[stated.end :].partition("\n")
    if among_prose and (tag := _CLOSING_TAG.search(code, stated.end)):
        code = code[: tag.start()]
    if among_prose and next_line[:1].isspace() and (prose := _PROSE.search(code, stated.end)):
        code = code[: prose.start()]
    tokens = _tokens(code)
    begin = next((i for i, t in enumerate(tokens) if t.start >= stated.end), len(tokens))
    line = code[code.rfind("\n", 0, stated.start) + 1 :]
    margin = len(line) - len(line.lstrip(" \t"))
    doc_comment = re.compile(rf"^[ \t]{{0,{margin}}}/-[-!]", re.M)
    end = stated.end
    for i in range(begin, len(tokens)):
        start = tokens[i].start
        line = code[code.rfind("\n", 0, start) + 1 : start]
        if i > begin and doc_comment.search(code[end:start]):
            return end
        if not line.strip() and len(line) <= margin and _is_command(code, tokens, i):
            cut = _modified(tokens, i)
            return tokens[cut - 1].end if cut > begin else stated.end
        end = tokens[i].end
    return end if end > stated.end and doc_comment.search(code[end:]) else len(code.rstrip())


def _is_command(code: str, tokens: Sequence[Token], i: int) -> bool:
    """Does token i, the first of its line, begin a command? `open Foo in` and the like do not: they
    may continue a proof, and before a command they are its modifiers."""
    word, after = tokens[i].text, tokens[i + 1 : i + 2]
    if word in ("open", "set_option"):
        line_end = code.find("\n", tokens[i].start)
        line = takewhile(lambda t: line_end < 0 or t.start < line_end, tokens[i:])
        return "in" not in (token.text for token in line)
    if word in ("#", "@"):
        glued = bool(after) and after[0].start == tokens[i].end
        return glued and (after[0].text == "[" if word == "@" else after[0].kind == "name")
    return word in COMMANDS


def parse_candidate(text: str, theorem: Theorem, allow_helpers: bool) -> Candidate:
    """`text` as a candidate for `theorem`: what follows `:=`, or with `allow_helpers` also helper
    lemmas, our statement and its proof. What has no such form is all proof, also where it states
    the theorem once more behind that; the audit decides whether it may be given to Lean.
    """
    text = _one_line_end(text)
    plain = Candidate(text)
    if not allow_helpers or not _THEOREM_WORD.search(text) or (ours := _statement(theorem)) is None:
        return plain
    stated = _find(text, ours)
    if not isinstance(stated, _Stated) or not _DECLARATION_STARTS.issuperset(
        t.text for t in stated.before[:1]
    ):
        return plain
    first = _modified(stated.before, len(stated.before))
    end = stated.before[first].start if first < len(stated.before) else stated.start
    helpers = _DOC_COMMENT.sub("/- ", text[:end])
    for i, j in _repetitions(stated.before[:first], theorem):
        start, stop = stated.before[i].start, stated.before[j - 1].end
        helpers = helpers[:start] + re.sub(".", " ", helpers[start:stop]) + helpers[stop:]
    return Candidate(text, stated.end, helpers)


def _one_line_end(text: str) -> str:
    """`text`, in the same length: a space replaces each carriage return before a line feed, and
    each byte order mark that begins a line."""
    return _LINE_START.sub(" ", text.replace("\r\n", " \n"))


def _statement(theorem: Theorem) -> list[str] | None:
    """The words of our statement; None if our tokenizer refuses it."""
    try:
        return [token.text for token in tokenize(f"{theorem.name} {theorem.signature} :=")]
    except Refused:
        return None


def _find_written(code: str, theorem: Theorem) -> _Stated | None:
    """The first place where `code` states `theorem` in the same characters, but for space."""
    words = f"{theorem.name} {theorem.signature} :=".split()
    match = re.search(_THEOREM_WORD.pattern + r"\s+" + r"\s+".join(map(re.escape, words)), code)
    return match and _Stated(_tokens(code[: match.start()]), *match.span())


def _find(code: str, ours: list[str]) -> _Stated | str | None:
    """The first place where `code` states ours; else a message if it states that name otherwise."""
    tokens = _tokens(code)
    words = [token.text for token in tokens]
    nearest = None
    namespace = words.index("namespace") if "namespace" in words else len(words)
    for i in (i for i, word in enumerate(words) if _THEOREM_WORD.fullmatch(word)):
        stated = words[i + 1 : i + 1 + len(ours)]
        if stated and _names(ours[0], stated[0], namespace < i):
            stated[0] = ours[0]
        if stated == ours:
            return _Stated(tokens[:i], tokens[i].start, tokens[i + len(ours)].end)
        if stated[:1] == ours[:1] and nearest is None:
            nearest = f"the answer states {ours[0]} differently: {_difference(stated, ours)}"
    return nearest


def _names(ours: str, stated: str, in_namespace: bool) -> bool:
    """Is `stated` a name of our theorem: from the root, or in a namespace without its beginning?"""
    return stated == f"_root_.{ours}" or (in_namespace and ours.endswith(f".{stated}"))


def _tokens(code: str) -> list[Token]:
    """Those before the first thing that `tokenize` refuses. Either the statement comes before it,
    or the audit will refuse it with a message."""
    code = _DOC_COMMENT.sub("/- ", code)  # here doc comments belong to declarations
    try:
        return tokenize(code)
    except Refused as refused:
        _, place, _ = refused.args
    try:
        return tokenize(code[:place])
    except Refused:
        return []


def _without_context(before: list[Token], theorem: Theorem) -> list[Token]:
    repeated = set()
    for begin, end in _repetitions(before, theorem, _DECLARATION_STARTS | COMMANDS):
        repeated.update(range(begin, end))
    return [token for i, token in enumerate(before) if i not in repeated]


def _repetitions(
    tokens: Sequence[Token], theorem: Theorem, followed_by: Set[str] = _DECLARATION_STARTS
) -> Iterator[tuple[int, int]]:
    """(begin, end) among the tokens of each repetition of our context, or of a command of it, that
    one of the words or nothing follows. It is in force there already."""
    words = [token.text for token in tokens]
    for begin, part in product(range(len(words)), _parts(theorem.context)):
        end = begin + len(part)
        if words[begin:end] == part and followed_by.issuperset(words[end : end + 1]):
            yield begin, end


@lru_cache(1024)
def _parts(context: str) -> list[list[str]]:
    """The words of a context, and of each of its commands."""
    starts = [*command_starts(masked(context)), len(context)]
    texts = (context, *(context[start:stop] for start, stop in pairwise(starts)))
    return [words for text in texts if (words := [token.text for token in _tokens(text)])]


def _modified(tokens: Sequence[Token], i: int) -> int:
    """The index at which the modifiers of the declaration at token i begin: attributes, `private`
    and the like, `set_option ... in`; i if it has none."""
    words = [token.text for token in tokens]
    while i:
        begin = i - 1
        if words[i - 1] == "]":
            depth = 1
            while depth and begin:
                begin -= 1
                depth += (words[begin] == "]") - (words[begin] == "[")
            begin -= 1
            if begin < 0 or words[begin] != "@":
                return i
        elif words[i - 1] == "in":
            while begin and words[begin] not in ("set_option", "open"):
                begin -= 1
        elif words[i - 1] not in _MODIFIERS:
            return i
        i = begin
    return i


def _line_start(text: str, i: int) -> int:
    """Where to begin so that the line of i keeps its columns, which matter to Lean: at the line
    break before it, or at the start of the text. i itself where more than space precedes it."""
    start = text.rfind("\n", 0, i)
    return i if text[start + 1 : i].strip() else max(start, 0)


def _not_a_helper(word: str, allowed: bool) -> str:
    if allowed:
        return f"`{word}` before the theorem: a helper is a `theorem` or a `lemma`"
    return (
        f"`{word}` before the theorem: helper declarations are not allowed, "
        "what they show must be shown inside the proof"
    )


def _difference(stated: Sequence[str], ours: Sequence[str]) -> str:
    at = next((i for i, (a, b) in enumerate(zip(stated, ours)) if a != b), len(stated))
    there = " ".join(word[:40] for word in stated[at : at + 5]) or "nothing"
    here = " ".join(ours[at : at + 5])
    return f"`{there}` where the statement has `{here}`".replace(": =", ":=")
