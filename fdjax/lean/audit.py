"""What a candidate may hold, decided on Lean's tokens before any Lean process reads the text.

The candidate supplies what follows `:=` of a theorem of ours, and must stay inside that theorem:
no second declaration or command, no option, no attribute. After a parse error Lean skips tokens up
to the next command. It skips a name as a whole, so `h_end` holds no `end`. After some errors it
goes on inside of a token: `_other_readings` gives the tokens that it then reads.
"""

import functools
import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from fdjax.lean.tokens import REST, Refused, Token, read_tokens, tokenize
from fdjax.types import Message

AUDIT_VERSION = "6"  # part of every cache key: change it with any rule, and with evidence.render
MAX_CHARS = 32_768
MAX_DEPTH = 400  # of brackets; some thousands overflow Lean's stack

# No control characters, and no end of a line (and of a comment) but \n: for a server that splits
# text by Python's str.splitlines, U+2028 would be one.
_UNFIT = re.compile("[^\n\t\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufffc\U00010000-\U0010ffff]")
_OPENING, _CLOSING = frozenset("([{⟨‹"), frozenset(")]}⟩›")


def word_set(text: str) -> frozenset[str]:
    return frozenset(text.split())


COMMANDS = word_set(
    """
    abbrev add_aesop_rules add_decl_doc alias assert_exists assert_no_cyclic assert_not_exists
    assert_not_imported attribute axiom binder_predicate builtin_initialize class coinductive
    compile_def compile_inductive count_heartbeats def deprecate deprecated_module
    deprecated_syntax deriving docs_to_verso elab elab_rules elab_stx_quot end erase_aesop_rules
    example export extend_docs gen_injective_theorems grind_annotated grind_pattern
    guard_min_heartbeats import include include_str inductive infix infixl infixr
    init_quot initialize initialize_simps_projections instance irreducible_def lemma library_note
    local macro macro_rules meta mk_iff_of_inductive_prop mutual namespace noncomputable
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
_CLAUSES = word_set("monotonicity_by partial_fixpoint inductive_fixpoint coinductive_fixpoint")
_SORRY = frozenset({"sorry", "admit"})
_TRICKS = word_set(  # as parts of names
    """
    sorryAx mkSorry native_decide ofReduceBool ofReduceNat reduceBool reduceNat trustCompiler
    run_tac by_elab elabToSyntax eval_expr evalTactic skipKernelTC addDeclWithoutChecking
    implemented_by extern csimp lcProof lcUnreachable lcAny lcErased lcCast lcVoid
    with_decl_name simproc_pattern cbv_simproc_pattern BaseIO EIO EStateM runFrontend
    """
)
# Commands in which honest names may end: `hopen`, `tend`, `hdef`.
_PLAIN_WORDS = word_set(
    """
    alias class def end example export import include instance lemma local meta mutual namespace
    omit opaque open partial prefix private protected public recall scoped seal section structure
    theorem universe variable
    """
)
_RARE = re.compile(
    rf"(?:{'|'.join(sorted({*COMMANDS, 'set_option'} - _PLAIN_WORDS))})(?![{REST}])"
    f"|{'|'.join(_COMMAND_PREFIXES)}"
)
# `#eval` and the like. Lean reads its longest token, so `#evals` begins with `#eval`. After `#` any
# other name may follow: `#s` is the size of a set in Mathlib.
_HASH_COMMANDS = re.compile(
    """
    adaptation_note|aesop|check|conv|count|crawl|deprecated|discr_tree|dump|eval|exit|explode|find
    |grind|guard|help|html|import|in_scope|info|instances|kerodon|leansearch|lint|long_names|loogle
    |min_imports|minimize|mk|moogle|norm_num|parse|print|push|redundant|reduce|sample|search|show
    |simp|stacks|statesearch|string|synth|test|time|trans_imports|unfold|unify|version|where|whnf
    |widget
    """,
    re.VERBOSE,
)
# Lean may look for a tactic after the words of _TACTIC_FOLLOWS; where a word of the other sets came
# before, also after `|`, after `with`, and after `(disch :=`.
_TACTIC_FOLLOWS = word_set(
    """
    ; by do then else in try repeat repeat' repeat1 repeat1' first solve all_goals any_goals
    all_goals' focus next finally stop iterate classical unhygienic fail_if_success success_if_fail
    fail_if_no_progress show_term says checkpoint recover with_reducible with_unfolding_all
    with_reducible_and_instances with_unfolding_none work_on_goal decreasing_with decreasing_by
    """
)
_ALTERNATIVES = word_set("first first_par solve attempt_all attempt_all_par")  # then after `|`
_INDUCTIONS = word_set("induction cases fun_induction fun_cases")  # then after `with`
_TACTIC_ARGUMENTS = word_set("disch discharger norm tac")  # after `(disch :=`
# What Lean may read as a number, up to where digits are missing: `0x`, `1e`, `1.e`, `1.5_`
_NUMBER = re.compile(
    r"(?:0[xX][0-9a-fA-F_]*|0[bB][01_]*|0[oO][0-7_]*|[0-9][0-9_]*(?:\.[0-9_]+)?)"
    r"(?=(?P<exponent>\.?[eE](?:[+-]?[0-9][0-9_]*)?)?)"
)


def starts_command(word: str) -> bool:
    return word in COMMANDS or word.startswith(_COMMAND_PREFIXES)


@functools.lru_cache(1024)  # a policy writes many proofs more than once
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
        _check_tokens(proof, tokens, max_heartbeats, helpers_of)
        for resumed, joins in _other_readings(proof, tokens):
            _check_tokens(proof, resumed, max_heartbeats, None, joins)
    except Refused as refused:
        return refused.message
    return None


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


def _other_readings(text: str, tokens: list[Token]) -> Iterator[tuple[list[Token], int]]:
    """(tokens that Lean may read after an error, the index at which they join a list before).

    After some errors Lean skips to the next command from a place inside of a token. A list ends
    three tokens after it joins another, since rules look that far ahead.
    """
    known = {token.start for token in tokens}
    after = {a.start: b for a, b in pairwise(tokens)}
    todo = [place for token in tokens for place in _places(text, token)]
    for token, starts_tactic in zip(tokens, _tactic_starts(text, tokens), strict=True):
        if token.kind == "name":
            # Lean goes on one character after the start of an unknown tactic
            todo += [token.start + 1] * starts_tactic
            # libraries may have tactics that take tactics, and symbols that end in letters (`≃o`)
            todo += [
                token.start + k
                for k in (1, 2)
                if token.text[:k].isalpha() and _RARE.match(token.text, k)
            ]
    while todo:
        start = todo.pop()
        if start in known:
            continue
        reading: list[Token] = []
        joins = None
        for token in read_tokens(text, start):
            reading.append(token)
            if token.start in known:
                joins = len(reading) - 1
                break
            known.add(token.start)
            todo += _places(text, token)
        after.update((a.start, b) for a, b in pairwise(reading))
        for _ in range(3 if joins is not None else 0):
            if token := after.get(reading[-1].start):
                reading.append(token)
        yield reading, len(reading) if joins is None else joins


def _places(text: str, token: Token) -> list[int]:
    """Where Lean goes on inside of `token`, or of the next one, if `token` is an error."""
    if token.text == "'":  # one to three characters after a quote that opens no literal
        return [token.start + k for k in (1, 2, 3)]
    if token.kind in ("number", "field"):
        number = _NUMBER.match(text, token.start)
        return [end for end in (number.end(), number.end("exponent")) if end > token.end]
    return []


def _tactic_starts(text: str, tokens: Sequence[Token]) -> Iterator[bool]:
    """Per token: may Lean look for a tactic there? A line begins one in the column of a tactic
    above it; what begins deeper continues the line before."""
    seen: set[str] = set()
    # per open bracket: columns of tactics; and is there nothing but binders since its last `fun`?
    columns: list[set[int]] = [set()]
    binds = [False]
    starts = of_fun = False
    words = ["", "", "", *(token.text for token in tokens)]
    for i, token in enumerate(tokens):
        first, second, last = words[i : i + 3]  # the words before it
        begins_line = i > 0 and "\n" in text[tokens[i - 1].end : token.start]
        starts = (
            last in _TACTIC_FOLLOWS
            or (second + last == "=>" and not of_fun)
            or first + second + last == "<;>"
            or (last == "|" and not seen.isdisjoint(_ALTERNATIVES))
            or (last == "with" and not seen.isdisjoint(_INDUCTIONS))
            or (second == "iterate" and tokens[i - 1].kind == "number")
            or (second + last == ":=" and first in _TACTIC_ARGUMENTS)
            or (starts and last in ("(", "{", "·", "."))
            or (begins_line and _column(text, token) in columns[-1])
        )
        if starts:
            columns[-1].add(_column(text, token))
            binds[-1] = False
        yield starts
        seen.add(token.text)
        if token.text in _OPENING:
            binds.append(False)
            columns.append(set())
        elif token.text in _CLOSING:
            binds, columns = binds[:-1] or binds, columns[:-1] or columns
        elif token.text in ("fun", "λ"):
            binds[-1] = True
        elif last + token.text == "=>":
            of_fun, binds[-1] = binds[-1], False
        elif token.text in ("by", "with", "do", "|", ";", "↦"):
            binds[-1] = False


def _column(text: str, token: Token) -> int:
    return token.start - text.rfind("\n", 0, token.start)


def _check_tokens(
    proof: str,
    tokens: list[Token],
    max_heartbeats: int,
    helpers_of: str | None,
    stop: int | None = None,
) -> None:
    """Raises Refused for the first of `tokens[:stop]` that a proof may not hold."""
    depth = 0
    for i, (kind, text, start, end) in enumerate(tokens[:stop]):
        depth += (text in _OPENING) - (text in _CLOSING)
        if depth > MAX_DEPTH:
            raise Refused(f"more than {MAX_DEPTH} brackets inside each other", start, end)
        if kind == "name":
            if helpers_of is not None and text in _HELPERS:
                reason = _bad_name(tokens[i + 1 : i + 4], helpers_of)
                if reason is None:
                    continue
            elif text in ("open", "scoped") and _opens_here(proof, tokens, i):
                continue
            elif text == "unsafe" and i and tokens[i - 1].text == "add":
                continue  # a rule for aesop
            elif starts_command(text):
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
                # Lean evaluates the term of `(config := ...)`, where `IO.println "..." ()` prints
                opened = i and tokens[i - 1].text == "open"
                runs = "IO" in parts and (len(parts) > 1 or opened)
                runs |= any(re.match("unsafe[A-Z]", part) for part in parts)
                if _TRICKS.isdisjoint(parts) and not runs:
                    continue
                reason = f"`{text}` is not allowed in a proof"
        elif text == "`" and _follows(tokens, i, "symbol", "("):
            reason = "syntax in quotes (`` `(...) ``) is not allowed in a proof"
        elif text == "@" and _follows(tokens, i, "symbol", "["):
            reason = "attributes (`@[`) are not allowed in a proof"
        elif text == "#" and _follows(tokens, i, "name"):
            if not _HASH_COMMANDS.match(tokens[i + 1].text):
                continue
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


def _opens_here(proof: str, tokens: list[Token], i: int) -> bool:
    """Is token i the `open` or `scoped` of `open A B in` on one line? That opens namespaces only
    for what follows it, also where Lean reads it as a command."""
    i -= tokens[i].text == "scoped"
    end = next((t for t in tokens[i + 1 :] if t.kind != "name" or t.text == "in"), None)
    if end is None or tokens[i].text != "open" or end.text != "in":
        return False
    return "\n" not in proof[tokens[i].start : end.start]


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
