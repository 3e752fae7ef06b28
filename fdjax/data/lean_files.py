"""The theorems of a Lean file: each with what the file has before it as its context.

What a file leaves as `sorry` can stand in no context, since no proof after it would count. A
placeholder `abbrev NAME_solution : TYPE := sorry` takes the answer in the comment below it, as
PutnamBench publishes it.
"""

import collections
import re
import textwrap
from collections.abc import Sequence
from typing import NamedTuple

from fdjax.data.dedup import Dropped
from fdjax.lean.audit import word_set
from fdjax.lean.source import Command, names_in, read_commands
from fdjax.lean.statements import is_hole, lexemes, split_proof
from fdjax.types import Theorem

_THEOREMS = ("theorem", "lemma", "problem", "example")
_DATA = ("def", "abbrev", "instance")
_SCOPES = ("namespace", "section", "mutual")
_NOT_OURS = ("#", "module", "prelude")  # what prints, and what only a whole file can be
_SOLUTION = re.compile("solution|answer", re.I)
# What a proof after our `:=` cannot hold, or is no proof.
_NO_REFERENCE = word_set("sorry admit termination_by decreasing_by where")


class _Kept(NamedTuple):
    """A command that may stand in a context."""

    command: Command
    names: frozenset[str]  # all names in its text
    asked: str | None  # stays only where this is named; None: it always stays


def theorems_in(text: str, answer: str | None = None) -> list[Theorem | Dropped]:
    """The statements of a Lean file or of a part of one, in order.

    A theorem's id is its name with its namespaces. A proof in the file becomes its reference; it
    stays in the context of later ones where they, or what stays there, name it. A `def` whose value
    is left as `sorry` and that no later command names asks for data: it becomes the theorem that
    its type is `Nonempty`, which is proved by giving the data. `answer`: of a placeholder that has
    none in the text.

    Raises ValueError for text that is no Lean 4, and for an import after other commands.
    """
    commands = [_answered(c, answer) for c in read_commands(text)]
    imports, commands = _imports(commands)
    found: list[Theorem | Dropped] = []
    context: list[_Kept] = []
    namespaces: list[str] = []
    left: dict[str, str] = {}  # name of what is in no context -> why no statement may use it, or ""
    lost = ""  # why all that follows is refused
    open_ = any(c.keyword in _THEOREMS and _is_open(c) for c in commands)
    names = [names_in(c.text) for c in commands]
    others = [i for i, c in enumerate(commands) if c.keyword not in _THEOREMS]
    # name -> the last command that names it; the last one that is no theorem
    last_use = {name: i for i, used in enumerate(names) for name in used}
    last_other = {name: i for i in others for name in names[i]}
    nameless: collections.Counter[str] = collections.Counter()
    for i, (command, used) in enumerate(zip(commands, names, strict=True)):
        keyword, last = command.keyword, _last(command.name)
        nameless[keyword] += not command.name
        if keyword in _SCOPES:
            namespaces.append(command.name if keyword == "namespace" else "")
        elif keyword == "end" and namespaces:
            namespaces.pop()
        exercise = keyword in _DATA and _is_open(command) and last_use.get(last, i) <= i
        exercise = exercise and not _SOLUTION.search(command.name)
        # beside theorems to prove, a lemma with its proof is a tool, and so is what definitions use
        tool = keyword == "lemma" or last_other.get(last, i) > i
        tool = tool and open_ and not _is_open(command)
        if exercise or (keyword in _THEOREMS and not tool):
            name = command.name or f"{keyword}_{nameless[keyword]}"
            full = ".".join([*filter(None, namespaces), name]).split("_root_.")[-1]
            try:
                found.append(_theorem(command, name, full, imports, context, left, lost))
            except ValueError as error:
                found.append(Dropped(full, str(error)))
        gone = _gone(left, used)
        reason = next((left[name] for name in gone if left[name]), "")
        if "sorry" in lexemes(command.text):
            reason = f"{command.name or keyword} is left as `sorry`"
            if keyword in _DATA and _SOLUTION.search(command.name):
                reason = f"{command.name} has no published answer"
        if not reason and not (gone and (command.name or keyword == "attribute")):
            # tactics find theorems with an attribute without a name
            idle = keyword in _THEOREMS and "@[" not in command.before
            _add(context, _Kept(command, used, last if idle else None))
        elif keyword in _THEOREMS or exercise:
            left.setdefault(last, "")
        elif command.name:
            left[last] = reason
        elif reason:
            lost = lost or f"`{keyword}` before it cannot be kept: {reason}"
    return found


def _theorem(
    command: Command,
    name: str,
    full_name: str,
    imports: tuple[str, ...],
    context: Sequence[_Kept],
    left: dict[str, str],
    lost: str,
) -> Theorem:
    parts = split_proof(command.rest)
    signature = parts.signature
    if command.keyword in _DATA:
        kind = signature[parts.colon + 1 :].strip()
        signature = f"{signature[: parts.colon].rstrip()} : Nonempty ({kind})".lstrip()
    used = names_in(signature)
    if reason := lost or next((left[n] for n in _gone(left, used) if left[n]), ""):
        raise ValueError(reason)
    reference = _reference(parts.proof, left)
    before = _needed(context, used | names_in(reference or ""))
    scope = command.scope
    text = "".join([c.gap + c.text for c in before] + [command.gap + scope] * bool(scope))
    return Theorem(
        id=full_name,
        name=name,
        signature=signature,
        imports=imports,
        context=re.sub(r"\n\s*\n", "\n\n", text).strip("\n"),
        reference=reference,
        informal=command.doc,
    )


def _reference(proof: str | None, left: dict[str, str]) -> str | None:
    """What follows `:=`, with a tactic proof on lines of its own; None if it is no whole proof."""
    if proof is None or is_hole(proof) or proof.startswith("|"):
        return None
    if not _NO_REFERENCE.isdisjoint(lexemes(proof)) or _gone(left, names_in(proof)):
        return None
    proof = re.sub(r"^\s+(?=by\s)", " ", proof)
    lines = [line.rstrip() for line in proof.splitlines() if line.strip()]
    if len(lines) == 1:
        return re.sub(r"^\s*by\s+", " by\n  ", proof.rstrip())
    return ("\n" if not proof.split("\n")[0].strip() else "") + "\n".join(lines)


def _answered(command: Command, answer: str | None) -> Command:
    if command.keyword not in _DATA or not _SOLUTION.search(command.name) or not _is_open(command):
        return command
    published = textwrap.dedent(command.below).strip() or (answer or "").strip()
    if not published:
        return command
    parts = split_proof(command.rest)
    layout = "\n" + textwrap.indent(published, "  ") if "\n" in published else " " + published
    gap = "" if parts.signature.startswith(".{") else " "
    return command._replace(rest=f"{gap}{parts.signature} :={layout}")


def _is_open(command: Command) -> bool:
    """Is its value, or its proof, left as `sorry`?"""
    try:
        parts = split_proof(command.rest)
    except ValueError:
        return False
    return is_hole(parts.proof) and (parts.proof is not None or command.keyword in _THEOREMS)


def _imports(commands: Sequence[Command]) -> tuple[tuple[str, ...], list[Command]]:
    """(modules imported, the other commands). Raises ValueError for a late import."""
    imports: dict[str, None] = {}
    others: list[Command] = []
    for command in commands:
        if command.keyword == "import":
            if others:
                raise ValueError(f"{command.text!r} stands after other commands")
            words = command.rest.split()
            imports |= dict.fromkeys(words[words[0] in ("all", "runtime") and len(words) > 1 :])
        elif not command.keyword.startswith(_NOT_OURS):
            others.append(command)
    return tuple(imports), others


def _gone(left: dict[str, str], used: frozenset[str]) -> list[str]:
    """The names of `left` that are in `used`, in the order of `left`."""
    gone = left.keys() & used
    return [name for name in left if name in gone] if gone else []


def _add(context: list[_Kept], kept: _Kept) -> None:
    """Appends it; a scope that ends empty goes."""
    if kept.command.keyword == "end" and context and context[-1].command.keyword in _SCOPES:
        context.pop()
    else:
        context.append(kept)


def _needed(context: Sequence[_Kept], used: frozenset[str]) -> list[Command]:
    """`context` without the theorems that neither `used` nor what stays names."""
    named = set(used)
    needed: list[_Kept] = []
    for kept in reversed(context):
        if kept.asked is None or kept.asked in named:
            named |= kept.names
            needed.append(kept)
    result: list[_Kept] = []
    for kept in reversed(needed):
        _add(result, kept)
    return [kept.command for kept in result]


def _last(name: str) -> str:
    return name.rpartition(".")[2]
