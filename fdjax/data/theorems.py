"""Theorems: the contract that every other part speaks, and files of them."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Theorem:
    """A statement to prove. Everything here is trusted text of ours, never a model's.

    The Lean text is `{context}\n\ntheorem {name} {signature} := {proof}`.
    """

    id: str
    name: str
    signature: str  # binders, colon, type: "(p q : Prop) (h : p ∧ q) : q ∧ p"
    imports: tuple[str, ...] = ()  # modules beyond Lean's Init: the key of the farm's pools
    context: str = ""  # trusted options, opens, definitions before the theorem
    goal: str | None = None  # the initial goal as Lean prints it: "h : p ∧ q\n⊢ q ∧ p"
    reference: str | None = None  # a known proof: what follows `:=`
    informal: str | None = None
    split: str | None = None
    tags: tuple[str, ...] = ()
