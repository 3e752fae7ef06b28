"""Writes FdBorrowed.lean: declarations that bind core's notation and tactics to compiled code.

    python -m fdjax.lean.backends.embedded.borrow > fdjax/lean/backends/embedded/FdBorrowed.lean

The parsers, macros and unexpanders of Lean's standard notation are compiled into libleanshared; a
file without `Init` lacks only their declarations. An opaque constant of the same name with an
`extern` attribute (its argument is never used) makes Lean's interpreter take the compiled object.
For developers, on Linux: run it when the wheel changes.
"""

import ctypes
import re
import subprocess
import sys

from fdjax.lean.backends.embedded.process import lean_version, shared_library

HEADER = """\
prelude
import FdCore
/-!
Written by `borrow.py`; do not edit. Each line declares a parser, macro or unexpander of Lean 4 by
its name, and thereby binds to the object compiled into libleanshared: its code is Lean's own
(Copyright Microsoft Corporation, the Lean FRO and the Lean authors, Apache License 2.0,
https://github.com/leanprover/lean4). Found in: {version}.
-/

"""

# Syntax by category: core's kind names without their common prefix. Core's other syntax is a parse
# error, which is better than a tactic that parses and then fails because its lemmas are missing.
TERMS = """
term¬_ term_∧_ term_∨_ term_↔_ term_<->_ term_=_ term_≠_ term_≍_ term∃_,_ termExists_,_
Lean.term∃__,_ Lean.term∀__,_ Lean.termSatisfies_binder_pred%__
term_<_ term_≤_ term_<=_ term_>_ term_≥_ term_>=_ term_==_ term_!=_ term_&&_ term_||_ term!_
term_+_ term_-_ term_*_ term_/_ term_%_ term_^_ term-_ term_∣_ term_•_ term_⁻¹
term_&&&_ term_|||_ term_^^^_ term_<<<_ term_>>>_ term~~~_
term_∘_ term_×_ term_×'_ term_×__1 term_×'__1 term_⊕_ term_⊕'_ termΣ_,_ termΣ'_,_ term{_:_//_}
term_++_ term_::_ term[_] term%[_|_] term_<|_ term_|>_ term_$__ term‹_›
termIfThenElse termDepIfThenElse boolIfThenElse termWithout_expected_type_
term_∈_ term_∉_ term_⊆_ term_⊂_ term_⊇_ term_⊃_ term_∪_ term_∩_ term_\\_ term∅ term{} term{_}
Lean.calc
"""
BINDER_PREDICATES = """
binderPred<_ binderPred>_ binderPred≤_ binderPred≥_ binderPred≠_ binderPred∈_ binderPred∉_
binderPred⊆_ binderPred⊂_ binderPred⊇_ binderPred⊃_
"""
TACTICS = """
intro intros rintro exact apply refine refine' constructor left right tacticExfalso
assumption contradiction tacticTrivial tacticRfl tacticRfl' eqRefl applyRfl symm
rwSeq rewriteSeq rwa rwaAt simp simpAll simpa simpaUsingBang dsimp decide nativeDecide unfold delta
change show subst substVars substEqs injection injections specialize replace revert
cases induction rcases obtain case case' tacticNext_=>_ tacticExists_,, tacticHave__ tacticHave'
tacticHaveI__ tacticLet__ tacticLet'__ tacticLetI__ tacticSuffices_ tacticAnd_intros generalize
first tacticRepeat_ repeat' repeat1' tacticTry_ tactic_<;>_ paren allGoals anyGoals focus done skip
fail failIfSuccess rotateLeft rotateRight clear rename renameI classical split congr tacIfThenElse
tacDepIfThenElse tacticIterate____ tacticNofun tacticNomatch_,, tacticSorry tacticAdmit tacticStop_
tacticRefine_lift_ tacticRefine_lift'_ tacticInfer_instance acRfl exposeNames falseOrByContra
withReducible withReducibleAndInstances withUnfoldingAll tacticUnhygienic_ letrec
constructorBang traceState traceMessage
"""
TACTICS_ELSEWHERE = """
Lean.cdot Lean.calcTactic Lean.solveTactic tacticBy_cases_:_ tacticFunext___
tacticDecreasing_tactic tacticDecreasing_trivial tacticDecreasing_with_ tacticClean_wf tacticSimp_wf
"""
PATTERNS = {"rcasesPat": "one ignore clear explicit tuple paren", "rintroPat": "one binder"}
# Core's unexpanders that `notation` does not make: `Prod.mk a b` is printed as `(a, b)`.
UNEXPANDERS = {
    "Exists": "unexpandExists",
    "Sigma": "unexpandSigma",
    "PSigma": "unexpandPSigma",
    "Subtype": "unexpandSubtype",
    "ite": "unexpandIte",
    "List.nil": "unexpandListNil",
    "List.cons": "unexpandListCons",
    "Eq.ndrec": "unexpandEqNDRec",
    "Eq.rec": "unexpandEqRec",
    "Unit.unit": "unexpandUnit",
    "Prod.mk": "unexpandProdMk",
}
# Core modules whose macros and unexpanders are declared, in the order in which core loads them: of
# several macros for one syntax Lean tries the last one first.
MODULES = """
Init.Prelude Init.Notation Init.Tactics Init.Core Init.MetaTypes Init.Meta Init.NotationExtra
Init.TacticsExtra Init.BinderPredicates Init.Classical Init.ByCases Init.RCases Init.WFTactics
Init.PropLemmas Init.SimpLemmas Init.Data.List.Notation
"""
UNDECLARED = {"Functor.map", "Bind.bind", "HasEquiv.Equiv", "PSum"}  # constants that FdCore lacks


def mangle(name: str, prefix: str = "l_") -> str:
    """Lean's symbol for a declaration (its Name.mangle); `name` has dots between components."""

    def letter(c: str) -> str:
        if c.isascii() and c.isalnum():
            return c
        if c == "_":
            return "__"
        return f"_x{ord(c):02x}" if ord(c) < 256 else f"_u{ord(c):04x}"

    return prefix + "_".join("".join(map(letter, part)) for part in name.split("."))


def quoted(name: str) -> str:
    """A name as Lean source: components that are not identifiers between «»."""
    plain = re.compile(r"[A-Za-z_][A-Za-z0-9_'?!]*\Z")
    return ".".join(part if plain.match(part) else f"«{part}»" for part in name.split("."))


class Symbols:
    """The exported symbols of libleanshared, and the compiled syntax descriptions they name."""

    def __init__(self, path: str):
        listing = subprocess.run(
            ["nm", "-D", "--defined-only", path], check=True, text=True, capture_output=True
        ).stdout
        self.names = {line.split()[-1] for line in listing.splitlines()}
        self._library = ctypes.CDLL(path)
        self._library.lean_initialize()

    def is_trailing(self, name: str) -> bool:
        """Whether the ParserDescr `name` is an infix or postfix one, by its constructor's tag."""
        address = ctypes.c_uint64.in_dll(self._library, mangle(name)).value
        tag = ctypes.c_uint8.from_address(address + 7).value
        if tag not in (3, 4):  # node, trailingNode
            raise ValueError(f"{name} is not the description of a syntax node (tag {tag})")
        return tag == 4


def parser_lines(symbols: Symbols, category: str, names: list[str]) -> list[str]:
    lines = []
    for name in names:
        kind = "TrailingParserDescr" if symbols.is_trailing(name) else "ParserDescr"
        lines.append(f'@[{category}_parser, extern "fd"] opaque {quoted(name)} : Lean.{kind}')
    return lines


def auxiliary(symbols: Symbols, purpose: str) -> list[tuple[str, str]]:
    """(full name, its subject) of core's macros or unexpanders, in load order.

    Their names are like `_aux_Init_Notation___macroRules_term_∧__1`, in the namespace of the file.
    """
    found = []
    for order, module in enumerate(MODULES.split()):
        stem = f"_aux_{module.replace('.', '_')}___{purpose}_"
        pattern = re.compile(rf"l_((?:[A-Za-z]+_)*){re.escape(mangle(stem, ''))}(.+?)__(\d+)\Z")
        for symbol in symbols.names:
            if match := pattern.match(symbol):
                found.append((order, int(match[3]), match[1], match[2], stem))
    rows = []
    for _, number, namespace, subject, stem in sorted(found):
        subject = demangle_component(subject)
        rows.append((f"{namespace.replace('_', '.')}{stem}{subject}_{number}", subject))
    return rows


def demangle_component(symbol: str) -> str:
    """The inverse of `mangle` for one component of a name."""
    return re.sub(
        r"__|_x([0-9a-f]{2})|_u([0-9a-f]{4})",
        lambda m: "_" if m[0] == "__" else chr(int(m[1] or m[2], 16)),
        symbol,
    )


def main() -> None:
    symbols = Symbols(shared_library())
    tactics = ["Lean.Parser.Tactic." + name for name in TACTICS.split()] + TACTICS_ELSEWHERE.split()
    predicates = ["Lean." + name for name in BINDER_PREDICATES.split()]
    sections = {
        "Categories, before the parsers that refer to them": [
            f"declare_syntax_cat {category}" for category in (*PATTERNS, "binderPred")
        ],
        "Terms": parser_lines(symbols, "term", TERMS.split()),
        "Tactics": parser_lines(symbols, "tactic", tactics),
    }
    kinds = TERMS.split() + tactics
    for category, names in PATTERNS.items():
        names = [f"Lean.Parser.Tactic.{category}.{name}" for name in names.split()]
        sections[f"Patterns: {category}"] = parser_lines(symbols, category, names)
    sections["Binder predicates"] = parser_lines(symbols, "binderPred", predicates)
    # a macro's name holds its syntax kind with _ between the components
    by_subject = {kind.replace(".", "_"): kind for kind in kinds}
    sections["Macros"] = [
        f'@[macro {quoted(by_subject[subject])}, extern "fd"] opaque {quoted(name)} : Lean.Macro'
        for name, subject in auxiliary(symbols, "macroRules")
        if subject in by_subject
    ]
    unexpanders = [(s.replace("_", "."), name) for name, s in auxiliary(symbols, "unexpand")]
    sections["Unexpanders"] = [
        f'@[app_unexpander {constant}, extern "fd"] opaque {quoted(name)} :'
        " Lean.PrettyPrinter.Unexpander"
        for constant, name in [*unexpanders, *UNEXPANDERS.items()]
        if constant not in UNDECLARED
    ]
    text = HEADER.format(version=lean_version())
    for title, lines in sections.items():
        text += f"-- {title}\n" + "\n".join(lines) + "\n\n"
    sys.stdout.write(text.rstrip() + "\n")


if __name__ == "__main__":
    main()
