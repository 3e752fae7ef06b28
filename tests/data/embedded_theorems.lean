-- What embedded Lean can do: each theorem is a test. Ordinary Lean 4; entries end at blank lines.

-- Terms

theorem term_fun (p q : Prop) : p → q → p := fun hp _ => hp

theorem term_fun_maps_to (p q : Prop) : p → q → p := fun hp _ ↦ hp

theorem term_fun_pattern (p q : Prop) : p ∧ q → q ∧ p := fun ⟨hp, hq⟩ => ⟨hq, hp⟩

theorem term_fun_alternatives (p q : Prop) : p ∨ q → q ∨ p := fun
  | .inl h => .inr h
  | .inr h => .inl h

theorem term_anonymous_constructor (p q r : Prop) (hp : p) (hq : q) (hr : r) : p ∧ q ∧ r := ⟨hp, hq, hr⟩

theorem term_match (p q : Prop) (h : p ∨ q) : q ∨ p :=
  match h with
  | Or.inl hp => Or.inr hp
  | Or.inr hq => Or.inl hq

theorem term_projections (p q : Prop) (h : p ∧ q) : q ∧ p := ⟨h.2, h.1⟩

theorem term_field_notation (p q r : Prop) (h : p ∧ q → r) (hp : p) (hq : q) : r := h (And.intro hp hq)

theorem term_nomatch (p : Prop) (h : False) : p := nomatch h

theorem term_nofun (p : Prop) : False → p := nofun

theorem term_show (p : Prop) (hp : p) : p := show p from hp

theorem term_show_by (p : Prop) (hp : p) : p := show p by exact hp

theorem term_have (p q : Prop) (hp : p) (f : p → q) : q :=
  have hq : q := f hp
  hq

theorem term_let (p : Prop) (hp : p) : p ∧ p :=
  let h := hp
  ⟨h, h⟩

theorem term_suffices (p q : Prop) (hp : p) (f : p → q) : q :=
  suffices h : p from f h
  hp

theorem term_substitute (a b : Nat) (h : a = b) (h2 : a = 3) : b = 3 := h ▸ h2

theorem term_cdot (p q : Prop) (hp : p) : q → p ∧ q := (⟨hp, ·⟩)

theorem term_if (n : Nat) : (if n = n then 1 else 2) = 1 := if_pos rfl

theorem term_dependent_if (n : Nat) : (if _h : n = n then 1 else 2) = 1 := dif_pos rfl

theorem term_structural_recursion : ∀ n : Nat, 0 + n = n
  | 0 => rfl
  | n + 1 => congrArg Nat.succ (term_structural_recursion n)

theorem term_calc (a b c : Nat) (h₁ : a = b) (h₂ : b = c) : a = c :=
  calc a = b := h₁
    _ = c := h₂

theorem term_pipe (p q : Prop) (f : p → q) (hp : p) : q := f <| hp |> id

theorem term_dollar (p q r : Prop) (f : q → r) (g : p → q) (hp : p) : r := f $ g hp

theorem term_assumption_brackets (p : Prop) (_ : p) : p := ‹p›

theorem term_compose (p q r : Prop) (f : q → r) (g : p → q) : p → r := f ∘ g

theorem term_type_ascription : (2 : Nat) + 2 = 4 := (rfl : 2 + 2 = 4)

theorem term_explicit (p : Prop) (h : p) : p := @id p h

theorem term_pairs (a b : Nat) : (a, b).1 = a ∧ (a, b).2 = b := ⟨rfl, rfl⟩

theorem term_lists : [1, 2] = 1 :: 2 :: [] := rfl

theorem term_subtype : ∃ x : { n : Nat // n > 2 }, x.val = 3 := ⟨⟨3, by decide⟩, rfl⟩

theorem term_bool : (true && false) = false ∧ (true || false) = true ∧ (!true) = false := ⟨rfl, rfl, rfl⟩

theorem term_binder_predicates : ∀ x < 3, ∃ y > x, y ≤ 3 := fun x h => ⟨3, h, Nat.le_refl 3⟩

theorem term_exists_binders : ∃ a b : Nat, a + b = 5 := ⟨2, 3, rfl⟩

theorem term_ne (a b : Nat) (h : a ≠ b) : b ≠ a := fun e => h e.symm

theorem term_not (p : Prop) (h : p) : ¬¬p := fun hn => hn h

theorem term_iff (p q : Prop) (h : p ↔ q) : q ↔ p := ⟨h.mpr, h.mp⟩

theorem term_divides : 3 ∣ 12 := ⟨4, rfl⟩

theorem term_arithmetic : 7 / 2 = 3 ∧ 7 % 2 = 1 ∧ 7 - 9 = 0 ∧ 2 ^ 10 = 1024 := ⟨rfl, rfl, rfl, rfl⟩

-- Tactics

theorem tactic_intro (p q : Prop) : p → q → p := by
  intro hp hq
  exact hp

theorem tactic_intro_pattern (p q : Prop) : p ∧ q → p := by
  intro ⟨hp, _⟩
  exact hp

theorem tactic_intros (p q : Prop) : p → q → p := by
  intros hp hq
  exact hp

theorem tactic_rintro (p q r : Prop) : (p ∧ q) ∨ r → q ∨ r := by
  rintro (⟨-, hq⟩ | hr)
  · exact Or.inl hq
  · exact Or.inr hr

theorem tactic_apply (p q r : Prop) (f : p → q → r) (hp : p) (hq : q) : r := by
  apply f
  · exact hp
  · exact hq

theorem tactic_refine (p q : Prop) (hp : p) (hq : q) : p ∧ q := by
  refine ⟨?_, ?_⟩
  · exact hp
  · exact hq

theorem tactic_constructor (p q : Prop) (hp : p) (hq : q) : p ∧ q := by
  constructor
  · exact hp
  · exact hq

theorem tactic_left_right (p q : Prop) (hp : p) : (p ∨ q) ∧ (q ∨ p) := by
  constructor
  · left; exact hp
  · right; exact hp

theorem tactic_cases (p q : Prop) (h : p ∨ q) : q ∨ p := by
  cases h with
  | inl hp => exact Or.inr hp
  | inr hq => exact Or.inl hq

theorem tactic_cases_nat (n : Nat) : n = 0 ∨ 0 < n := by
  cases n with
  | zero => left; rfl
  | succ n => right; exact Nat.succ_pos n

theorem tactic_cases_equation (n : Nat) (h : n ≠ 0) : ∃ m, n = m + 1 := by
  cases e : n with
  | zero => exact absurd e h
  | succ m => exact ⟨m, rfl⟩

theorem tactic_case (p q : Prop) (hp : p) (hq : q) : p ∧ q := by
  constructor
  case right => exact hq
  case left => exact hp

theorem tactic_next (p q : Prop) (h : p ∨ q) : q ∨ p := by
  cases h
  next hp => exact Or.inr hp
  next hq => exact Or.inl hq

theorem tactic_induction (n : Nat) : 0 + n = n := by
  induction n with
  | zero => rfl
  | succ n ih => rw [← Nat.add_assoc, ih]

theorem tactic_induction_generalizing (a b c : Nat) (h : a + b = a + c) : b = c := by
  induction a generalizing b c with
  | zero => simpa using h
  | succ n ih =>
    rw [Nat.succ_add, Nat.succ_add] at h
    exact ih b c (Nat.succ.inj h)

theorem tactic_rcases (p q r : Prop) (h : p ∧ (q ∨ r)) : (p ∧ q) ∨ r := by
  rcases h with ⟨hp, hq | hr⟩
  · exact Or.inl ⟨hp, hq⟩
  · exact Or.inr hr

theorem tactic_obtain (p : Nat → Prop) (h : ∃ n, p n ∧ n > 3) : ∃ n, p n := by
  obtain ⟨n, hn, -⟩ := h
  exact ⟨n, hn⟩

theorem tactic_exists : ∃ n : Nat, n * n = 9 := by
  exists 3

theorem tactic_assumption (p q : Prop) (hp : p) (_ : q) : p := by assumption

theorem tactic_contradiction (p q : Prop) (hp : p) (hn : ¬p) : q := by contradiction

theorem tactic_exfalso (p q : Prop) (hp : p) (hn : ¬p) : q := by
  exfalso
  exact hn hp

theorem tactic_trivial : True := by trivial

theorem tactic_rfl (n : Nat) : n + 0 = n := by rfl

theorem tactic_rfl_iff (p : Prop) : p ↔ p := by rfl

theorem tactic_rfl_le (n : Nat) : n ≤ n := by exact Nat.le_refl n

theorem tactic_symm (a b : Nat) (h : a = b) : b = a := by
  symm
  exact h

theorem tactic_rw (a b c : Nat) (h₁ : a = b) (h₂ : b = c) : a = c := by
  rw [h₁, h₂]

theorem tactic_rw_backwards (a b : Nat) (h : a = b) : b = a := by
  rw [← h]

theorem tactic_rw_at (a b : Nat) (h : a = b) (h2 : a = 3) : b = 3 := by
  rw [h] at h2
  exact h2

theorem tactic_rw_iff (p q r : Prop) (h : p ↔ q) (h2 : p ∧ r) : q ∧ r := by
  rw [← h]
  exact h2

theorem tactic_rwa (a b : Nat) (h : a = b) (h2 : a = 3) : b = 3 := by rwa [← h]

theorem tactic_simp (p q : Prop) (hp : p) : p ∨ q := by simp [hp]

theorem tactic_simp_nat (n : Nat) : n * 1 + 0 = 0 + n := by simp

theorem tactic_simp_numbers : 2 + 3 * 4 = 14 := by simp

theorem tactic_simp_offset (n : Nat) (h : n + 2 = 5) : n = 3 := by simp at h; exact h

theorem tactic_simp_only (a b : Nat) (h : a = b) : a + 0 = b := by simp only [h, Nat.add_zero]

theorem tactic_simp_at (p q : Prop) (h : p ∧ True ∧ q) : q := by
  simp at h
  exact h.2

theorem tactic_simp_star (p q : Prop) (hp : p) (hq : p → q) : q := by simp [*] at *

theorem tactic_simp_under_binders (p : Nat → Prop) (h : ∀ n, p n) : ∀ n, p (n + 0) ∧ True := by
  simp
  exact h

theorem tactic_simp_not_exists (p : Nat → Prop) (h : ∀ n, ¬p n) : ¬∃ n, p n := by simpa using h

theorem tactic_simpa (a b : Nat) (h : a + 0 = b) : a = b := by simpa using h

theorem tactic_simp_all (p q r : Prop) (h₁ : p ∧ q) (h₂ : q → r) : p ∧ r := by simp_all

theorem tactic_dsimp (n : Nat) : (fun x : Nat => x + 0) n = n := by dsimp

theorem tactic_decide : 3 * 5 = 15 ∧ ¬(2 < 1) := by decide

theorem tactic_decide_nat : 10 ≤ 2 ^ 5 ∧ 7 ≠ 8 := by decide

theorem tactic_decide_bounded : ∀ n < 5, n * n < 25 := by decide

theorem tactic_decide_divides : 3 ∣ 12 ∧ ¬(3 ∣ 10) := by decide

theorem tactic_calc (a b c : Nat) (h₁ : a < b) (h₂ : b ≤ c) : a < c := by
  calc
    a < b := h₁
    _ ≤ c := h₂

theorem tactic_show (p : Prop) (hp : p) : p := by
  show p
  exact hp

theorem tactic_change (n : Nat) : n + 0 = n := by
  change n = n
  rfl

theorem tactic_have (p q r : Prop) (f : p → q) (g : q → r) (hp : p) : r := by
  have hq : q := f hp
  have hr := g hq
  exact hr

theorem tactic_have_pattern (p q : Prop) (h : p ∧ q) : q := by
  have ⟨_, hq⟩ := h
  exact hq

theorem tactic_let (n : Nat) : ∃ m, m = n + 1 := by
  let m := n + 1
  exact ⟨m, rfl⟩

theorem tactic_suffices (p q : Prop) (f : p → q) (hp : p) : q := by
  suffices h : p by exact f h
  exact hp

theorem tactic_specialize (p : Nat → Prop) (h : ∀ n, p n) : p 3 := by
  specialize h 3
  exact h

theorem tactic_replace (p q : Prop) (f : p → q) (h : p) : q := by
  replace h := f h
  exact h

theorem tactic_revert (p q : Prop) (h : p) : q → p := by
  revert h
  intro h _
  exact h

theorem tactic_generalize (a b : Nat) (h : a + 1 = b) : a + 1 = b := by
  generalize a + 1 = c at h
  exact h

theorem tactic_subst (a b c : Nat) (h : a = b) (h2 : b = c) : a = c := by
  subst h
  exact h2

theorem tactic_injection (a b : Nat) (h : Nat.succ a = Nat.succ b) : a = b := by
  injection h

theorem tactic_first (p q : Prop) (hq : q) : p ∨ q := by
  first
  | exact Or.inl hq
  | exact Or.inr hq

theorem tactic_repeat (p q : Prop) (hp : p) (hq : q) : p ∧ q := by
  constructor
  repeat assumption

theorem tactic_repeat_refine (p q r : Prop) (hp : p) (hq : q) (hr : r) : p ∧ q ∧ r := by
  repeat' apply And.intro
  all_goals assumption

theorem tactic_try (p : Prop) (hp : p) : p := by
  try contradiction
  exact hp

theorem tactic_and_then (p q : Prop) (hp : p) (hq : q) : p ∧ q := by
  constructor <;> assumption

theorem tactic_any_goals (p q : Prop) (hp : p) (hq : q) : p ∧ q := by
  constructor
  any_goals assumption

theorem tactic_by_cases (p q : Prop) (h₁ : p → q) (h₂ : ¬p → q) : q := by
  by_cases h : p
  · exact h₁ h
  · exact h₂ h

theorem tactic_funext (f g : Nat → Nat) (h : ∀ n, f n = g n) : f = g := by
  funext n
  exact h n

theorem tactic_match (p q : Prop) (h : p ∨ q) : q ∨ p := by
  match h with
  | .inl hp => exact Or.inr hp
  | .inr hq => exact Or.inl hq

theorem tactic_nomatch (p : Prop) (h : False) : p := by nomatch h

theorem tactic_split (n : Nat) : (if n = 0 then 1 else 1) = 1 := by
  split
  · rfl
  · rfl

theorem tactic_unfold (p : Prop) (h : p) : ¬¬p := by
  unfold Not
  intro hn
  exact hn h

theorem tactic_congr (f : Nat → Nat) (a b : Nat) (h : a = b) : f a = f b := by
  congr

theorem tactic_clear (p q : Prop) (hp : p) (hq : q) : q := by
  clear hp
  exact hq

theorem tactic_rename (p q : Prop) : p → q → p := by
  intros
  rename_i hp _
  exact hp

theorem tactic_rotate (p q : Prop) (hp : p) (hq : q) : p ∧ q := by
  constructor
  rotate_left
  · exact hq
  · exact hp

theorem tactic_focus (p q : Prop) (hp : p) (hq : q) : p ∧ q := by
  constructor
  focus exact hp
  exact hq

theorem tactic_classical (p : Prop) : p ∨ ¬p := by
  classical
  exact Decidable.em p

theorem tactic_infer_instance : Decidable (2 < 3) = Decidable (2 < 3) := by
  have : Decidable (2 < 3) := by infer_instance
  rfl

theorem tactic_exact_mod_parentheses (p q : Prop) (hp : p) (hq : q) : p ∧ q := by
  (constructor; exact hp; exact hq)

theorem tactic_and_intros (p q r : Prop) (hp : p) (hq : q) (hr : r) : p ∧ q ∧ r := by
  and_intros <;> assumption

theorem tactic_skip_done (p : Prop) (hp : p) : p := by
  skip
  exact hp
  done

theorem tactic_false_or_by_contra (p : Prop) (h : ¬¬p) : p := by
  false_or_by_contra
  rename_i hn
  exact h hn

theorem tactic_apply_eq (a b : Nat) (h : a = b) : a + 1 = b + 1 := by
  apply congrArg (· + 1) h

theorem tactic_exact_nested_by (p q : Prop) (hp : p) (hq : q) : p ∧ q := by
  exact ⟨by assumption, by assumption⟩

theorem tactic_iterate (p : Prop) (hp : p) : p ∧ p ∧ p := by
  iterate 2 apply And.intro hp
  exact hp

theorem tactic_if (n : Nat) : n = 0 ∨ n ≠ 0 := by
  if h : n = 0 then
    exact Or.inl h
  else
    exact Or.inr h

theorem tactic_exact_lemma (p q r : Prop) : (p ∧ q) ∧ r ↔ p ∧ (q ∧ r) := by
  exact and_assoc
