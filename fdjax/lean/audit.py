"""What a candidate may hold, decided on Lean's tokens before any Lean process reads the text.

The candidate supplies what follows `:=` of a theorem of ours, and must stay inside that theorem:
no second declaration or command, no option, no attribute. After a parse error Lean goes on reading
inside the text, so whatever Lean could split into other tokens than this tokenizer is refused.
"""

import re
from collections.abc import Iterator, Sequence, Set
from typing import NamedTuple

from fdjax.types import Message

AUDIT_VERSION = "4"  # part of every cache key: change it with any rule, and with evidence.render
MAX_CHARS = 32_768
MAX_DEPTH = 400  # of brackets; some thousands overflow Lean's stack
MAX_STRAY_QUOTES = 64

# Lean's identifiers: letters of ASCII and of isLetterLike. Later versions of Lean have more letters
# (those with accents), which are therefore separate tokens here: `éaxiom` holds an `axiom`.
_LETTER = "A-Za-z_α-κμ-ωΑ-ΟΡΤ-Ωϊ-ϻἀ-῾℀-⅏𝒜-𝖟"
_REST = _LETTER + "0-9'!?₀-₉ₐ-ₜᵢ-ᵪⱼ"
_PART = f"(?:[{_LETTER}][{_REST}]*|«[^»\n]+»)"
_ESCAPE = r"\\(?:[\\\"'nrt]|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4})"
_TOKEN = re.compile(
    rf"""
      (?P<space>[ \n\t]+)
    | (?P<line>--[^\n]*)
    | (?P<block>/-)
    | r(?P<raw>\#*)"
    | (?P<name>{_PART}(?:\.{_PART})*)
    | (?P<field>(?<=[{_REST})\]}}⟩»]\.)[0-9]+)
    | (?P<number>0[xX][0-9a-fA-F_]+|0[bB][01_]+|0[oO][0-7_]+
                |[0-9][0-9_]*(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)
    | (?P<string>")
    | (?P<char>')
    | (?P<symbol>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_STRING = re.compile(rf'"(?:[^"\\]|{_ESCAPE})*"')
_CHAR = re.compile(rf"'(?:[^'\\]|{_ESCAPE})'")
_COMMENT_EDGE = re.compile(r"/-|-/")
_GLUED = re.compile(rf"\.?[{_LETTER}'0-9«]")
# No control characters, and no end of a line (and of a comment) but \n: for a server that splits
# text by Python's str.splitlines, U+2028 would be one.
_UNFIT = re.compile("[^\n\t\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufffc\U00010000-\U0010ffff]")
# After these a token starts in every version of Lean and under every notation.
_OPENERS = frozenset(" \n\t()[]{}⟨⟩,;")
_OPENING, _CLOSING = frozenset("([{⟨‹"), frozenset(")]}⟩›")


def word_set(text: str) -> frozenset[str]:
    return frozenset(text.split())


_COMMANDS = word_set(
    """
    abbrev add_aesop_rules add_decl_doc alias assert_exists assert_no_cyclic assert_not_exists
    assert_not_imported attribute axiom binder_predicate builtin_initialize class coinductive
    compile_def compile_inductive count_heartbeats def deprecate deprecated_module
    deprecated_syntax deriving docs_to_verso elab elab_rules elab_stx_quot end erase_aesop_rules
    example export extend_docs gen_injective_theorems grind_annotated grind_pattern
    guard_min_heartbeats import include include_str inductive infix infixl infixr
    init_quot initialize initialize_simps_projections instance irreducible_def lemma library_note
    local macro macro_rules meta mk_iff_of_inductive_prop module mutual namespace noncomputable
    nonrec norm_cast_add_elim notation notation3 omit opaque open partial postfix prefix prelude
    private proof_wanted protected public recall recommended_spelling reset_grind_attrs run_cmd
    run_elab run_meta scoped seal section set_library_suggestions set_premise_selector
    show_panel_widgets simproc simproc_decl dsimproc dsimproc_decl cbv_simproc cbv_simproc_decl
    structure sudo suppress_compilation syntax tactic_extension theorem unif_hint universe
    unlock_limits unsafe unseal unset_option unsuppress_compilation variable whatsnew
    with_weak_namespace init_grind_norm grind_propagator
    """
)
_HELPERS = frozenset({"theorem", "lemma"})
_COMMAND_PREFIXES = ("builtin_", "register_", "declare_", "erase_attr", "dump_async")
_CLAUSES = word_set(
    """
    where termination_by termination_by? decreasing_by monotonicity_by partial_fixpoint
    inductive_fixpoint coinductive_fixpoint
    """
)
_SORRY = frozenset({"sorry", "admit"})
_TRICKS = word_set(  # as parts of names
    """
    sorryAx mkSorry native_decide ofReduceBool ofReduceNat reduceBool reduceNat trustCompiler
    run_tac by_elab elabToSyntax eval_expr evalTactic skipKernelTC addDeclWithoutChecking
    implemented_by extern csimp unsafeCast lcProof lcUnreachable lcAny lcErased lcCast lcVoid
    """
)
# Names whose end may be a keyword where Lean reads on inside a name, see _resumptions.
_EMBEDS = re.compile(
    "|".join(map(re.escape, sorted(_COMMANDS | _CLAUSES | {"set_option", *_COMMAND_PREFIXES, "«"})))
)
_TACTIC_FOLLOWS = word_set(
    """
    ; · . | > by do then else in with try repeat repeat' repeat1 repeat1' first solve all_goals
    any_goals all_goals' focus on_goal pick_goal case case' next iterate stop conv conv_lhs conv_rhs
    conv' classical unhygienic fail_if_success success_if_fail show_term with_reducible
    with_reducible_and_instances with_unfolding_all with_unfolding_none work_on_goal
    decreasing_with
    """
)


def starts_command(word: str) -> bool:
    return word in _COMMANDS or word.startswith(_COMMAND_PREFIXES)


class Token(NamedTuple):
    kind: str  # "name", "number", "field", "string", "char" or "symbol"; comments are dropped
    text: str
    start: int  # in characters
    end: int


class Refused(Exception):
    """The text may not be given to Lean: (reason, start, end)."""

    @property
    def message(self) -> Message:
        reason, start, end = self.args
        return Message("error", reason, kind="audit", start=start, end=end)


def audit(proof: str, max_heartbeats: int = 2000, helpers_of: str | None = None) -> Message | None:
    """None if `proof` may be given to Lean, else an error of kind "audit" with the reason.

    `max_heartbeats` (thousands) is the largest N in the one option that a proof may set,
    `set_option maxHeartbeats N in`. With `helpers_of` the text is what precedes the theorem of that
    name; it may be empty, and it may state theorems, but not that one.
    """
    try:
        _check_text(proof)
        tokens = tokenize(proof)
        if not tokens and helpers_of is None:
            raise Refused("the proof is empty: nothing but space and comments follows `:=`", 0, 0)
        _check_tokens(tokens, max_heartbeats, helpers_of)
        for resumed in _other_readings(proof, tokens):
            _check_tokens(resumed, max_heartbeats, helpers_of)
    except Refused as refused:
        return refused.message
    return None


def tokenize(text: str, start: int = 0, stop: Set[int] = frozenset()) -> list[Token]:
    """The tokens of `text[start:]`, up to the first that starts in `stop`, without space and
    comments. Raises Refused for what has no end, and for what Lean might read differently."""
    tokens: list[Token] = []
    comment_end = -1
    i = start
    while i < len(text) and i not in stop:
        match = _TOKEN.match(text, i)
        kind, end = match.lastgroup, match.end()
        if kind == "name":
            tokens.append(Token(kind, match.group(), i, end))
        elif kind == "space":
            pass
        elif kind == "symbol":
            if match.group() == "«":
                raise Refused("`«` without its `»` on the same line", i, i + 1)
            tokens.append(Token(kind, match.group(), i, end))
        elif kind in ("number", "field"):
            # `0xend` and `1.e` are errors to Lean, after which it reads on behind them
            glued = "." not in match.group() and _GLUED.match(text, end)
            if (kind == "number" and glued) or _GLUED.match(text, end, end + 1):
                raise Refused("a number must be followed by a space or a symbol", i, end + 1)
            tokens.append(Token(kind, match.group(), i, end))
        elif kind == "line":
            if comment_end != i:
                _require_clean(text, i, "--", tokens)
        elif kind == "block":
            if comment_end != i:
                _require_clean(text, i, "/-", tokens)
            end = comment_end = _end_of_comment(text, i)
        elif kind == "string":
            end = _end_of_string(text, i)
            tokens.append(Token(kind, text[i:end], i, end))
        elif kind == "raw":
            _require_clean(text, i, 'r"')
            hashes = match.group("raw")
            end = text.find(f'"{hashes}', end) + 1 + len(hashes)
            if end <= len(hashes):
                raise Refused("the raw string has no end", i, len(text))
            tokens.append(Token("string", text[i:end], i, end))
        else:
            literal = _CHAR.match(text, i)
            if literal:
                _require_clean(text, i, "'")
                end = literal.end()
            elif text.startswith("'\\", i):
                raise Refused("not a character literal", i, i + 2)
            tokens.append(Token("char" if literal else "symbol", text[i:end], i, end))
        i = end
    return tokens


def _check_text(proof: str) -> None:
    if len(proof) > MAX_CHARS:
        raise Refused(
            f"the proof has {len(proof):,} characters, the limit is {MAX_CHARS:,}",
            MAX_CHARS,
            len(proof),
        )
    if bad := _UNFIT.search(proof):
        names = {
            "\0": "a NUL character",
            "\r": "a carriage return (lines end in \\n only)",
            "\f": "a form feed",
            "\ufffd": "U+FFFD, the mark of undecodable bytes",
        }
        code = ord(bad.group())
        name = "a lone surrogate" if 0xD800 <= code <= 0xDFFF else f"the character U+{code:04X}"
        raise Refused(
            f"a proof may not hold {names.get(bad.group(), name)}", bad.start(), bad.end()
        )


def _require_clean(text: str, i: int, opener: str, tokens: Sequence[Token] = ()) -> None:
    """What opens a comment or literal must not follow a symbol directly: in `<--x` Lean reads `<-`.
    A comment may directly follow the last of `tokens` if that is a word that begins cleanly."""
    if i == 0 or text[i - 1] in _OPENERS:
        return
    last = tokens[-1] if tokens else None
    if (
        last
        and last.kind in ("name", "number", "string")
        and last.end == i
        and (last.start == 0 or text[last.start - 1] in _OPENERS)
    ):
        return
    raise Refused(
        f"`{opener}` directly after `{text[i - 1]}` is ambiguous: write a space",
        i - 1,
        i + len(opener),
    )


def _end_of_comment(text: str, start: int) -> int:
    if text[start + 2 : start + 3] in ("-", "!"):
        raise Refused("a doc comment belongs to a declaration: write `/- ... -/`", start, start + 3)
    if text[start + 2 : start + 3] == "/":
        raise Refused("`/-/` is ambiguous: write a space after `/-`", start, start + 3)
    depth = 0
    for edge in _COMMENT_EDGE.finditer(text, start):
        depth += 1 if edge.group() == "/-" else -1
        if depth == 0:
            return edge.end()
    raise Refused("the comment has no end: `-/` is missing", start, len(text))


def _end_of_string(text: str, start: int) -> int:
    match = _STRING.match(text, start)
    if not match:
        raise Refused(
            "the string has no end, or an escape in it is not one of Lean's", start, len(text)
        )
    if "{" in match.group():
        raise Refused("`{` in a string may interpolate code", start, match.end())
    return match.end()


def _other_readings(proof: str, tokens: list[Token]) -> Iterator[list[Token]]:
    """After some errors Lean reads on inside a word. These are the tokens that it may then read,
    each list up to where it joins the first reading."""
    starts = {t.start for t in tokens}
    if sum(t.text == "'" for t in tokens) > MAX_STRAY_QUOTES:
        raise Refused(f"more than {MAX_STRAY_QUOTES} quotes that open no character literal", 0, 0)
    todo = _resumptions(proof, tokens)
    while todo:
        start = todo.pop()
        if start not in starts:
            starts.add(start)
            reading = tokenize(proof, start, starts - {start})
            yield reading
            todo += _resumptions(proof, reading)


def _resumptions(text: str, tokens: list[Token]) -> list[int]:
    """Where Lean reads on: one to three characters after a quote that opens no literal, and one
    after the start of an unknown tactic (`by xaxiom bad : False` declares an axiom)."""
    places = [t.start + k for t in tokens if t.text == "'" for k in (1, 2, 3)]
    starts_tactic = True
    for before, token in zip([None, *tokens], tokens, strict=False):
        starts_tactic = (
            before is None
            or before.text in _TACTIC_FOLLOWS
            or before.kind == "number"
            or "\n" in text[before.end : token.start]
            or (starts_tactic and before.text in ("(", "[", "{"))
        )
        if starts_tactic and token.kind == "name" and _EMBEDS.search(token.text):
            places.append(token.start + 1)
    return places


def _check_tokens(tokens: list[Token], max_heartbeats: int, helpers_of: str | None) -> None:
    depth = 0
    for i, (kind, text, start, end) in enumerate(tokens):
        depth += (text in _OPENING) - (text in _CLOSING)
        if depth > MAX_DEPTH:
            raise Refused(f"more than {MAX_DEPTH} brackets inside each other", start, end)
        if kind == "name":
            if helpers_of is not None and text in _HELPERS:
                reason = _bad_name(tokens[i + 1 : i + 4], helpers_of)
                if reason is None:
                    continue
            elif text in _COMMANDS or text.startswith(_COMMAND_PREFIXES):
                reason = f"`{text}` starts a command; a proof holds none: it ends with its theorem"
            elif text in _CLAUSES:
                reason = f"`{text}` is not allowed in a proof"
            elif text in _SORRY:
                reason = f"`{text}` is not a proof"
            elif text == "set_option":
                if _sets_heartbeats(tokens[i + 1 : i + 4], max_heartbeats):
                    continue
                reason = (
                    "`set_option` is not allowed in a proof, except "
                    f"`set_option maxHeartbeats N in` with N from 1 to {max_heartbeats}"
                )
            elif text == "eval" and _follows(tokens, i, "symbol", "%"):
                reason = "`eval%` runs code: it is not allowed in a proof"
            elif text == "native" and _is_config(tokens, i):
                reason = "`native` evaluation trusts the compiler: it is not a proof"
            else:
                parts = text.replace("«", "").replace("»", "").split(".")
                if _TRICKS.isdisjoint(parts):
                    continue
                reason = f"`{text}` is not allowed in a proof"
        elif text == "@" and _follows(tokens, i, "symbol", "["):
            reason = "attributes (`@[`) are not allowed in a proof"
        elif text == "#" and _starts_command(tokens, i):
            reason = f"`#{tokens[i + 1].text}` starts a command; a proof holds none"
        else:
            continue
        raise Refused(reason, start, end)


def _bad_name(named: list[Token], theorem: str) -> str | None:
    """Why a helper may not have the name that `named` begins with. Helpers are declared in a
    namespace that hides them from our statement. `_root_` would leave it; Lean's internal names
    (`_private`, `_@`, `_hyg`) might. Later versions of Lean have letters that end a name here, so
    only what opens binders or a type may follow the name directly."""
    if not named or named[0].kind != "name":
        return "a helper needs a name"
    after = named[1].text if named[1:] and named[1].start == named[0].end else ""
    if after not in ("", *"([{⦃:") and [token.text for token in named[1:]] != [".", "{"]:
        return f"`{after}` directly after a helper's name: write a space"
    name = named[0].text.replace("«", "").replace("»", "")
    if internal := next((part for part in name.split(".") if part.startswith("_")), None):
        return f"`{internal}` is not allowed in a helper's name"
    if name == theorem.replace("«", "").replace("»", ""):
        return f"a helper may not have the theorem's own name, `{theorem}`"
    return None


def _follows(tokens: list[Token], i: int, kind: str, text: str | None = None) -> bool:
    """Is token i + 1 of this kind (and text), with no space between?"""
    if i + 1 == len(tokens):
        return False
    after = tokens[i + 1]
    return (
        after.kind == kind and after.start == tokens[i].end and (text is None or after.text == text)
    )


def _starts_command(tokens: list[Token], i: int) -> bool:
    """`#eval` and the like, but not `#s`: in Mathlib that is the size of a set."""
    return _follows(tokens, i, "name") and len(tokens[i + 1].text.split(".")[0]) > 2


def _is_config(tokens: list[Token], i: int) -> bool:
    before = tokens[i - 1].text if i else ""
    after = "".join(t.text for t in tokens[i + 1 : i + 3])
    return before == "+" or after == ":="


def _sets_heartbeats(tokens: list[Token], limit: int) -> bool:
    if [t.kind for t in tokens] != ["name", "number", "name"]:
        return False
    option, number, word = (t.text for t in tokens)
    return (
        option == "maxHeartbeats"
        and word == "in"
        and number.isascii()
        and number.isdigit()
        and 0 < int(number) <= limit
    )
