prelude
import FdRecursion
/-!
Classical and decidable logic, if-then-else and Bool: lemmas of core's Init.Core, Init.Classical,
Init.SimpLemmas, Init.PropLemmas and Init.Data.Bool, under core's names and signatures.
-/
set_option autoImplicit true
universe u v w

-- Decidable propositions
theorem Decidable.of_not_not [Decidable p] (h : ¬¬p) : p := Decidable.byContradiction h
theorem Decidable.not_not [Decidable p] : ¬¬p ↔ p := ⟨Decidable.of_not_not, not_not_intro⟩
theorem Decidable.not_and_iff_or_not_not [Decidable p] : ¬(p ∧ q) ↔ ¬p ∨ ¬q :=
  ⟨fun h => (Decidable.em p).elim (fun hp => Or.inr fun hq => h ⟨hp, hq⟩) Or.inl,
   not_and_of_not_or_not⟩
theorem Decidable.not_and_iff_not_or_not [Decidable a] : ¬(a ∧ b) ↔ ¬a ∨ ¬b :=
  Decidable.not_and_iff_or_not_not
theorem Decidable.not_imp_iff_and_not [Decidable a] : ¬(a → b) ↔ a ∧ ¬b :=
  ⟨fun h => ⟨Decidable.of_not_not fun na => h fun ha => absurd ha na, fun hb => h fun _ => hb⟩,
   not_imp_of_and_not⟩
theorem Decidable.or_iff_not_imp_left [Decidable a] : a ∨ b ↔ (¬a → b) :=
  ⟨Or.resolve_left, fun h => (Decidable.em a).elim Or.inl fun na => Or.inr (h na)⟩
theorem Decidable.or_iff_not_imp_right [Decidable b] : a ∨ b ↔ (¬b → a) :=
  or_comm.trans Decidable.or_iff_not_imp_left
theorem Decidable.not_imp_not [Decidable a] : (¬a → ¬b) ↔ (b → a) :=
  ⟨fun h hb => Decidable.of_not_not fun na => h na hb, mt⟩
theorem Decidable.imp_iff_not_or [Decidable a] : (a → b) ↔ (¬a ∨ b) :=
  ⟨fun h => (Decidable.em a).elim (fun ha => Or.inr (h ha)) Or.inl,
   fun h ha => h.resolve_left (not_not_intro ha)⟩
theorem Decidable.not_forall {p : α → Prop} [Decidable (∃ x, ¬p x)] [∀ x, Decidable (p x)] :
    (¬∀ x, p x) ↔ ∃ x, ¬p x :=
  ⟨fun h => Decidable.of_not_not fun he => h fun x => Decidable.of_not_not fun hx => he ⟨x, hx⟩,
   not_forall_of_exists_not⟩
theorem Decidable.peirce (a b : Prop) [Decidable a] : ((a → b) → a) → a :=
  fun h => Decidable.byContradiction fun na => na (h fun ha => absurd ha na)
def decidable_of_iff (a : Prop) (h : a ↔ b) [Decidable a] : Decidable b :=
  match (inferInstance : Decidable a) with
  | isTrue ha => isTrue (h.1 ha)
  | isFalse ha => isFalse fun hb => ha (h.2 hb)
def decidable_of_decidable_of_iff [Decidable p] (h : p ↔ q) : Decidable q := decidable_of_iff p h
def decidable_of_decidable_of_eq [Decidable p] (h : p = q) : Decidable q := h ▸ inferInstance
instance instDecidableIff [dp : Decidable p] [dq : Decidable q] : Decidable (p ↔ q) :=
  match dp, dq with
  | isTrue hp, isTrue hq => isTrue ⟨fun _ => hq, fun _ => hp⟩
  | isTrue hp, isFalse hq => isFalse fun h => hq (h.1 hp)
  | isFalse hp, isTrue hq => isFalse fun h => hp (h.2 hq)
  | isFalse hp, isFalse hq => isTrue ⟨fun h => absurd h hp, fun h => absurd h hq⟩
instance instDecidableNe [inst : DecidableEq α] (a b : α) : Decidable (a ≠ b) :=
  match inst a b with
  | isTrue h => isFalse fun hn => hn h
  | isFalse h => isTrue h
instance {c t e : Prop} [dC : Decidable c] [dT : Decidable t] [dE : Decidable e] :
    Decidable (if c then t else e) :=
  match dC with
  | isTrue _ => dT
  | isFalse _ => dE
instance [DecidableEq α] [DecidableEq β] : DecidableEq (α × β) := fun a b =>
  match a, b, decEq a.1 b.1, decEq a.2 b.2 with
  | (_, _), (_, _), isTrue h₁, isTrue h₂ => isTrue (by cases h₁; cases h₂; rfl)
  | _, _, isFalse h, _ => isFalse fun e => h (congrArg Prod.fst e)
  | _, _, _, isFalse h => isFalse fun e => h (congrArg Prod.snd e)

-- Classical logic. Lean's `classical` and `by_cases` find this instance.
namespace Classical
open scoped Classical
theorem not_not : ¬¬a ↔ a := ⟨of_not_not, not_not_intro⟩
theorem not_forall {p : α → Prop} : (¬∀ x, p x) ↔ ∃ x, ¬p x := Decidable.not_forall
theorem not_forall_not {p : α → Prop} : (¬∀ x, ¬p x) ↔ ∃ x, p x :=
  ⟨fun h => of_not_not fun he => h fun x hx => he ⟨x, hx⟩, fun ⟨x, hx⟩ h => h x hx⟩
theorem not_exists_not {p : α → Prop} : (¬∃ x, ¬p x) ↔ ∀ x, p x :=
  ⟨fun h x => of_not_not fun hx => h ⟨x, hx⟩, fun h ⟨x, hx⟩ => hx (h x)⟩
theorem exists_of_not_forall_not {p : α → Prop} (h : ¬∀ x, ¬p x) : ∃ x, p x := not_forall_not.1 h
theorem forall_or_exists_not (P : α → Prop) : (∀ a, P a) ∨ ∃ a, ¬P a :=
  (em _).imp_right not_forall.1
theorem exists_or_forall_not (P : α → Prop) : (∃ a, P a) ∨ ∀ a, ¬P a :=
  (em _).imp_right not_exists.1
theorem or_iff_not_imp_left : a ∨ b ↔ (¬a → b) := Decidable.or_iff_not_imp_left
theorem or_iff_not_imp_right : a ∨ b ↔ (¬b → a) := Decidable.or_iff_not_imp_right
theorem not_imp_iff_and_not : ¬(a → b) ↔ a ∧ ¬b := Decidable.not_imp_iff_and_not
theorem not_and_iff_not_or_not : ¬(a ∧ b) ↔ ¬a ∨ ¬b := Decidable.not_and_iff_not_or_not
theorem not_and_iff_or_not_not : ¬(a ∧ b) ↔ ¬a ∨ ¬b := not_and_iff_not_or_not
theorem not_iff : ¬(a ↔ b) ↔ (¬a ↔ b) :=
  ⟨fun h => ⟨fun na => of_not_not fun nb => h (iff_of_false na nb), fun hb ha => h (iff_of_true ha hb)⟩,
   fun h h' => iff_not_self (h'.trans h.symm)⟩
theorem imp_iff_left_iff : (b ↔ a → b) ↔ a ∨ b :=
  ⟨fun h => or_iff_not_imp_left.2 fun na => h.2 fun ha => absurd ha na,
   fun h => ⟨fun hb _ => hb, fun f => h.elim f id⟩⟩
theorem imp_iff_not_or : (a → b) ↔ ¬a ∨ b := Decidable.imp_iff_not_or
theorem or_not : a ∨ ¬a := em a
theorem propComplete (a : Prop) : a = True ∨ a = False := (em a).imp eq_true eq_false
theorem axiomOfChoice {α : Sort u} {β : α → Sort v} {r : ∀ x, β x → Prop} (h : ∀ x, ∃ y, r x y) :
    ∃ f : ∀ x, β x, ∀ x, r x (f x) := ⟨fun x => choose (h x), fun x => choose_spec (h x)⟩
theorem skolem {α : Sort u} {b : α → Sort v} {p : ∀ x, b x → Prop} :
    (∀ x, ∃ y, p x y) ↔ ∃ f : ∀ x, b x, ∀ x, p x (f x) :=
  ⟨axiomOfChoice, fun ⟨f, h⟩ x => ⟨f x, h x⟩⟩
end Classical
export Classical (not_not imp_iff_left_iff or_iff_not_imp_left or_iff_not_imp_right)
theorem Exists.choose_spec {p : α → Prop} (P : ∃ a, p a) : p (Classical.choose P) := Classical.choose_spec P
noncomputable def Exists.choose {p : α → Prop} (P : ∃ a, p a) : α := Classical.choose P
theorem not_imp : ¬(a → b) ↔ a ∧ ¬b := Classical.not_imp_iff_and_not
attribute [simp] Classical.not_not Classical.not_forall not_imp

-- if-then-else
section
variable {α : Sort u} {c : Prop}
theorem if_pos {c : Prop} {h : Decidable c} (hc : c) {α : Sort u} {t e : α} : (ite c t e) = t :=
  match h with
  | isTrue _ => rfl
  | isFalse hnc => absurd hc hnc
theorem if_neg {c : Prop} {h : Decidable c} (hnc : ¬c) {α : Sort u} {t e : α} : (ite c t e) = e :=
  match h with
  | isTrue hc => absurd hc hnc
  | isFalse _ => rfl
theorem dif_pos {c : Prop} {h : Decidable c} (hc : c) {α : Sort u} {t : c → α} {e : ¬c → α} :
    (dite c t e) = t hc :=
  match h with
  | isTrue _ => rfl
  | isFalse hnc => absurd hc hnc
theorem dif_neg {c : Prop} {h : Decidable c} (hnc : ¬c) {α : Sort u} {t : c → α} {e : ¬c → α} :
    (dite c t e) = e hnc :=
  match h with
  | isTrue hc => absurd hc hnc
  | isFalse _ => rfl
theorem ite_eq_left {c : Prop} {h : Decidable c} (hc : c) {α : Sort u} {t e : α} :
    (ite c t e) = t := if_pos hc
theorem ite_eq_right {c : Prop} {h : Decidable c} (hnc : ¬c) {α : Sort u} {t e : α} :
    (ite c t e) = e := if_neg hnc
theorem dite_eq_left {c : Prop} {h : Decidable c} (hc : c) {α : Sort u} {t : c → α} {e : ¬c → α} :
    (dite c t e) = t hc := dif_pos hc
theorem dite_eq_right {c : Prop} {h : Decidable c} (hnc : ¬c) {α : Sort u} {t : c → α} {e : ¬c → α} :
    (dite c t e) = e hnc := dif_neg hnc
theorem dite_eq_ite [Decidable p] {α : Sort u} {a b : α} :
    (dite p (fun _ => a) fun _ => b) = ite p a b := by cases Decidable.em p with
  | inl h => rw [dif_pos h, if_pos h]
  | inr h => rw [dif_neg h, if_neg h]
theorem dif_eq_if (c : Prop) {h : Decidable c} (t e : α) : (dite c (fun _ => t) fun _ => e) = ite c t e :=
  match h with
  | isTrue _ => rfl
  | isFalse _ => rfl
theorem ite_true (a b : α) : (if True then a else b) = a := rfl
theorem ite_false (a b : α) : (if False then a else b) = b := rfl
theorem dite_true {t : True → α} {e : ¬True → α} : (dite True t e) = t True.intro := rfl
theorem dite_false {t : False → α} {e : ¬False → α} : (dite False t e) = e not_false := rfl
theorem ite_cond_eq_true {_ : Decidable c} (a b : α) (h : c = True) : (if c then a else b) = a :=
  if_pos (of_eq_true h)
theorem ite_cond_eq_false {_ : Decidable c} (a b : α) (h : c = False) : (if c then a else b) = b :=
  if_neg (of_eq_false h)
theorem dite_cond_eq_true {_ : Decidable c} {t : c → α} {e : ¬c → α} (h : c = True) :
    (dite c t e) = t (of_eq_true h) := dif_pos _
theorem dite_cond_eq_false {_ : Decidable c} {t : c → α} {e : ¬c → α} (h : c = False) :
    (dite c t e) = e (of_eq_false h) := dif_neg _
theorem ite_eq_left_of_eq_true {_ : Decidable c} (a b : α) (h : c = True) :
    (if c then a else b) = a := if_pos (of_eq_true h)
theorem ite_eq_right_of_eq_false {_ : Decidable c} (a b : α) (h : c = False) :
    (if c then a else b) = b := if_neg (of_eq_false h)
theorem dite_eq_left_of_eq_true {_ : Decidable c} {t : c → α} {e : ¬c → α} (h : c = True) :
    (dite c t e) = t (of_eq_true h) := dif_pos _
theorem dite_eq_right_of_eq_false {_ : Decidable c} {t : c → α} {e : ¬c → α} (h : c = False) :
    (dite c t e) = e (of_eq_false h) := dif_neg _
theorem ite_self {d : Decidable c} (a : α) : ite c a a = a := by cases d <;> rfl
theorem Eq.mpr_prop {p q : Prop} (h₁ : p = q) (h₂ : q) : p := h₁ ▸ h₂
theorem Eq.mpr_not {p q : Prop} (h₁ : p = q) (h₂ : ¬q) : ¬p := h₁ ▸ h₂
theorem ite_congr {b : Prop} {x y u v : α} {s : Decidable b} [Decidable c] (h₁ : b = c)
    (h₂ : c → x = u) (h₃ : ¬c → y = v) : ite b x y = ite c u v := by
  cases Decidable.em c with
  | inl h => rw [if_pos h, if_pos (h₁.mpr_prop h)]; exact h₂ h
  | inr h => rw [if_neg h, if_neg (h₁.mpr_not h)]; exact h₃ h
theorem dite_congr {b : Prop} {_ : Decidable b} [Decidable c] {x : b → α} {u : c → α} {y : ¬b → α}
    {v : ¬c → α} (h₁ : b = c) (h₂ : (h : c) → x (h₁.mpr_prop h) = u h)
    (h₃ : (h : ¬c) → y (h₁.mpr_not h) = v h) : dite b x y = dite c u v := by
  cases Decidable.em c with
  | inl h => rw [dif_pos h, dif_pos (h₁.mpr_prop h)]; exact h₂ h
  | inr h => rw [dif_neg h, dif_neg (h₁.mpr_not h)]; exact h₃ h
theorem ite_not (p : Prop) [Decidable p] (x y : α) : ite (¬p) x y = ite p y x := by
  cases Decidable.em p with
  | inl h => rw [if_pos h, if_neg (not_not_intro h)]
  | inr h => rw [if_neg h, if_pos h]
theorem apply_ite {β : Sort v} (f : α → β) (P : Prop) [Decidable P] (x y : α) :
    f (ite P x y) = ite P (f x) (f y) := by
  cases Decidable.em P with
  | inl h => rw [if_pos h, if_pos h]
  | inr h => rw [if_neg h, if_neg h]
attribute [congr] ite_congr dite_congr
attribute [simp] ite_true ite_false dite_true dite_false ite_self ite_not
end

-- Bool
class ReflBEq (α : Type u) [BEq α] : Prop where
  protected rfl {a : α} : (a == a) = true
class LawfulBEq (α : Type u) [BEq α] : Prop extends ReflBEq α where
  eq_of_beq : {a b : α} → (a == b) = true → a = b
export LawfulBEq (eq_of_beq)
instance [DecidableEq α] : LawfulBEq α where
  eq_of_beq := of_decide_eq_true
  rfl := of_decide_eq_self_eq_true _
theorem beq_of_eq [BEq α] [ReflBEq α] {a b : α} (h : a = b) : (a == b) = true := h ▸ ReflBEq.rfl
theorem beq_self_eq_true [BEq α] [ReflBEq α] (a : α) : (a == a) = true := ReflBEq.rfl
theorem beq_iff_eq [BEq α] [LawfulBEq α] {a b : α} : (a == b) = true ↔ a = b := ⟨eq_of_beq, beq_of_eq⟩
theorem decide_eq_true_eq [Decidable p] : (decide p = true) = p :=
  propext ⟨of_decide_eq_true, decide_eq_true⟩
theorem decide_eq_true_iff {p : Prop} [Decidable p] : decide p = true ↔ p := iff_of_eq decide_eq_true_eq
theorem decide_eq_false_iff_not {p : Prop} {_ : Decidable p} : (decide p = false) ↔ ¬p :=
  ⟨of_decide_eq_false, decide_eq_false⟩
theorem decide_true : decide True = true := rfl
theorem decide_false : decide False = false := rfl
theorem cond_true {α : Sort u} (a b : α) : cond true a b = a := rfl
theorem cond_false {α : Sort u} (a b : α) : cond false a b = b := rfl
namespace Bool
theorem or_false (b : Bool) : (b || false) = b := by cases b <;> rfl
theorem or_true (b : Bool) : (b || true) = true := by cases b <;> rfl
theorem false_or (b : Bool) : (false || b) = b := by cases b <;> rfl
theorem true_or (b : Bool) : (true || b) = true := by cases b <;> rfl
theorem or_self (b : Bool) : (b || b) = b := by cases b <;> rfl
theorem and_false (b : Bool) : (b && false) = false := by cases b <;> rfl
theorem and_true (b : Bool) : (b && true) = b := by cases b <;> rfl
theorem false_and (b : Bool) : (false && b) = false := by cases b <;> rfl
theorem true_and (b : Bool) : (true && b) = b := by cases b <;> rfl
theorem and_self (b : Bool) : (b && b) = b := by cases b <;> rfl
theorem not_not (b : Bool) : (!!b) = b := by cases b <;> rfl
theorem not_true : (!true) = false := rfl
theorem not_false : (!false) = true := rfl
theorem and_comm (x y : Bool) : (x && y) = (y && x) := by cases x <;> cases y <;> rfl
theorem or_comm (x y : Bool) : (x || y) = (y || x) := by cases x <;> cases y <;> rfl
theorem and_assoc (a b c : Bool) : (a && b && c) = (a && (b && c)) := by
  cases a <;> cases b <;> cases c <;> rfl
theorem or_assoc (a b c : Bool) : (a || b || c) = (a || (b || c)) := by
  cases a <;> cases b <;> cases c <;> rfl
theorem or_eq_true (a b : Bool) : ((a || b) = true) = (a = true ∨ b = true) := by
  cases a <;> cases b <;> exact propext (by decide)
theorem and_eq_true (a b : Bool) : ((a && b) = true) = (a = true ∧ b = true) := by
  cases a <;> cases b <;> exact propext (by decide)
theorem not_eq_true (b : Bool) : (¬(b = true)) = (b = false) := by
  cases b <;> exact propext (by decide)
theorem not_eq_false (b : Bool) : (¬(b = false)) = (b = true) := by
  cases b <;> exact propext (by decide)
theorem not_eq_true' (b : Bool) : ((!b) = true) = (b = false) := by
  cases b <;> exact propext (by decide)
theorem not_eq_false' (b : Bool) : ((!b) = false) = (b = true) := by
  cases b <;> exact propext (by decide)
theorem eq_false_or_eq_true (b : Bool) : b = true ∨ b = false := by
  cases b
  · exact Or.inr rfl
  · exact Or.inl rfl
attribute [simp] or_false or_true false_or true_or or_self and_false and_true false_and true_and
  and_self not_not not_true not_false or_eq_true and_eq_true not_eq_true not_eq_false not_eq_true'
  not_eq_false'
end Bool
theorem Bool.false_ne_true : false ≠ true := fun h => Bool.noConfusion h
theorem beq_eq_false_iff_ne [BEq α] [LawfulBEq α] {a b : α} : (a == b) = false ↔ a ≠ b :=
  ⟨fun h e => Bool.false_ne_true (h.symm.trans (beq_of_eq e)),
   fun h => eq_false_of_ne_true fun e => h (eq_of_beq e)⟩
theorem bne_iff_ne [BEq α] [LawfulBEq α] {a b : α} : (a != b) = true ↔ a ≠ b :=
  (iff_of_eq (Bool.not_eq_true' _)).trans beq_eq_false_iff_ne
attribute [simp] beq_self_eq_true beq_iff_eq decide_eq_true_eq decide_eq_false_iff_not decide_true
  decide_false cond_true cond_false beq_eq_false_iff_ne bne_iff_ne
