prelude
import FdLogic
/-!
Natural numbers: the lemmas of core's Init.Prelude, Init.Core and Init.Data.Nat.Basic that a prover
expects, under core's names and with core's signatures.
-/
set_option autoImplicit true
namespace Nat

@[simp] theorem add_zero (n : Nat) : n + 0 = n := rfl
@[simp] protected theorem zero_add : (n : Nat) → 0 + n = n
  | 0 => rfl
  | n + 1 => congrArg succ (Nat.zero_add n)
theorem succ_add : (n m : Nat) → succ n + m = succ (n + m)
  | _, 0 => rfl
  | n, m + 1 => congrArg succ (succ_add n m)
theorem add_succ (n m : Nat) : n + succ m = succ (n + m) := rfl
protected theorem add_comm : (n m : Nat) → n + m = m + n
  | n, 0 => (Nat.zero_add n).symm
  | n, m + 1 => (congrArg succ (Nat.add_comm n m)).trans (succ_add m n).symm
end Nat
