prelude
import FdNat
/-!
More of core's arithmetic on Nat: subtraction, minimum and maximum, the lemmas that the compiled
simprocs (`Nat.reduceAdd` and its kin) build proofs from, and the `@[simp]` marks.
-/
set_option autoImplicit true
namespace Nat

protected theorem sub_zero (n : Nat) : n - 0 = n := rfl
theorem sub_succ (n m : Nat) : n - succ m = pred (n - m) := rfl
theorem succ_sub_succ_eq_sub (n m : Nat) : succ n - succ m = n - m := by
  induction m with
  | zero => rfl
  | succ m ih => exact congrArg pred ih
theorem succ_sub_succ (n m : Nat) : succ n - succ m = n - m := succ_sub_succ_eq_sub n m
theorem add_sub_add_right_one (n m : Nat) : n + 1 - (m + 1) = n - m := succ_sub_succ_eq_sub n m
theorem succ_sub_one (n : Nat) : succ n - 1 = n := rfl
protected theorem add_one_sub_one (n : Nat) : n + 1 - 1 = n := rfl
theorem pred_le : (n : Nat) → pred n ≤ n
  | 0 => le_refl 0
  | n + 1 => le_succ n
theorem pred_lt : {n : Nat} → n ≠ 0 → pred n < n
  | 0, h => absurd rfl h
  | n + 1, _ => lt_succ_self n
theorem sub_one_lt {n : Nat} (h : n ≠ 0) : n - 1 < n := pred_lt h
theorem pred_lt_of_lt {n m : Nat} (h : m < n) : pred n < n := pred_lt (ne_zero_of_lt h)
theorem sub_le (n m : Nat) : n - m ≤ n := by
  induction m with
  | zero => exact le_refl n
  | succ m ih => exact Nat.le_trans (pred_le (n - m)) ih
theorem sub_lt : {n m : Nat} → 0 < n → 0 < m → n - m < n
  | _ + 1, m + 1, _, _ => by
    rw [succ_sub_succ]; exact lt_succ_of_le (sub_le _ m)
theorem sub_succ_lt_self {a i : Nat} (h : i < a) : a - (i + 1) < a - i := by
  induction i generalizing a with
  | zero => exact pred_lt (ne_zero_of_lt h)
  | succ i ih => cases a with
    | zero => exact absurd h (not_lt_zero _)
    | succ a => rw [succ_sub_succ, succ_sub_succ]; exact ih (lt_of_succ_lt_succ h)
protected theorem sub_self (n : Nat) : n - n = 0 := by
  induction n with
  | zero => rfl
  | succ n ih => rw [succ_sub_succ, ih]
protected theorem zero_sub (n : Nat) : 0 - n = 0 := by
  induction n with
  | zero => rfl
  | succ n ih => rw [sub_succ, ih]; rfl
theorem sub_add_eq (a b c : Nat) : a - (b + c) = a - b - c := by
  induction c with
  | zero => rfl
  | succ c ih => exact congrArg pred ih
protected theorem sub_sub (n m k : Nat) : n - m - k = n - (m + k) := (sub_add_eq n m k).symm
protected theorem add_sub_add_right (n k m : Nat) : (n + k) - (m + k) = n - m := by
  induction k with
  | zero => rfl
  | succ k ih => rw [← Nat.add_assoc, ← Nat.add_assoc, add_sub_add_right_one, ih]
protected theorem add_sub_add_left (k n m : Nat) : (k + n) - (k + m) = n - m := by
  rw [Nat.add_comm k n, Nat.add_comm k m, Nat.add_sub_add_right]
protected theorem add_sub_cancel (n m : Nat) : n + m - m = n := by
  have h := Nat.add_sub_add_right n m 0
  rw [Nat.zero_add] at h
  exact h
protected theorem add_sub_cancel_left (n m : Nat) : n + m - n = m := by
  rw [Nat.add_comm, Nat.add_sub_cancel]
protected theorem sub_add_cancel {n m : Nat} (h : m ≤ n) : n - m + m = n := by
  cases le.dest h with
  | intro k hk => rw [← hk, Nat.add_sub_cancel_left, Nat.add_comm]
protected theorem add_sub_cancel' {n m : Nat} (h : m ≤ n) : m + (n - m) = n := by
  rw [Nat.add_comm, Nat.sub_add_cancel h]
protected theorem add_sub_of_le {a b : Nat} (h : a ≤ b) : a + (b - a) = b := Nat.add_sub_cancel' h
protected theorem add_sub_assoc {m k : Nat} (h : k ≤ m) (n : Nat) : n + m - k = n + (m - k) := by
  cases le.dest h with
  | intro w hw => rw [← hw, Nat.add_sub_cancel_left, Nat.add_left_comm, Nat.add_sub_cancel_left]
protected theorem sub_eq_zero_of_le {n m : Nat} (h : n ≤ m) : n - m = 0 := by
  cases le.dest h with
  | intro w hw => rw [← hw, sub_add_eq, Nat.sub_self, Nat.zero_sub]
protected theorem le_of_sub_eq_zero : {n m : Nat} → n - m = 0 → n ≤ m
  | 0, m, _ => zero_le m
  | n + 1, 0, h => absurd h (succ_ne_zero n)
  | n + 1, m + 1, h => succ_le_succ (Nat.le_of_sub_eq_zero (by rw [succ_sub_succ] at h; exact h))
protected theorem sub_eq_zero_iff_le {n m : Nat} : n - m = 0 ↔ n ≤ m :=
  ⟨Nat.le_of_sub_eq_zero, Nat.sub_eq_zero_of_le⟩
protected theorem sub_pos_of_lt {m n : Nat} (h : m < n) : 0 < n - m :=
  Nat.pos_of_ne_zero fun e => Nat.not_le_of_gt h (Nat.le_of_sub_eq_zero e)
protected theorem sub_le_of_le_add {a b c : Nat} (h : a ≤ c + b) : a - b ≤ c :=
  (Nat.le_total b a).elim
    (fun hb => Nat.le_of_add_le_add_right (b := b) (by rw [Nat.sub_add_cancel hb]; exact h))
    (fun hb => by rw [Nat.sub_eq_zero_of_le hb]; exact zero_le c)
protected theorem le_add_of_sub_le {a b c : Nat} (h : a - b ≤ c) : a ≤ c + b :=
  (Nat.le_total b a).elim
    (fun hb => by rw [← Nat.sub_add_cancel hb]; exact Nat.add_le_add_right h b)
    (fun hb => Nat.le_trans hb (le_add_left b c))
protected theorem sub_le_iff_le_add {a b c : Nat} : a - b ≤ c ↔ a ≤ c + b :=
  ⟨Nat.le_add_of_sub_le, Nat.sub_le_of_le_add⟩
protected theorem le_sub_of_add_le {a b c : Nat} (h : a + b ≤ c) : a ≤ c - b := by
  have hb : b ≤ c := Nat.le_trans (le_add_left b a) h
  exact Nat.le_of_add_le_add_right (b := b) (by rw [Nat.sub_add_cancel hb]; exact h)
protected theorem add_le_of_le_sub {a b c : Nat} (hle : b ≤ c) (h : a ≤ c - b) : a + b ≤ c := by
  rw [← Nat.sub_add_cancel hle]; exact Nat.add_le_add_right h b
protected theorem le_sub_iff_add_le {x y k : Nat} (h : k ≤ y) : x ≤ y - k ↔ x + k ≤ y :=
  ⟨Nat.add_le_of_le_sub h, Nat.le_sub_of_add_le⟩
protected theorem sub_eq_iff_eq_add {a b c : Nat} (h : b ≤ a) : a - b = c ↔ a = c + b :=
  ⟨fun e => by rw [← e, Nat.sub_add_cancel h], fun e => by rw [e, Nat.add_sub_cancel]⟩
theorem succ_sub {m n : Nat} (h : n ≤ m) : succ m - n = succ (m - n) := by
  cases le.dest h with
  | intro k hk => rw [← hk, Nat.add_sub_cancel_left, ← add_succ, Nat.add_sub_cancel_left]

-- < and ≤ under ¬, as propositions
theorem not_le_eq (a b : Nat) : (¬a ≤ b) = (b + 1 ≤ a) := propext Nat.not_le
theorem not_ge_eq (a b : Nat) : (¬a ≥ b) = (a + 1 ≤ b) := propext Nat.not_le
theorem not_lt_eq (a b : Nat) : (¬a < b) = (b ≤ a) := propext Nat.not_lt
theorem not_gt_eq (a b : Nat) : (¬a > b) = (a ≤ b) := propext Nat.not_lt

-- min and max
protected theorem min_def {n m : Nat} : min n m = if n ≤ m then n else m := rfl
protected theorem max_def {n m : Nat} : max n m = if n ≤ m then m else n := rfl
protected theorem le_max_left (a b : Nat) : a ≤ max a b := by
  rw [Nat.max_def]
  by_cases h : a ≤ b
  · rw [if_pos h]; exact h
  · rw [if_neg h]; exact le_refl a
protected theorem le_max_right (a b : Nat) : b ≤ max a b := by
  rw [Nat.max_def]
  by_cases h : a ≤ b
  · rw [if_pos h]; exact le_refl b
  · rw [if_neg h]; exact Nat.le_of_not_le h
protected theorem min_le_left (a b : Nat) : min a b ≤ a := by
  rw [Nat.min_def]
  by_cases h : a ≤ b
  · rw [if_pos h]; exact le_refl a
  · rw [if_neg h]; exact Nat.le_of_not_le h
protected theorem min_le_right (a b : Nat) : min a b ≤ b := by
  rw [Nat.min_def]
  by_cases h : a ≤ b
  · rw [if_pos h]; exact h
  · rw [if_neg h]; exact le_refl b

-- ∣
protected theorem dvd_refl (a : Nat) : a ∣ a := ⟨1, (Nat.mul_one a).symm⟩
protected theorem dvd_zero (a : Nat) : a ∣ 0 := ⟨0, rfl⟩
protected theorem one_dvd (n : Nat) : 1 ∣ n := ⟨n, (Nat.one_mul n).symm⟩
protected theorem dvd_mul_left (a b : Nat) : a ∣ b * a := ⟨b, Nat.mul_comm b a⟩
protected theorem dvd_mul_right (a b : Nat) : a ∣ a * b := ⟨b, rfl⟩
protected theorem dvd_trans {a b c : Nat} (h₁ : a ∣ b) (h₂ : b ∣ c) : a ∣ c :=
  match h₁, h₂ with
  | ⟨d, hd⟩, ⟨e, he⟩ => ⟨d * e, by rw [he, hd, Nat.mul_assoc]⟩
protected theorem dvd_add {m n k : Nat} (h₁ : k ∣ m) (h₂ : k ∣ n) : k ∣ m + n :=
  match h₁, h₂ with
  | ⟨d, hd⟩, ⟨e, he⟩ => ⟨d + e, by rw [hd, he, Nat.mul_add]⟩
protected theorem eq_zero_of_zero_dvd {a : Nat} (h : 0 ∣ a) : a = 0 :=
  h.elim fun c hc => hc.trans (Nat.zero_mul c)

-- / and %: the definitions count down a fuel, which the first four lemmas take away
theorem div_mod_go (m : Nat) : (fuel n : Nat) → n ≤ fuel →
    m * Nat.div.go m fuel n + Nat.modCore.go m fuel n = n ∧ (0 < m → Nat.modCore.go m fuel n < m)
  | 0, n, h => by
    cases eq_zero_of_le_zero h
    exact ⟨rfl, id⟩
  | fuel + 1, n, h => by
    by_cases hm : 1 ≤ m ∧ m ≤ n
    · have hn : n - m ≤ fuel :=
        le_of_lt_succ (Nat.lt_of_lt_of_le (sub_lt (Nat.lt_of_lt_of_le hm.1 hm.2) hm.1) h)
      have ih := div_mod_go m fuel (n - m) hn
      have hc : and (Nat.ble 1 m) (Nat.ble m n) = true := by
        rw [ble_eq_true_of_le hm.1, ble_eq_true_of_le hm.2]; rfl
      show m * cond (and (Nat.ble 1 m) (Nat.ble m n)) _ _ + cond (and (Nat.ble 1 m) (Nat.ble m n)) _ _ = n
        ∧ (0 < m → cond (and (Nat.ble 1 m) (Nat.ble m n)) _ _ < m)
      rw [hc]
      refine ⟨?_, ih.2⟩
      show m * Nat.div.go m fuel (n - m) + m + Nat.modCore.go m fuel (n - m) = n
      rw [Nat.add_right_comm, ih.1, Nat.sub_add_cancel hm.2]
    · have hc : and (Nat.ble 1 m) (Nat.ble m n) = false := by
        apply eq_false_of_ne_true
        intro e
        apply hm
        cases e₁ : Nat.ble 1 m with
        | false => rw [e₁] at e; exact Bool.noConfusion e
        | true => rw [e₁] at e; exact ⟨le_of_ble_eq_true e₁, le_of_ble_eq_true e⟩
      show m * cond (and (Nat.ble 1 m) (Nat.ble m n)) _ _ + cond (and (Nat.ble 1 m) (Nat.ble m n)) _ _ = n
        ∧ (0 < m → cond (and (Nat.ble 1 m) (Nat.ble m n)) _ _ < m)
      rw [hc]
      exact ⟨Nat.zero_add n, fun h0 => gt_of_not_le fun h1 => hm ⟨h0, h1⟩⟩
theorem div_add_mod (m n : Nat) : n * (m / n) + m % n = m := (div_mod_go n m m (le_refl m)).1
theorem mod_add_div (m k : Nat) : m % k + k * (m / k) = m := by rw [Nat.add_comm, div_add_mod]
theorem mod_lt (x : Nat) {y : Nat} (h : y > 0) : x % y < y := (div_mod_go y x x (le_refl x)).2 h
theorem mod_le (x y : Nat) : x % y ≤ x := by
  have := div_add_mod x y
  exact Nat.le_trans (le_add_left _ _) (Nat.le_of_eq this)
theorem mod_eq_of_lt {a b : Nat} (h : a < b) : a % b = a := by
  have e := div_add_mod a b
  cases hq : a / b with
  | zero => rw [hq, Nat.mul_zero, Nat.zero_add] at e; exact e
  | succ q =>
    rw [hq] at e
    have : b ≤ a := by rw [← e]; exact le_add_right_of_le (le_add_left b (b * q))
    exact absurd h (Nat.not_lt_of_le this)
theorem zero_mod (b : Nat) : 0 % b = 0 := rfl
protected theorem zero_div (b : Nat) : 0 / b = 0 := rfl
theorem mod_zero (a : Nat) : a % 0 = a := by
  have e := div_add_mod a 0
  rw [Nat.zero_mul, Nat.zero_add] at e
  exact e
theorem mod_one (x : Nat) : x % 1 = 0 := eq_zero_of_le_zero (le_of_lt_succ (mod_lt x zero_lt_one))
protected theorem div_one (n : Nat) : n / 1 = n := by
  have e := div_add_mod n 1
  rw [mod_one, Nat.one_mul] at e
  exact e
theorem dvd_of_mod_eq_zero {k n : Nat} (h : n % k = 0) : k ∣ n :=
  ⟨n / k, by have e := div_add_mod n k; rw [h] at e; exact e.symm⟩
theorem mod_eq_zero_of_dvd {k n : Nat} (h : k ∣ n) : n % k = 0 := by
  cases h with
  | intro c hc =>
    cases eq_zero_or_pos k with
    | inl hk => rw [hc, hk, Nat.zero_mul]
    | inr hk =>
      have e := div_add_mod n k
      have hl := mod_lt n hk
      cases Nat.lt_or_ge (n / k) c with
      | inl hlt =>
        have h₁ : k * (n / k) + k ≤ k * c := by rw [← mul_succ]; exact Nat.mul_le_mul_left k hlt
        have h₂ : n < k * (n / k) + k := by
          have := Nat.add_lt_add_left hl (k * (n / k))
          rw [e] at this
          exact this
        exact absurd (Nat.lt_of_lt_of_le h₂ h₁) (by rw [hc]; exact Nat.lt_irrefl _)
      | inr hge =>
        have h₁ : n ≤ k * (n / k) := by
          have := Nat.mul_le_mul_left k hge
          rw [← hc] at this
          exact this
        have h₂ : k * (n / k) + n % k ≤ k * (n / k) + 0 := by rw [e]; exact h₁
        exact eq_zero_of_le_zero (Nat.le_of_add_le_add_left h₂)
theorem dvd_iff_mod_eq_zero {k n : Nat} : k ∣ n ↔ n % k = 0 := ⟨mod_eq_zero_of_dvd, dvd_of_mod_eq_zero⟩
theorem dvd_eq_true_of_mod_eq_zero {m n : Nat} (h : n % m == 0) : (m ∣ n) = True :=
  eq_true (dvd_of_mod_eq_zero (eq_of_beq h))
theorem dvd_eq_false_of_mod_ne_zero {m n : Nat} (h : n % m != 0) : (m ∣ n) = False :=
  eq_false fun hd => bne_iff_ne.1 h (mod_eq_zero_of_dvd hd)
instance decidable_dvd : DecidableRel (α := Nat) (β := Nat) (· ∣ ·) :=
  fun _ _ => decidable_of_iff _ dvd_iff_mod_eq_zero.symm
theorem mul_mod_right (x z : Nat) : x * z % x = 0 := mod_eq_zero_of_dvd ⟨z, rfl⟩
theorem mul_mod_left (x z : Nat) : x * z % z = 0 := mod_eq_zero_of_dvd ⟨x, Nat.mul_comm x z⟩
theorem mod_self (n : Nat) : n % n = 0 := mod_eq_zero_of_dvd (Nat.dvd_refl n)
theorem mul_div_cancel (m : Nat) {n : Nat} (h : 0 < n) : m * n / n = m := by
  have e := div_add_mod (m * n) n
  rw [mul_mod_left, Nat.add_zero, Nat.mul_comm m n] at e
  rw [Nat.mul_comm m n]
  exact Nat.le_antisymm (ge_of_not_lt fun hl => Nat.lt_irrefl (n * m)
      (Nat.lt_of_lt_of_le (Nat.lt_of_lt_of_le (Nat.lt_add_right 0 (by
        have := Nat.mul_le_mul_left n hl
        rw [mul_succ] at this
        exact Nat.lt_of_lt_of_le (Nat.add_lt_add_left h (n * m)) this)) (le_refl _)) (by rw [Nat.add_zero, e]; exact le_refl _)))
    (ge_of_not_lt fun hl => Nat.lt_irrefl (n * m) (by
      have := Nat.mul_le_mul_left n hl
      rw [mul_succ, e] at this
      exact Nat.lt_of_lt_of_le (Nat.add_lt_add_left h (n * m)) this))
theorem pow_pos {a n : Nat} (h : 0 < a) : 0 < a ^ n := by
  induction n with
  | zero => exact zero_lt_one
  | succ n ih => exact Nat.mul_pos ih h

-- bounded quantifiers are decided by trying
instance decidableBallLT : ∀ (n : Nat) (P : ∀ k, k < n → Prop) [∀ n h, Decidable (P n h)],
    Decidable (∀ n h, P n h)
  | 0, _, _ => isTrue fun _ h => absurd h (not_lt_zero _)
  | n + 1, P, H =>
    match decidableBallLT n fun k h => P k (lt.step h) with
    | isFalse h => isFalse fun f => h fun k hk => f k (lt.step hk)
    | isTrue h =>
      match H n (lt_succ_self n) with
      | isFalse p => isFalse fun f => p (f n _)
      | isTrue p => isTrue fun m hm => (Nat.lt_or_eq_of_le (le_of_lt_succ hm)).elim
          (fun h' => h m h') fun e => by cases e; exact p
instance decidableBallLE (n : Nat) (P : ∀ k, k ≤ n → Prop) [∀ n h, Decidable (P n h)] :
    Decidable (∀ n h, P n h) :=
  decidable_of_iff (∀ k (h : k < n + 1), P k (le_of_lt_succ h))
    ⟨fun f k h => f k (lt_succ_of_le h), fun f k h => f k (le_of_lt_succ h)⟩

instance : Trans (α := Nat) (β := Nat) (γ := Nat) (· < ·) (· < ·) (· < ·) := ⟨Nat.lt_trans⟩
instance : Trans (α := Nat) (β := Nat) (γ := Nat) (· ≤ ·) (· ≤ ·) (· ≤ ·) := ⟨Nat.le_trans⟩
instance : Trans (α := Nat) (β := Nat) (γ := Nat) (· < ·) (· ≤ ·) (· < ·) := ⟨Nat.lt_of_lt_of_le⟩
instance : Trans (α := Nat) (β := Nat) (γ := Nat) (· ≤ ·) (· < ·) (· < ·) := ⟨Nat.lt_of_le_of_lt⟩

namespace Simproc
theorem sub_add_eq_comm (a b c : Nat) : a - (b + c) = a - c - b := by rw [Nat.add_comm, sub_add_eq]
theorem add_sub_add_le (a c : Nat) {b d : Nat} (h : b ≤ d) : a + b - (c + d) = a - (c + (d - b)) := by
  cases le.dest h with
  | intro k hk => rw [← hk, Nat.add_sub_cancel_left, Nat.add_comm b k, ← Nat.add_assoc, Nat.add_sub_add_right]
theorem add_sub_add_ge (a c : Nat) {b d : Nat} (h : b ≥ d) : a + b - (c + d) = a + (b - d) - c := by
  rw [Nat.add_comm c d, sub_add_eq, Nat.add_sub_assoc h]
theorem add_sub_le (a : Nat) {b c : Nat} (h : b ≤ c) : a + b - c = a - (c - b) := by
  have := add_sub_add_le a 0 h
  rw [Nat.zero_add, Nat.zero_add] at this
  exact this
theorem add_eq_gt (a : Nat) {b c : Nat} (h : b > c) : (a + b = c) = False :=
  eq_false fun e => Nat.lt_irrefl c (Nat.lt_of_lt_of_le h (e ▸ le_add_left b a))
theorem eq_add_gt (a : Nat) {b c : Nat} (h : c > a) : (a = b + c) = False :=
  eq_false fun e => of_eq_false (add_eq_gt b h) e.symm
theorem add_eq_add_le (a c : Nat) {b d : Nat} (h : b ≤ d) : (a + b = c + d) = (a = c + (d - b)) := by
  rw [← Nat.sub_add_cancel h, Nat.add_sub_cancel, ← Nat.add_assoc]
  exact propext Nat.add_right_cancel_iff
theorem add_eq_add_ge (a c : Nat) {b d : Nat} (h : b ≥ d) : (a + b = c + d) = (a + (b - d) = c) :=
  propext ⟨fun e => ((add_eq_add_le c a h).mp e.symm).symm,
    fun e => ((add_eq_add_le c a h).mpr e.symm).symm⟩
theorem add_eq_le (a : Nat) {b c : Nat} (h : b ≤ c) : (a + b = c) = (a = c - b) := by
  have := add_eq_add_le a 0 h
  rw [Nat.zero_add, Nat.zero_add] at this
  exact this
theorem eq_add_le {a : Nat} (b : Nat) {c : Nat} (h : c ≤ a) : (a = b + c) = (b = a - c) :=
  propext (eq_comm.trans (iff_of_eq (add_eq_le b h)))
theorem beqEqOfEqEq {a b c d : Nat} (p : (a = b) = (c = d)) : (a == b) = (c == d) := by
  by_cases h : c = d
  · rw [beq_of_eq h, beq_of_eq (p.mpr h)]
  · rw [beq_eq_false_iff_ne.2 h, beq_eq_false_iff_ne.2 (fun e => h (p.mp e))]
theorem beqFalseOfEqFalse {a b : Nat} (p : (a = b) = False) : (a == b) = false :=
  beq_eq_false_iff_ne.2 (of_eq_false p)
theorem bneEqOfEqEq {a b c d : Nat} (p : (a = b) = (c = d)) : (a != b) = (c != d) :=
  congrArg _ (beqEqOfEqEq p)
theorem bneTrueOfEqFalse {a b : Nat} (p : (a = b) = False) : (a != b) = true := bne_iff_ne.2 (of_eq_false p)
theorem add_le_add_le (a c : Nat) {b d : Nat} (h : b ≤ d) : (a + b ≤ c + d) = (a ≤ c + (d - b)) := by
  rw [← Nat.sub_add_cancel h, Nat.add_sub_cancel, ← Nat.add_assoc]
  exact propext Nat.add_le_add_iff_right
theorem add_le_add_ge (a c : Nat) {b d : Nat} (h : b ≥ d) : (a + b ≤ c + d) = (a + (b - d) ≤ c) := by
  rw [← Nat.sub_add_cancel h, Nat.add_sub_cancel, ← Nat.add_assoc]
  exact propext Nat.add_le_add_iff_right
theorem add_le_le (a : Nat) {b c : Nat} (h : b ≤ c) : (a + b ≤ c) = (a ≤ c - b) :=
  propext (Nat.le_sub_iff_add_le h).symm
theorem add_le_gt (a : Nat) {b c : Nat} (h : b > c) : (a + b ≤ c) = False :=
  eq_false fun h' => Nat.not_le_of_gt h (Nat.le_trans (le_add_left b a) h')
theorem le_add_le (a : Nat) {b c : Nat} (h : a ≤ c) : (a ≤ b + c) = True :=
  eq_true (Nat.le_trans h (le_add_left c b))
set_option linter.unusedVariables false in
theorem le_add_ge {a : Nat} (b : Nat) {c : Nat} (h : a ≥ c) : (a ≤ b + c) = (a - c ≤ b) :=
  propext Nat.sub_le_iff_le_add.symm
end Simproc
end Nat

protected theorem Prod.ext : {p q : α × β} → p.fst = q.fst → p.snd = q.snd → p = q
  | (_, _), (_, _), rfl, rfl => rfl

attribute [simp] Nat.zero_mod Nat.zero_div Nat.mod_one Nat.div_one Nat.mod_self Nat.mod_zero
  Nat.mul_mod_right Nat.mul_mod_left Nat.add_zero Nat.zero_add Nat.mul_zero Nat.zero_mul Nat.mul_one Nat.one_mul
  Nat.zero_eq Nat.add_eq Nat.mul_eq Nat.sub_eq Nat.lt_eq Nat.le_eq Nat.succ_eq_add_one Nat.le_refl
  Nat.zero_le Nat.lt_irrefl Nat.not_lt_zero Nat.not_le Nat.not_lt Nat.sub_zero Nat.sub_self
  Nat.zero_sub Nat.le_zero_eq Nat.succ_ne_self Nat.add_eq_zero_iff Nat.lt_add_one Nat.le_add_right
  Nat.le_add_left Nat.add_sub_cancel Nat.add_sub_cancel_left Nat.add_left_cancel_iff
  Nat.add_right_cancel_iff Nat.pred_succ Nat.pred_zero Nat.pow_zero Nat.zero_lt_succ Nat.succ_ne_zero
  Nat.add_one_ne_zero Nat.zero_lt_one Nat.not_add_one_le_zero Nat.succ_sub_succ_eq_sub Nat.dvd_refl
  Nat.dvd_zero Nat.one_dvd Nat.dvd_mul_left Nat.dvd_mul_right Nat.add_le_add_iff_left
  Nat.add_le_add_iff_right Nat.add_lt_add_iff_left Nat.add_lt_add_iff_right Nat.mul_eq_zero
  Nat.le_max_left Nat.le_max_right Nat.min_le_left Nat.min_le_right Nat.sub_le
