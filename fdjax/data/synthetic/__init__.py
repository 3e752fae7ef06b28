"""Provable theorems with reference proofs, made at random; a tactic interpreter; repair."""

from fdjax.data.synthetic.generator import FAMILIES, generate, splits

__all__ = ["FAMILIES", "generate", "splits"]
