-- Lemmas of core that embedded Lean has, with core's signatures (in ordinary Lean some are more
-- general in their universes). Each is a test. Entries end at blank lines.

theorem lemma_id_eq : ∀ {α : Type} (a : α), id a = a := @id_eq

theorem lemma_Eq_subst : ∀ {α : Type} {motive : α → Prop} {a b : α}, a = b → motive a → motive b
    := @Eq.subst

theorem lemma_Eq_symm : ∀ {α : Type} {a b : α}, a = b → b = a := @Eq.symm

theorem lemma_Eq_trans : ∀ {α : Type} {a b c : α}, a = b → b = c → a = c := @Eq.trans

theorem lemma_congrArg : ∀ {α : Type} {β : Type} {a₁ a₂ : α} (f : α → β), a₁ = a₂ → f a₁ = f a₂ :=
    @congrArg

theorem lemma_congr : ∀ {α : Type} {β : Type} {f₁ f₂ : α → β} {a₁ a₂ : α}, f₁ = f₂ → a₁ = a₂ → f₁
    a₁ = f₂ a₂ := @congr

theorem lemma_congrFun : ∀ {α : Type} {β : α → Type} {f g : (x : α) → β x}, f = g → ∀ (a : α), f a
    = g a := @congrFun

theorem lemma_Or_intro_left : ∀ {a : Prop} (b : Prop), a → a ∨ b := @Or.intro_left

theorem lemma_Or_intro_right : ∀ {b : Prop} (a : Prop), b → a ∨ b := @Or.intro_right

theorem lemma_Or_elim : ∀ {a b c : Prop}, a ∨ b → (a → c) → (b → c) → c := @Or.elim

theorem lemma_Or_resolve_left : ∀ {a b : Prop}, a ∨ b → ¬a → b := @Or.resolve_left

theorem lemma_Or_resolve_right : ∀ {a b : Prop}, a ∨ b → ¬b → a := @Or.resolve_right

theorem lemma_Or_neg_resolve_left : ∀ {a b : Prop}, ¬a ∨ b → a → b := @Or.neg_resolve_left

theorem lemma_Or_neg_resolve_right : ∀ {a b : Prop}, a ∨ ¬b → b → a := @Or.neg_resolve_right

theorem lemma_Nat_eq_of_beq_eq_true : ∀ {n m : Nat}, n.beq m = Bool.true → n = m :=
    @Nat.eq_of_beq_eq_true

theorem lemma_ne_true_of_eq_false : ∀ {b : Bool}, b = Bool.false → ¬b = Bool.true :=
    @ne_true_of_eq_false

theorem lemma_ne_false_of_eq_true : ∀ {b : Bool}, b = Bool.true → ¬b = Bool.false :=
    @ne_false_of_eq_true

theorem lemma_eq_false_of_ne_true : ∀ {b : Bool}, ¬b = Bool.true → b = Bool.false :=
    @eq_false_of_ne_true

theorem lemma_eq_true_of_ne_false : ∀ {b : Bool}, ¬b = Bool.false → b = Bool.true :=
    @eq_true_of_ne_false

theorem lemma_Nat_ne_of_beq_eq_false : ∀ {n m : Nat}, n.beq m = Bool.false → ¬n = m :=
    @Nat.ne_of_beq_eq_false

theorem lemma_Nonempty_elim : ∀ {α : Type} {p : Prop}, Nonempty α → (∀ (a : α), p) → p :=
    @Nonempty.elim

theorem lemma_decide_eq_true : ∀ {p : Prop} [inst : Decidable p], p → Decidable.decide p =
    Bool.true := @decide_eq_true

theorem lemma_decide_eq_false : ∀ {p : Prop} [inst : Decidable p], ¬p → Decidable.decide p =
    Bool.false := @decide_eq_false

theorem lemma_of_decide_eq_true : ∀ {p : Prop} [inst : Decidable p], Decidable.decide p =
    Bool.true → p := @of_decide_eq_true

theorem lemma_of_decide_eq_false : ∀ {p : Prop} [inst : Decidable p], Decidable.decide p =
    Bool.false → ¬p := @of_decide_eq_false

theorem lemma_of_decide_eq_self_eq_true : ∀ {α : Type} [inst : DecidableEq α] (a : α),
    Decidable.decide (a = a) = Bool.true := @of_decide_eq_self_eq_true

theorem lemma_Nat_le_trans : ∀ {n m k : Nat}, n ≤ m → m ≤ k → n ≤ k := @Nat.le_trans

theorem lemma_Nat_zero_le : ∀ (n : Nat), 0 ≤ n := @Nat.zero_le

theorem lemma_Nat_succ_le_succ : ∀ {n m : Nat}, n ≤ m → n.succ ≤ m.succ := @Nat.succ_le_succ

theorem lemma_Nat_pred_le_pred : ∀ {n m : Nat}, n ≤ m → n.pred ≤ m.pred := @Nat.pred_le_pred

theorem lemma_Nat_le_of_succ_le_succ : ∀ {n m : Nat}, n.succ ≤ m.succ → n ≤ m :=
    @Nat.le_of_succ_le_succ

theorem lemma_Nat_not_succ_le_zero : ∀ (n : Nat), ¬n.succ ≤ 0 := @Nat.not_succ_le_zero

theorem lemma_Nat_le_of_ble_eq_true : ∀ {n m : Nat}, n.ble m = Bool.true → n ≤ m :=
    @Nat.le_of_ble_eq_true

theorem lemma_Nat_ble_self_eq_true : ∀ (n : Nat), n.ble n = Bool.true := @Nat.ble_self_eq_true

theorem lemma_Nat_ble_succ_eq_true : ∀ {n m : Nat}, n.ble m = Bool.true → n.ble m.succ = Bool.true
    := @Nat.ble_succ_eq_true

theorem lemma_Nat_ble_eq_true_of_le : ∀ {n m : Nat}, n ≤ m → n.ble m = Bool.true :=
    @Nat.ble_eq_true_of_le

theorem lemma_Nat_not_le_of_not_ble_eq_true : ∀ {n m : Nat}, ¬n.ble m = Bool.true → ¬n ≤ m :=
    @Nat.not_le_of_not_ble_eq_true

theorem lemma_propext : ∀ {a b : Prop}, (a ↔ b) → a = b := @propext

theorem lemma_Eq_substr : ∀ {α : Type} {p : α → Prop} {a b : α}, b = a → p a → p b := @Eq.substr

theorem lemma_congrFun_prime : ∀ {α : Type} {β : Type} {f g : α → β}, f = g → ∀ (a : α), f a = g a
    := @congrFun'

theorem lemma_trivial : True := @trivial

theorem lemma_false_of_ne : ∀ {α : Type} {a : α}, a ≠ a → False := @false_of_ne

theorem lemma_ne_false_of_self : ∀ {p : Prop}, p → p ≠ False := @ne_false_of_self

theorem lemma_ne_true_of_not : ∀ {p : Prop}, ¬p → p ≠ True := @ne_true_of_not

theorem lemma_true_ne_false : ¬True = False := @true_ne_false

theorem lemma_false_ne_true : False ≠ True := @false_ne_true

theorem lemma_Bool_of_not_eq_true : ∀ {b : Bool}, ¬b = Bool.true → b = Bool.false :=
    @Bool.of_not_eq_true

theorem lemma_Bool_of_not_eq_false : ∀ {b : Bool}, ¬b = Bool.false → b = Bool.true :=
    @Bool.of_not_eq_false

theorem lemma_mt : ∀ {a b : Prop}, (a → b) → ¬b → ¬a := @mt

theorem lemma_not_false : ¬False := @not_false

theorem lemma_not_not_intro : ∀ {p : Prop}, p → ¬¬p := @not_not_intro

theorem lemma_proofIrrel : ∀ {a : Prop} (h₁ h₂ : a), h₁ = h₂ := @proofIrrel

theorem lemma_Ne_intro : ∀ {α : Type} {a b : α}, (a = b → False) → a ≠ b := @Ne.intro

theorem lemma_Ne_elim : ∀ {α : Type} {a b : α}, a ≠ b → a = b → False := @Ne.elim

theorem lemma_Ne_irrefl : ∀ {α : Type} {a : α}, a ≠ a → False := @Ne.irrefl

theorem lemma_Ne_symm : ∀ {α : Type} {a b : α}, a ≠ b → b ≠ a := @Ne.symm

theorem lemma_ne_comm : ∀ {α : Type} {a b : α}, a ≠ b ↔ b ≠ a := @ne_comm

theorem lemma_ne_of_apply_ne : ∀ {α : Type} {β : Type} (f : α → β) {x y : α}, f x ≠ f y → x ≠ y :=
    @ne_of_apply_ne

theorem lemma_iff_iff_implies_and_implies : ∀ {a b : Prop}, (a ↔ b) ↔ (a → b) ∧ (b → a) :=
    @iff_iff_implies_and_implies

theorem lemma_Iff_refl : ∀ (a : Prop), a ↔ a := @Iff.refl

theorem lemma_Iff_rfl : ∀ {a : Prop}, a ↔ a := @Iff.rfl

theorem lemma_Iff_of_eq : ∀ {a b : Prop}, a = b → (a ↔ b) := @Iff.of_eq

theorem lemma_Iff_trans : ∀ {a b c : Prop}, (a ↔ b) → (b ↔ c) → (a ↔ c) := @Iff.trans

theorem lemma_Iff_symm : ∀ {a b : Prop}, (a ↔ b) → (b ↔ a) := @Iff.symm

theorem lemma_Eq_to_iff : ∀ {a b : Prop}, a = b → (a ↔ b) := @Eq.to_iff

theorem lemma_iff_of_eq : ∀ {a b : Prop}, a = b → (a ↔ b) := @iff_of_eq

theorem lemma_Iff_comm : ∀ {a b : Prop}, (a ↔ b) ↔ (b ↔ a) := @Iff.comm

theorem lemma_iff_comm : ∀ {a b : Prop}, (a ↔ b) ↔ (b ↔ a) := @iff_comm

theorem lemma_Iff_eq : ∀ {a b : Prop}, (a ↔ b) → a = b := @Iff.eq

theorem lemma_Iff_subst : ∀ {a b : Prop} {p : Prop → Prop}, (a ↔ b) → p a → p b := @Iff.subst

theorem lemma_Iff_not : ∀ {a b : Prop}, (a ↔ b) → (¬a ↔ ¬b) := @Iff.not

theorem lemma_not_congr : ∀ {a b : Prop}, (a ↔ b) → (¬a ↔ ¬b) := @not_congr

theorem lemma_Not_intro : ∀ {a : Prop}, (a → False) → ¬a := @Not.intro

theorem lemma_Not_imp : ∀ {a b : Prop}, ¬b → (a → b) → ¬a := @Not.imp

theorem lemma_iff_of_true : ∀ {a b : Prop}, a → b → (a ↔ b) := @iff_of_true

theorem lemma_iff_of_false : ∀ {a b : Prop}, ¬a → ¬b → (a ↔ b) := @iff_of_false

theorem lemma_of_iff_true : ∀ {a : Prop}, (a ↔ True) → a := @of_iff_true

theorem lemma_iff_true_intro : ∀ {a : Prop}, a → (a ↔ True) := @iff_true_intro

theorem lemma_not_of_iff_false : ∀ {p : Prop}, (p ↔ False) → ¬p := @not_of_iff_false

theorem lemma_iff_false_intro : ∀ {a : Prop}, ¬a → (a ↔ False) := @iff_false_intro

theorem lemma_eq_iff_iff : ∀ {a b : Prop}, a = b ↔ (a ↔ b) := @eq_iff_iff

theorem lemma_Eq_propIntro : ∀ {a b : Prop}, (a → b) → (b → a) → a = b := @Eq.propIntro

theorem lemma_of_eq_true : ∀ {p : Prop}, p = True → p := @of_eq_true

theorem lemma_of_eq_false : ∀ {p : Prop}, p = False → ¬p := @of_eq_false

theorem lemma_eq_true : ∀ {p : Prop}, p → p = True := @eq_true

theorem lemma_eq_false : ∀ {p : Prop}, ¬p → p = False := @eq_false

theorem lemma_eq_false_prime : ∀ {p : Prop}, (p → False) → p = False := @eq_false'

theorem lemma_eq_true_of_decide : ∀ {p : Prop} {x : Decidable p}, Decidable.decide p = Bool.true →
    p = True := @eq_true_of_decide

theorem lemma_eq_false_of_decide : ∀ {p : Prop} {x : Decidable p}, Decidable.decide p = Bool.false
    → p = False := @eq_false_of_decide

theorem lemma_eq_self : ∀ {α : Type} (a : α), (a = a) = True := @eq_self

theorem lemma_true_eq_false_of_false : False → True = False := @true_eq_false_of_false

theorem lemma_implies_congr : ∀ {p₁ p₂ : Type} {q₁ q₂ : Type}, p₁ = p₂ → q₁ = q₂ → (p₁ → q₁) = (p₂
    → q₂) := @implies_congr

theorem lemma_funext : ∀ {α : Type} {β : α → Type} {f g : (x : α) → β x}, (∀ (x : α), f x = g x) →
    f = g := @funext

theorem lemma_funext_iff : ∀ {α : Type} {β : α → Type} {f g : (x : α) → β x}, f = g ↔ ∀ (x : α), f
    x = g x := @funext_iff

theorem lemma_forall_congr : ∀ {α : Type} {p q : α → Prop}, (∀ (a : α), p a = q a) → (∀ (a : α), p
    a) = ∀ (a : α), q a := @forall_congr

theorem lemma_Classical_em : ∀ (p : Prop), p ∨ ¬p := @Classical.em

theorem lemma_Classical_exists_true_of_nonempty : ∀ {α : Type}, Nonempty α → ∃ (x : α), True :=
    @Classical.exists_true_of_nonempty

theorem lemma_Classical_byCases : ∀ {p q : Prop}, (p → q) → (¬p → q) → q := @Classical.byCases

theorem lemma_Classical_byContradiction : ∀ {p : Prop}, (¬p → False) → p :=
    @Classical.byContradiction

theorem lemma_Classical_of_not_not : ∀ {p : Prop}, ¬¬p → p := @Classical.of_not_not

theorem lemma_Decidable_em : ∀ (p : Prop) [Decidable p], p ∨ ¬p := @Decidable.em

theorem lemma_Decidable_byContradiction : ∀ {p : Prop} [dec : Decidable p], (¬p → False) → p :=
    @Decidable.byContradiction

theorem lemma_And_symm : ∀ {a b : Prop}, a ∧ b → b ∧ a := @And.symm

theorem lemma_And_comm : ∀ {a b : Prop}, a ∧ b ↔ b ∧ a := @And.comm

theorem lemma_and_comm : ∀ {a b : Prop}, a ∧ b ↔ b ∧ a := @and_comm

theorem lemma_and_true : ∀ (p : Prop), (p ∧ True) = p := @and_true

theorem lemma_true_and : ∀ (p : Prop), (True ∧ p) = p := @true_and

theorem lemma_and_false : ∀ (p : Prop), (p ∧ False) = False := @and_false

theorem lemma_false_and : ∀ (p : Prop), (False ∧ p) = False := @false_and

theorem lemma_and_self : ∀ (p : Prop), (p ∧ p) = p := @and_self

theorem lemma_and_not_self : ∀ {a : Prop}, ¬(a ∧ ¬a) := @and_not_self

theorem lemma_not_and_self : ∀ {a : Prop}, ¬(¬a ∧ a) := @not_and_self

theorem lemma_and_imp : ∀ {a b c : Prop}, a ∧ b → c ↔ a → b → c := @and_imp

theorem lemma_not_and : ∀ {a b : Prop}, ¬(a ∧ b) ↔ a → ¬b := @not_and

theorem lemma_and_congr_right : ∀ {a b c : Prop}, (a → (b ↔ c)) → (a ∧ b ↔ a ∧ c) :=
    @and_congr_right

theorem lemma_and_congr_left : ∀ {c a b : Prop}, (c → (a ↔ b)) → (a ∧ c ↔ b ∧ c) :=
    @and_congr_left

theorem lemma_and_assoc : ∀ {a b c : Prop}, (a ∧ b) ∧ c ↔ a ∧ b ∧ c := @and_assoc

theorem lemma_and_self_left : ∀ {a b : Prop}, a ∧ a ∧ b ↔ a ∧ b := @and_self_left

theorem lemma_and_self_right : ∀ {a b : Prop}, (a ∧ b) ∧ b ↔ a ∧ b := @and_self_right

theorem lemma_and_congr_right_iff : ∀ {a b c : Prop}, (a ∧ b ↔ a ∧ c) ↔ a → (b ↔ c) :=
    @and_congr_right_iff

theorem lemma_and_congr_left_iff : ∀ {a c b : Prop}, (a ∧ c ↔ b ∧ c) ↔ c → (a ↔ b) :=
    @and_congr_left_iff

theorem lemma_and_iff_left_of_imp : ∀ {a b : Prop}, (a → b) → (a ∧ b ↔ a) := @and_iff_left_of_imp

theorem lemma_and_iff_right_of_imp : ∀ {b a : Prop}, (b → a) → (a ∧ b ↔ b) :=
    @and_iff_right_of_imp

theorem lemma_and_iff_left_iff_imp : ∀ {a b : Prop}, (a ∧ b ↔ a) ↔ a → b := @and_iff_left_iff_imp

theorem lemma_and_iff_right_iff_imp : ∀ {a b : Prop}, (a ∧ b ↔ b) ↔ b → a :=
    @and_iff_right_iff_imp

theorem lemma_iff_self_and : ∀ {p q : Prop}, (p ↔ p ∧ q) ↔ p → q := @iff_self_and

theorem lemma_iff_and_self : ∀ {p q : Prop}, (p ↔ q ∧ p) ↔ p → q := @iff_and_self

theorem lemma_and_self_iff : ∀ {a : Prop}, a ∧ a ↔ a := @and_self_iff

theorem lemma_and_not_self_iff : ∀ (a : Prop), a ∧ ¬a ↔ False := @and_not_self_iff

theorem lemma_not_and_self_iff : ∀ (a : Prop), ¬a ∧ a ↔ False := @not_and_self_iff

theorem lemma_And_imp : ∀ {a c b d : Prop}, (a → c) → (b → d) → a ∧ b → c ∧ d := @And.imp

theorem lemma_And_imp_left : ∀ {a b c : Prop}, (a → b) → a ∧ c → b ∧ c := @And.imp_left

theorem lemma_And_imp_right : ∀ {a b c : Prop}, (a → b) → c ∧ a → c ∧ b := @And.imp_right

theorem lemma_and_congr : ∀ {a c b d : Prop}, (a ↔ c) → (b ↔ d) → (a ∧ b ↔ c ∧ d) := @and_congr

theorem lemma_and_congr_left_prime : ∀ {a b c : Prop}, (a ↔ b) → (a ∧ c ↔ b ∧ c) :=
    @and_congr_left'

theorem lemma_and_congr_right_prime : ∀ {b c a : Prop}, (b ↔ c) → (a ∧ b ↔ a ∧ c) :=
    @and_congr_right'

theorem lemma_not_and_of_not_left : ∀ {a : Prop} (b : Prop), ¬a → ¬(a ∧ b) := @not_and_of_not_left

theorem lemma_not_and_of_not_right : ∀ (a : Prop) {b : Prop}, ¬b → ¬(a ∧ b) :=
    @not_and_of_not_right

theorem lemma_and_congr_right_eq : ∀ {a b c : Prop}, (a → b = c) → (a ∧ b) = (a ∧ c) :=
    @and_congr_right_eq

theorem lemma_and_congr_left_eq : ∀ {c a b : Prop}, (c → a = b) → (a ∧ c) = (b ∧ c) :=
    @and_congr_left_eq

theorem lemma_and_left_comm : ∀ {a b c : Prop}, a ∧ b ∧ c ↔ b ∧ a ∧ c := @and_left_comm

theorem lemma_and_right_comm : ∀ {a b c : Prop}, (a ∧ b) ∧ c ↔ (a ∧ c) ∧ b := @and_right_comm

theorem lemma_and_rotate : ∀ {a b c : Prop}, a ∧ b ∧ c ↔ b ∧ c ∧ a := @and_rotate

theorem lemma_and_and_and_comm : ∀ {a b c d : Prop}, (a ∧ b) ∧ c ∧ d ↔ (a ∧ c) ∧ b ∧ d :=
    @and_and_and_comm

theorem lemma_and_and_left : ∀ {a b c : Prop}, a ∧ b ∧ c ↔ (a ∧ b) ∧ a ∧ c := @and_and_left

theorem lemma_and_and_right : ∀ {a b c : Prop}, (a ∧ b) ∧ c ↔ (a ∧ c) ∧ b ∧ c := @and_and_right

theorem lemma_and_iff_left : ∀ {b a : Prop}, b → (a ∧ b ↔ a) := @and_iff_left

theorem lemma_and_iff_right : ∀ {a b : Prop}, a → (a ∧ b ↔ b) := @and_iff_right

theorem lemma_Or_symm : ∀ {a b : Prop}, a ∨ b → b ∨ a := @Or.symm

theorem lemma_Or_comm : ∀ {a b : Prop}, a ∨ b ↔ b ∨ a := @Or.comm

theorem lemma_or_comm : ∀ {a b : Prop}, a ∨ b ↔ b ∨ a := @or_comm

theorem lemma_or_self : ∀ (p : Prop), (p ∨ p) = p := @or_self

theorem lemma_or_true : ∀ (p : Prop), (p ∨ True) = True := @or_true

theorem lemma_true_or : ∀ (p : Prop), (True ∨ p) = True := @true_or

theorem lemma_or_false : ∀ (p : Prop), (p ∨ False) = p := @or_false

theorem lemma_false_or : ∀ (p : Prop), (False ∨ p) = p := @false_or

theorem lemma_Or_imp : ∀ {a c b d : Prop}, (a → c) → (b → d) → a ∨ b → c ∨ d := @Or.imp

theorem lemma_Or_imp_left : ∀ {a b c : Prop}, (a → b) → a ∨ c → b ∨ c := @Or.imp_left

theorem lemma_Or_imp_right : ∀ {b c a : Prop}, (b → c) → a ∨ b → a ∨ c := @Or.imp_right

theorem lemma_or_assoc : ∀ {a b c : Prop}, (a ∨ b) ∨ c ↔ a ∨ b ∨ c := @or_assoc

theorem lemma_Or_rotate : ∀ {a b c : Prop}, a ∨ b ∨ c → b ∨ c ∨ a := @Or.rotate

theorem lemma_or_self_left : ∀ {a b : Prop}, a ∨ a ∨ b ↔ a ∨ b := @or_self_left

theorem lemma_or_self_right : ∀ {a b : Prop}, (a ∨ b) ∨ b ↔ a ∨ b := @or_self_right

theorem lemma_or_iff_right_of_imp : ∀ {a b : Prop}, (a → b) → (a ∨ b ↔ b) := @or_iff_right_of_imp

theorem lemma_or_iff_left_of_imp : ∀ {b a : Prop}, (b → a) → (a ∨ b ↔ a) := @or_iff_left_of_imp

theorem lemma_or_iff_left_iff_imp : ∀ {a b : Prop}, (a ∨ b ↔ a) ↔ b → a := @or_iff_left_iff_imp

theorem lemma_or_iff_right_iff_imp : ∀ {a b : Prop}, (a ∨ b ↔ b) ↔ a → b := @or_iff_right_iff_imp

theorem lemma_iff_self_or : ∀ {a b : Prop}, (a ↔ a ∨ b) ↔ b → a := @iff_self_or

theorem lemma_iff_or_self : ∀ {a b : Prop}, (b ↔ a ∨ b) ↔ a → b := @iff_or_self

theorem lemma_or_self_iff : ∀ {a : Prop}, a ∨ a ↔ a := @or_self_iff

theorem lemma_not_or_intro : ∀ {a b : Prop}, ¬a → ¬b → ¬(a ∨ b) := @not_or_intro

theorem lemma_or_congr : ∀ {a c b d : Prop}, (a ↔ c) → (b ↔ d) → (a ∨ b ↔ c ∨ d) := @or_congr

theorem lemma_or_congr_left : ∀ {a b c : Prop}, (a ↔ b) → (a ∨ c ↔ b ∨ c) := @or_congr_left

theorem lemma_or_congr_right : ∀ {b c a : Prop}, (b ↔ c) → (a ∨ b ↔ a ∨ c) := @or_congr_right

theorem lemma_or_left_comm : ∀ {a b c : Prop}, a ∨ b ∨ c ↔ b ∨ a ∨ c := @or_left_comm

theorem lemma_or_right_comm : ∀ {a b c : Prop}, (a ∨ b) ∨ c ↔ (a ∨ c) ∨ b := @or_right_comm

theorem lemma_or_or_or_comm : ∀ {a b c d : Prop}, (a ∨ b) ∨ c ∨ d ↔ (a ∨ c) ∨ b ∨ d :=
    @or_or_or_comm

theorem lemma_or_or_distrib_left : ∀ {a b c : Prop}, a ∨ b ∨ c ↔ (a ∨ b) ∨ a ∨ c :=
    @or_or_distrib_left

theorem lemma_or_or_distrib_right : ∀ {a b c : Prop}, (a ∨ b) ∨ c ↔ (a ∨ c) ∨ b ∨ c :=
    @or_or_distrib_right

theorem lemma_or_rotate : ∀ {a b c : Prop}, a ∨ b ∨ c ↔ b ∨ c ∨ a := @or_rotate

theorem lemma_or_iff_left : ∀ {b a : Prop}, ¬b → (a ∨ b ↔ a) := @or_iff_left

theorem lemma_or_iff_right : ∀ {a b : Prop}, ¬a → (a ∨ b ↔ b) := @or_iff_right

theorem lemma_iff_self : ∀ (p : Prop), (p ↔ p) = True := @iff_self

theorem lemma_iff_true : ∀ (p : Prop), (p ↔ True) = p := @iff_true

theorem lemma_true_iff : ∀ (p : Prop), (True ↔ p) = p := @true_iff

theorem lemma_iff_false : ∀ (p : Prop), (p ↔ False) = ¬p := @iff_false

theorem lemma_false_iff : ∀ (p : Prop), (False ↔ p) = ¬p := @false_iff

theorem lemma_false_implies : ∀ (p : Prop), (False → p) = True := @false_implies

theorem lemma_forall_false : ∀ (p : False → Prop), (∀ (h : False), p h) = True := @forall_false

theorem lemma_implies_true : ∀ (α : Type), (∀ (a : α), True) = True := @implies_true

theorem lemma_true_implies : ∀ (p : Prop), (True → p) = p := @true_implies

theorem lemma_not_false_eq_true : (¬False) = True := @not_false_eq_true

theorem lemma_not_true_eq_false : (¬True) = False := @not_true_eq_false

theorem lemma_not_not_em : ∀ (a : Prop), ¬¬(a ∨ ¬a) := @not_not_em

theorem lemma_iff_not_self : ∀ {a : Prop}, ¬(a ↔ ¬a) := @iff_not_self

theorem lemma_not_iff_self : ∀ {a : Prop}, ¬(¬a ↔ a) := @not_iff_self

theorem lemma_not_not_not : ∀ {a : Prop}, ¬¬¬a ↔ ¬a := @not_not_not

theorem lemma_not_true : ¬True ↔ False := @not_true

theorem lemma_not_false_iff : ¬False ↔ True := @not_false_iff

theorem lemma_iff_congr : ∀ {p₁ p₂ q₁ q₂ : Prop}, (p₁ ↔ p₂) → (q₁ ↔ q₂) → ((p₁ ↔ q₁) ↔ (p₂ ↔ q₂))
    := @iff_congr

theorem lemma_imp_congr : ∀ {a c b d : Prop}, (a ↔ c) → (b ↔ d) → (a → b ↔ c → d) := @imp_congr

theorem lemma_imp_congr_left : ∀ {a b c : Prop}, (a ↔ b) → (a → c ↔ b → c) := @imp_congr_left

theorem lemma_imp_congr_right : ∀ {a : Type} {b c : Prop}, (∀ (a : a), b ↔ c) → ((∀ (a : a), b) ↔
    ∀ (a : a), c) := @imp_congr_right

theorem lemma_imp_intro : ∀ {α β : Prop}, α → β → α := @imp_intro

theorem lemma_imp_imp_imp : ∀ {a b c d : Prop}, (c → a) → (b → d) → (a → b) → c → d :=
    @imp_imp_imp

theorem lemma_imp_iff_right : ∀ {b a : Prop}, a → (a → b ↔ b) := @imp_iff_right

theorem lemma_imp_true_iff : ∀ (α : Type), (∀ (a : α), True) ↔ True := @imp_true_iff

theorem lemma_false_imp_iff : ∀ (a : Prop), False → a ↔ True := @false_imp_iff

theorem lemma_true_imp_iff : ∀ {α : Prop}, True → α ↔ α := @true_imp_iff

theorem lemma_imp_self : ∀ {a : Prop}, a → a ↔ True := @imp_self

theorem lemma_imp_false : ∀ {a : Prop}, a → False ↔ ¬a := @imp_false

theorem lemma_imp_swap : ∀ {a : Type} {b : Type} {c : Prop}, (∀ (a : a) (a : b), c) ↔ ∀ (a_1 : b)
    (a : a), c := @imp.swap

theorem lemma_imp_not_comm : ∀ {a b : Prop}, a → ¬b ↔ b → ¬a := @imp_not_comm

theorem lemma_imp_and : ∀ {b c : Prop} {α : Type}, (∀ (a : α), b ∧ c) ↔ (∀ (a : α), b) ∧ ∀ (a :
    α), c := @imp_and

theorem lemma_not_imp_of_and_not : ∀ {a b : Prop}, a ∧ ¬b → ¬(a → b) := @not_imp_of_and_not

theorem lemma_not_and_prime : ∀ {a b : Prop}, ¬(a ∧ b) ↔ b → ¬a := @not_and'

theorem lemma_or_imp : ∀ {a b c : Prop}, a ∨ b → c ↔ (a → c) ∧ (b → c) := @or_imp

theorem lemma_not_or : ∀ {p q : Prop}, ¬(p ∨ q) ↔ ¬p ∧ ¬q := @not_or

theorem lemma_not_and_of_not_or_not : ∀ {a b : Prop}, ¬a ∨ ¬b → ¬(a ∧ b) := @not_and_of_not_or_not

theorem lemma_and_or_left : ∀ {a b c : Prop}, a ∧ (b ∨ c) ↔ a ∧ b ∨ a ∧ c := @and_or_left

theorem lemma_or_and_right : ∀ {a b c : Prop}, (a ∨ b) ∧ c ↔ a ∧ c ∨ b ∧ c := @or_and_right

theorem lemma_or_and_left : ∀ {a b c : Prop}, a ∨ b ∧ c ↔ (a ∨ b) ∧ (a ∨ c) := @or_and_left

theorem lemma_and_or_right : ∀ {a b c : Prop}, a ∧ b ∨ c ↔ (a ∨ c) ∧ (b ∨ c) := @and_or_right

theorem lemma_ne_eq : ∀ {α : Type} (a b : α), (a ≠ b) = ¬a = b := @ne_eq

theorem lemma_eq_comm : ∀ {α : Type} {a b : α}, a = b ↔ b = a := @eq_comm

theorem lemma_Eq_comm : ∀ {α : Type} {a b : α}, a = b ↔ b = a := @Eq.comm

theorem lemma_Exists_elim : ∀ {α : Type} {p : α → Prop} {b : Prop}, (∃ (x : α), p x) → (∀ (a : α),
    p a → b) → b := @Exists.elim

theorem lemma_forall_imp : ∀ {α : Type} {p q : α → Prop}, (∀ (a : α), p a → q a) → (∀ (a : α), p
    a) → ∀ (a : α), q a := @forall_imp

theorem lemma_Exists_imp : ∀ {α : Type} {p q : α → Prop}, (∀ (a : α), p a → q a) → (∃ (a : α), p
    a) → ∃ (a : α), q a := @Exists.imp

theorem lemma_Exists_imp_prime : ∀ {α : Type} {p : α → Prop} {β : Type} {q : β → Prop} (f : α →
    β), (∀ (a : α), p a → q (f a)) → (∃ (a : α), p a) → ∃ (b : β), q b := @Exists.imp'

theorem lemma_exists_imp : ∀ {α : Type} {p : α → Prop} {b : Prop}, (∃ (x : α), p x) → b ↔ ∀ (x :
    α), p x → b := @exists_imp

theorem lemma_exists_const : ∀ {b : Prop} (α : Type) [i : Nonempty α], (∃ (x : α), b) ↔ b :=
    @exists_const

theorem lemma_exists_prop_of_true : ∀ {p : Prop} {q : p → Prop} (h : p), (∃ (h' : p), q h') ↔ q h
    := @exists_prop_of_true

theorem lemma_exists_true_left : ∀ {p : True → Prop}, Exists p ↔ p True.intro := @exists_true_left

theorem lemma_forall_congr_prime : ∀ {α : Type} {p q : α → Prop}, (∀ (a : α), p a ↔ q a) → ((∀ (a
    : α), p a) ↔ ∀ (a : α), q a) := @forall_congr'

theorem lemma_exists_congr : ∀ {α : Type} {p q : α → Prop}, (∀ (a : α), p a ↔ q a) → ((∃ (a : α),
    p a) ↔ ∃ (a : α), q a) := @exists_congr

theorem lemma_not_exists : ∀ {α : Type} {p : α → Prop}, (¬∃ (x : α), p x) ↔ ∀ (x : α), ¬p x :=
    @not_exists

theorem lemma_forall_not_of_not_exists : ∀ {α : Type} {p : α → Prop}, (¬∃ (x : α), p x) → ∀ (x :
    α), ¬p x := @forall_not_of_not_exists

theorem lemma_not_exists_of_forall_not : ∀ {α : Type} {p : α → Prop}, (∀ (x : α), ¬p x) → ¬∃ (x :
    α), p x := @not_exists_of_forall_not

theorem lemma_forall_and : ∀ {α : Type} {p q : α → Prop}, (∀ (x : α), p x ∧ q x) ↔ (∀ (x : α), p
    x) ∧ ∀ (x : α), q x := @forall_and

theorem lemma_exists_or : ∀ {α : Type} {p q : α → Prop}, (∃ (x : α), p x ∨ q x) ↔ (∃ (x : α), p x)
    ∨ ∃ (x : α), q x := @exists_or

theorem lemma_exists_false : ∀ {α : Type}, ¬∃ (_a : α), False := @exists_false

theorem lemma_forall_const : ∀ {b : Prop} (α : Type) [i : Nonempty α], (∀ (a : α), b) ↔ b :=
    @forall_const

theorem lemma_Exists_nonempty : ∀ {α : Type} {p : α → Prop}, (∃ (x : α), p x) → Nonempty α :=
    @Exists.nonempty

theorem lemma_not_forall_of_exists_not : ∀ {α : Type} {p : α → Prop}, (∃ (x : α), ¬p x) → ¬∀ (x :
    α), p x := @not_forall_of_exists_not

theorem lemma_forall_eq : ∀ {α : Type} {p : α → Prop} {a' : α}, (∀ (a : α), a = a' → p a) ↔ p a'
    := @forall_eq

theorem lemma_forall_eq_prime : ∀ {α : Type} {p : α → Prop} {a' : α}, (∀ (a : α), a' = a → p a) ↔
    p a' := @forall_eq'

theorem lemma_exists_eq : ∀ {α : Type} {a' : α}, ∃ (a : α), a = a' := @exists_eq

theorem lemma_exists_eq_prime : ∀ {α : Type} {a' : α}, ∃ (a : α), a' = a := @exists_eq'

theorem lemma_exists_eq_left : ∀ {α : Type} {p : α → Prop} {a' : α}, (∃ (a : α), a = a' ∧ p a) ↔ p
    a' := @exists_eq_left

theorem lemma_exists_eq_right : ∀ {α : Type} {p : α → Prop} {a' : α}, (∃ (a : α), p a ∧ a = a') ↔
    p a' := @exists_eq_right

theorem lemma_exists_eq_left_prime : ∀ {α : Type} {p : α → Prop} {a' : α}, (∃ (a : α), a' = a ∧ p
    a) ↔ p a' := @exists_eq_left'

theorem lemma_exists_eq_right_prime : ∀ {α : Type} {p : α → Prop} {a' : α}, (∃ (a : α), p a ∧ a' =
    a) ↔ p a' := @exists_eq_right'

theorem lemma_exists_and_left : ∀ {α : Type} {p : α → Prop} {b : Prop}, (∃ (x : α), b ∧ p x) ↔ b ∧
    ∃ (x : α), p x := @exists_and_left

theorem lemma_exists_and_right : ∀ {α : Type} {p : α → Prop} {b : Prop}, (∃ (x : α), p x ∧ b) ↔ (∃
    (x : α), p x) ∧ b := @exists_and_right

theorem lemma_exists_prop : ∀ {a b : Prop}, (∃ (_h : a), b) ↔ a ∧ b := @exists_prop

theorem lemma_exists_prop_prime : ∀ {α : Type} {p : Prop}, (∃ (x : α), p) ↔ Nonempty α ∧ p :=
    @exists_prop'

theorem lemma_forall_prop_of_true : ∀ {p : Prop} {q : p → Prop} (h : p), (∀ (h' : p), q h') ↔ q h
    := @forall_prop_of_true

theorem lemma_forall_prop_of_false : ∀ {p : Prop} {q : p → Prop}, ¬p → ((∀ (h' : p), q h') ↔ True)
    := @forall_prop_of_false

theorem lemma_forall_comm : ∀ {α : Type} {β : Type} {p : α → β → Prop}, (∀ (a : α) (b : β), p a b)
    ↔ ∀ (b : β) (a : α), p a b := @forall_comm

theorem lemma_exists_comm : ∀ {α : Type} {β : Type} {p : α → β → Prop}, (∃ (a : α), ∃ (b : β), p a
    b) ↔ ∃ (b : β), ∃ (a : α), p a b := @exists_comm

theorem lemma_exists_apply_eq_apply : ∀ {α : Type} {β : Type} (f : α → β) (a' : α), ∃ (a : α), f a
    = f a' := @exists_apply_eq_apply

theorem lemma_Subsingleton_elim : ∀ {α : Type} [h : Subsingleton α] (a b : α), a = b :=
    @Subsingleton.elim

theorem lemma_Decidable_of_not_not : ∀ {p : Prop} [Decidable p], ¬¬p → p := @Decidable.of_not_not

theorem lemma_Decidable_not_not : ∀ {p : Prop} [Decidable p], ¬¬p ↔ p := @Decidable.not_not

theorem lemma_Decidable_not_and_iff_or_not_not : ∀ {p q : Prop} [Decidable p], ¬(p ∧ q) ↔ ¬p ∨ ¬q
    := @Decidable.not_and_iff_or_not_not

theorem lemma_Decidable_not_and_iff_not_or_not : ∀ {a b : Prop} [Decidable a], ¬(a ∧ b) ↔ ¬a ∨ ¬b
    := @Decidable.not_and_iff_not_or_not

theorem lemma_Decidable_not_imp_iff_and_not : ∀ {a b : Prop} [Decidable a], ¬(a → b) ↔ a ∧ ¬b :=
    @Decidable.not_imp_iff_and_not

theorem lemma_Decidable_or_iff_not_imp_left : ∀ {a b : Prop} [Decidable a], a ∨ b ↔ ¬a → b :=
    @Decidable.or_iff_not_imp_left

theorem lemma_Decidable_or_iff_not_imp_right : ∀ {b a : Prop} [Decidable b], a ∨ b ↔ ¬b → a :=
    @Decidable.or_iff_not_imp_right

theorem lemma_Decidable_not_imp_not : ∀ {a b : Prop} [Decidable a], ¬a → ¬b ↔ b → a :=
    @Decidable.not_imp_not

theorem lemma_Decidable_imp_iff_not_or : ∀ {a b : Prop} [Decidable a], a → b ↔ ¬a ∨ b :=
    @Decidable.imp_iff_not_or

theorem lemma_Decidable_not_forall : ∀ {α : Type} {p : α → Prop} [Decidable (∃ (x : α), ¬p x)] [(x
    : α) → Decidable (p x)], (¬∀ (x : α), p x) ↔ ∃ (x : α), ¬p x := @Decidable.not_forall

theorem lemma_Decidable_peirce : ∀ (a b : Prop) [Decidable a], ((a → b) → a) → a :=
    @Decidable.peirce

theorem lemma_Classical_not_not : ∀ {a : Prop}, ¬¬a ↔ a := @Classical.not_not

theorem lemma_Classical_not_forall : ∀ {α : Type} {p : α → Prop}, (¬∀ (x : α), p x) ↔ ∃ (x : α),
    ¬p x := @Classical.not_forall

theorem lemma_Classical_not_forall_not : ∀ {α : Type} {p : α → Prop}, (¬∀ (x : α), ¬p x) ↔ ∃ (x :
    α), p x := @Classical.not_forall_not

theorem lemma_Classical_not_exists_not : ∀ {α : Type} {p : α → Prop}, (¬∃ (x : α), ¬p x) ↔ ∀ (x :
    α), p x := @Classical.not_exists_not

theorem lemma_Classical_exists_of_not_forall_not : ∀ {α : Type} {p : α → Prop}, (¬∀ (x : α), ¬p x)
    → ∃ (x : α), p x := @Classical.exists_of_not_forall_not

theorem lemma_Classical_forall_or_exists_not : ∀ {α : Type} (P : α → Prop), (∀ (a : α), P a) ∨ ∃
    (a : α), ¬P a := @Classical.forall_or_exists_not

theorem lemma_Classical_exists_or_forall_not : ∀ {α : Type} (P : α → Prop), (∃ (a : α), P a) ∨ ∀
    (a : α), ¬P a := @Classical.exists_or_forall_not

theorem lemma_Classical_or_iff_not_imp_left : ∀ {a b : Prop}, a ∨ b ↔ ¬a → b :=
    @Classical.or_iff_not_imp_left

theorem lemma_Classical_or_iff_not_imp_right : ∀ {a b : Prop}, a ∨ b ↔ ¬b → a :=
    @Classical.or_iff_not_imp_right

theorem lemma_Classical_not_imp_iff_and_not : ∀ {a b : Prop}, ¬(a → b) ↔ a ∧ ¬b :=
    @Classical.not_imp_iff_and_not

theorem lemma_Classical_not_and_iff_not_or_not : ∀ {a b : Prop}, ¬(a ∧ b) ↔ ¬a ∨ ¬b :=
    @Classical.not_and_iff_not_or_not

theorem lemma_Classical_not_and_iff_or_not_not : ∀ {a b : Prop}, ¬(a ∧ b) ↔ ¬a ∨ ¬b :=
    @Classical.not_and_iff_or_not_not

theorem lemma_Classical_not_iff : ∀ {a b : Prop}, ¬(a ↔ b) ↔ (¬a ↔ b) := @Classical.not_iff

theorem lemma_Classical_imp_iff_left_iff : ∀ {b a : Prop}, (b ↔ a → b) ↔ a ∨ b :=
    @Classical.imp_iff_left_iff

theorem lemma_Classical_imp_iff_not_or : ∀ {a b : Prop}, a → b ↔ ¬a ∨ b :=
    @Classical.imp_iff_not_or

theorem lemma_Classical_or_not : ∀ {a : Prop}, a ∨ ¬a := @Classical.or_not

theorem lemma_Classical_propComplete : ∀ (a : Prop), a = True ∨ a = False :=
    @Classical.propComplete

theorem lemma_not_imp : ∀ {a b : Prop}, ¬(a → b) ↔ a ∧ ¬b := @not_imp

theorem lemma_if_pos : ∀ {c : Prop} {h : Decidable c}, c → ∀ {α : Type} {t e : α}, (if c then t
    else e) = t := @if_pos

theorem lemma_if_neg : ∀ {c : Prop} {h : Decidable c}, ¬c → ∀ {α : Type} {t e : α}, (if c then t
    else e) = e := @if_neg

theorem lemma_ite_eq_left : ∀ {c : Prop} {h : Decidable c}, c → ∀ {α : Type} {t e : α}, (if c then
    t else e) = t := @ite_eq_left

theorem lemma_ite_eq_right : ∀ {c : Prop} {h : Decidable c}, ¬c → ∀ {α : Type} {t e : α}, (if c
    then t else e) = e := @ite_eq_right

theorem lemma_ite_true : ∀ {α : Type} (a b : α), (if True then a else b) = a := @ite_true

theorem lemma_ite_false : ∀ {α : Type} (a b : α), (if False then a else b) = b := @ite_false

theorem lemma_ite_cond_eq_true : ∀ {α : Type} {c : Prop} {x : Decidable c} (a b : α), c = True →
    (if c then a else b) = a := @ite_cond_eq_true

theorem lemma_ite_cond_eq_false : ∀ {α : Type} {c : Prop} {x : Decidable c} (a b : α), c = False →
    (if c then a else b) = b := @ite_cond_eq_false

theorem lemma_ite_eq_left_of_eq_true : ∀ {α : Type} {c : Prop} {x : Decidable c} (a b : α), c =
    True → (if c then a else b) = a := @ite_eq_left_of_eq_true

theorem lemma_ite_eq_right_of_eq_false : ∀ {α : Type} {c : Prop} {x : Decidable c} (a b : α), c =
    False → (if c then a else b) = b := @ite_eq_right_of_eq_false

theorem lemma_ite_self : ∀ {α : Type} {c : Prop} {d : Decidable c} (a : α), (if c then a else a) =
    a := @ite_self

theorem lemma_ite_not : ∀ {α : Type} (p : Prop) [inst : Decidable p] (x y : α), (if ¬p then x else
    y) = if p then y else x := @ite_not

theorem lemma_beq_of_eq : ∀ {α : Type} [inst : BEq α] [ReflBEq α] {a b : α}, a = b → (a == b) =
    Bool.true := @beq_of_eq

theorem lemma_beq_self_eq_true : ∀ {α : Type} [inst : BEq α] [ReflBEq α] (a : α), (a == a) =
    Bool.true := @beq_self_eq_true

theorem lemma_beq_iff_eq : ∀ {α : Type} [inst : BEq α] [LawfulBEq α] {a b : α}, (a == b) =
    Bool.true ↔ a = b := @beq_iff_eq

theorem lemma_decide_eq_true_eq : ∀ {p : Prop} [inst : Decidable p], (Decidable.decide p =
    Bool.true) = p := @decide_eq_true_eq

theorem lemma_decide_eq_true_iff : ∀ {p : Prop} [inst : Decidable p], Decidable.decide p =
    Bool.true ↔ p := @decide_eq_true_iff

theorem lemma_decide_eq_false_iff_not : ∀ {p : Prop} {x : Decidable p}, Decidable.decide p =
    Bool.false ↔ ¬p := @decide_eq_false_iff_not

theorem lemma_decide_true : Decidable.decide True = Bool.true := @decide_true

theorem lemma_decide_false : Decidable.decide False = Bool.false := @decide_false

theorem lemma_cond_true : ∀ {α : Type} (a b : α), (bif Bool.true then a else b) = a := @cond_true

theorem lemma_cond_false : ∀ {α : Type} (a b : α), (bif Bool.false then a else b) = b :=
    @cond_false

theorem lemma_Bool_or_false : ∀ (b : Bool), (b || Bool.false) = b := @Bool.or_false

theorem lemma_Bool_or_true : ∀ (b : Bool), (b || Bool.true) = Bool.true := @Bool.or_true

theorem lemma_Bool_false_or : ∀ (b : Bool), (Bool.false || b) = b := @Bool.false_or

theorem lemma_Bool_true_or : ∀ (b : Bool), (Bool.true || b) = Bool.true := @Bool.true_or

theorem lemma_Bool_or_self : ∀ (b : Bool), (b || b) = b := @Bool.or_self

theorem lemma_Bool_and_false : ∀ (b : Bool), (b && Bool.false) = Bool.false := @Bool.and_false

theorem lemma_Bool_and_true : ∀ (b : Bool), (b && Bool.true) = b := @Bool.and_true

theorem lemma_Bool_false_and : ∀ (b : Bool), (Bool.false && b) = Bool.false := @Bool.false_and

theorem lemma_Bool_true_and : ∀ (b : Bool), (Bool.true && b) = b := @Bool.true_and

theorem lemma_Bool_and_self : ∀ (b : Bool), (b && b) = b := @Bool.and_self

theorem lemma_Bool_not_not : ∀ (b : Bool), (!!b) = b := @Bool.not_not

theorem lemma_Bool_not_true : (!Bool.true) = Bool.false := @Bool.not_true

theorem lemma_Bool_not_false : (!Bool.false) = Bool.true := @Bool.not_false

theorem lemma_Bool_and_comm : ∀ (x y : Bool), (x && y) = (y && x) := @Bool.and_comm

theorem lemma_Bool_or_comm : ∀ (x y : Bool), (x || y) = (y || x) := @Bool.or_comm

theorem lemma_Bool_and_assoc : ∀ (a b c : Bool), (a && b && c) = (a && (b && c)) :=
    @Bool.and_assoc

theorem lemma_Bool_or_assoc : ∀ (a b c : Bool), (a || b || c) = (a || (b || c)) := @Bool.or_assoc

theorem lemma_Bool_or_eq_true : ∀ (a b : Bool), ((a || b) = Bool.true) = (a = Bool.true ∨ b =
    Bool.true) := @Bool.or_eq_true

theorem lemma_Bool_and_eq_true : ∀ (a b : Bool), ((a && b) = Bool.true) = (a = Bool.true ∧ b =
    Bool.true) := @Bool.and_eq_true

theorem lemma_Bool_not_eq_true : ∀ (b : Bool), (¬b = Bool.true) = (b = Bool.false) :=
    @Bool.not_eq_true

theorem lemma_Bool_not_eq_false : ∀ (b : Bool), (¬b = Bool.false) = (b = Bool.true) :=
    @Bool.not_eq_false

theorem lemma_Bool_not_eq_true_prime : ∀ (b : Bool), ((!b) = Bool.true) = (b = Bool.false) :=
    @Bool.not_eq_true'

theorem lemma_Bool_not_eq_false_prime : ∀ (b : Bool), ((!b) = Bool.false) = (b = Bool.true) :=
    @Bool.not_eq_false'

theorem lemma_Bool_eq_false_or_eq_true : ∀ (b : Bool), b = Bool.true ∨ b = Bool.false :=
    @Bool.eq_false_or_eq_true

theorem lemma_Bool_false_ne_true : Bool.false ≠ Bool.true := @Bool.false_ne_true

theorem lemma_beq_eq_false_iff_ne : ∀ {α : Type} [inst : BEq α] [LawfulBEq α] {a b : α}, (a == b)
    = Bool.false ↔ a ≠ b := @beq_eq_false_iff_ne

theorem lemma_bne_iff_ne : ∀ {α : Type} [inst : BEq α] [LawfulBEq α] {a b : α}, (a != b) =
    Bool.true ↔ a ≠ b := @bne_iff_ne

theorem lemma_Nat_zero_eq : Nat.zero = 0 := @Nat.zero_eq

theorem lemma_Nat_add_eq : ∀ {x y : Nat}, x.add y = x + y := @Nat.add_eq

theorem lemma_Nat_mul_eq : ∀ {x y : Nat}, x.mul y = x * y := @Nat.mul_eq

theorem lemma_Nat_sub_eq : ∀ {x y : Nat}, x.sub y = x - y := @Nat.sub_eq

theorem lemma_Nat_lt_eq : ∀ {m n : Nat}, m.lt n = (m < n) := @Nat.lt_eq

theorem lemma_Nat_le_eq : ∀ {m n : Nat}, m.le n = (m ≤ n) := @Nat.le_eq

theorem lemma_Nat_pred_zero : Nat.pred 0 = 0 := @Nat.pred_zero

theorem lemma_Nat_pred_succ : ∀ (n : Nat), n.succ.pred = n := @Nat.pred_succ

theorem lemma_Nat_pred_eq_sub_one : ∀ (n : Nat), n.pred = n - 1 := @Nat.pred_eq_sub_one

theorem lemma_Nat_add_zero : ∀ (n : Nat), n + 0 = n := @Nat.add_zero

theorem lemma_Nat_zero_add : ∀ (n : Nat), 0 + n = n := @Nat.zero_add

theorem lemma_Nat_succ_add : ∀ (n m : Nat), n.succ + m = (n + m).succ := @Nat.succ_add

theorem lemma_Nat_add_succ : ∀ (n m : Nat), n + m.succ = (n + m).succ := @Nat.add_succ

theorem lemma_Nat_add_one : ∀ (n : Nat), n + 1 = n.succ := @Nat.add_one

theorem lemma_Nat_succ_eq_add_one : ∀ (n : Nat), n.succ = n + 1 := @Nat.succ_eq_add_one

theorem lemma_Nat_add_one_ne_zero : ∀ (n : Nat), n + 1 ≠ 0 := @Nat.add_one_ne_zero

theorem lemma_Nat_succ_ne_zero : ∀ (n : Nat), n.succ ≠ 0 := @Nat.succ_ne_zero

theorem lemma_Nat_zero_ne_one : 0 ≠ 1 := @Nat.zero_ne_one

theorem lemma_Nat_one_ne_zero : 1 ≠ 0 := @Nat.one_ne_zero

theorem lemma_Nat_zero_ne_add_one : ∀ (n : Nat), 0 ≠ n + 1 := @Nat.zero_ne_add_one

theorem lemma_Nat_succ_inj : ∀ {a b : Nat}, a.succ = b.succ ↔ a = b := @Nat.succ_inj

theorem lemma_Nat_succ_ne_self : ∀ (n : Nat), n.succ ≠ n := @Nat.succ_ne_self

theorem lemma_Nat_add_comm : ∀ (n m : Nat), n + m = m + n := @Nat.add_comm

theorem lemma_Nat_add_assoc : ∀ (n m k : Nat), n + m + k = n + (m + k) := @Nat.add_assoc

theorem lemma_Nat_add_left_comm : ∀ (n m k : Nat), n + (m + k) = m + (n + k) := @Nat.add_left_comm

theorem lemma_Nat_add_right_comm : ∀ (n m k : Nat), n + m + k = n + k + m := @Nat.add_right_comm

theorem lemma_Nat_add_left_cancel : ∀ {n m k : Nat}, n + m = n + k → m = k := @Nat.add_left_cancel

theorem lemma_Nat_add_right_cancel : ∀ {n m k : Nat}, n + m = k + m → n = k :=
    @Nat.add_right_cancel

theorem lemma_Nat_add_left_cancel_iff : ∀ {m k n : Nat}, n + m = n + k ↔ m = k :=
    @Nat.add_left_cancel_iff

theorem lemma_Nat_add_right_cancel_iff : ∀ {m k n : Nat}, m + n = k + n ↔ m = k :=
    @Nat.add_right_cancel_iff

theorem lemma_Nat_eq_zero_of_add_eq_zero : ∀ {n m : Nat}, n + m = 0 → n = 0 ∧ m = 0 :=
    @Nat.eq_zero_of_add_eq_zero

theorem lemma_Nat_add_eq_zero_iff : ∀ {n m : Nat}, n + m = 0 ↔ n = 0 ∧ m = 0 :=
    @Nat.add_eq_zero_iff

theorem lemma_Nat_eq_zero_of_add_eq_zero_left : ∀ {n m : Nat}, n + m = 0 → m = 0 :=
    @Nat.eq_zero_of_add_eq_zero_left

theorem lemma_Nat_eq_zero_of_add_eq_zero_right : ∀ {n m : Nat}, n + m = 0 → n = 0 :=
    @Nat.eq_zero_of_add_eq_zero_right

theorem lemma_Nat_mul_zero : ∀ (n : Nat), n * 0 = 0 := @Nat.mul_zero

theorem lemma_Nat_mul_succ : ∀ (n m : Nat), n * m.succ = n * m + n := @Nat.mul_succ

theorem lemma_Nat_mul_add_one : ∀ (a b : Nat), a * (b + 1) = a * b + a := @Nat.mul_add_one

theorem lemma_Nat_zero_mul : ∀ (n : Nat), 0 * n = 0 := @Nat.zero_mul

theorem lemma_Nat_succ_mul : ∀ (n m : Nat), n.succ * m = n * m + m := @Nat.succ_mul

theorem lemma_Nat_add_one_mul : ∀ (a b : Nat), (a + 1) * b = a * b + b := @Nat.add_one_mul

theorem lemma_Nat_mul_comm : ∀ (n m : Nat), n * m = m * n := @Nat.mul_comm

theorem lemma_Nat_mul_one : ∀ (n : Nat), n * 1 = n := @Nat.mul_one

theorem lemma_Nat_one_mul : ∀ (n : Nat), 1 * n = n := @Nat.one_mul

theorem lemma_Nat_left_distrib : ∀ (n m k : Nat), n * (m + k) = n * m + n * k := @Nat.left_distrib

theorem lemma_Nat_right_distrib : ∀ (n m k : Nat), (n + m) * k = n * k + m * k :=
    @Nat.right_distrib

theorem lemma_Nat_mul_add : ∀ (n m k : Nat), n * (m + k) = n * m + n * k := @Nat.mul_add

theorem lemma_Nat_add_mul : ∀ (n m k : Nat), (n + m) * k = n * k + m * k := @Nat.add_mul

theorem lemma_Nat_mul_assoc : ∀ (n m k : Nat), n * m * k = n * (m * k) := @Nat.mul_assoc

theorem lemma_Nat_mul_left_comm : ∀ (n m k : Nat), n * (m * k) = m * (n * k) := @Nat.mul_left_comm

theorem lemma_Nat_mul_right_comm : ∀ (n m k : Nat), n * m * k = n * k * m := @Nat.mul_right_comm

theorem lemma_Nat_two_mul : ∀ (n : Nat), 2 * n = n + n := @Nat.two_mul

theorem lemma_Nat_mul_two : ∀ (n : Nat), n * 2 = n + n := @Nat.mul_two

theorem lemma_Nat_pow_zero : ∀ (b : Nat), b ^ 0 = 1 := @Nat.pow_zero

theorem lemma_Nat_pow_succ : ∀ {b n : Nat}, b ^ (n + 1) = b ^ n * b := @Nat.pow_succ

theorem lemma_Nat_le_refl : ∀ (n : Nat), n ≤ n := @Nat.le_refl

theorem lemma_Nat_le_rfl : ∀ {n : Nat}, n ≤ n := @Nat.le_rfl

theorem lemma_Nat_le_succ : ∀ (n : Nat), n ≤ n.succ := @Nat.le_succ

theorem lemma_Nat_le_succ_of_le : ∀ {n m : Nat}, n ≤ m → n ≤ m.succ := @Nat.le_succ_of_le

theorem lemma_Nat_le_step : ∀ {n m : Nat}, n ≤ m → n ≤ m.succ := @Nat.le_step

theorem lemma_Nat_succ_pos : ∀ (n : Nat), 0 < n.succ := @Nat.succ_pos

theorem lemma_Nat_zero_lt_succ : ∀ (n : Nat), 0 < n.succ := @Nat.zero_lt_succ

theorem lemma_Nat_zero_lt_one : 0 < 1 := @Nat.zero_lt_one

theorem lemma_Nat_lt_irrefl : ∀ (n : Nat), ¬n < n := @Nat.lt_irrefl

theorem lemma_Nat_not_succ_le_self : ∀ (n : Nat), ¬n.succ ≤ n := @Nat.not_succ_le_self

theorem lemma_Nat_not_lt_zero : ∀ (n : Nat), ¬n < 0 := @Nat.not_lt_zero

theorem lemma_Nat_not_add_one_le_zero : ∀ (n : Nat), ¬n + 1 ≤ 0 := @Nat.not_add_one_le_zero

theorem lemma_Nat_succ_lt_succ : ∀ {n m : Nat}, n < m → n.succ < m.succ := @Nat.succ_lt_succ

theorem lemma_Nat_lt_succ_of_le : ∀ {n m : Nat}, n ≤ m → n < m.succ := @Nat.lt_succ_of_le

theorem lemma_Nat_le_of_lt_succ : ∀ {m n : Nat}, m < n.succ → m ≤ n := @Nat.le_of_lt_succ

theorem lemma_Nat_le_of_lt_add_one : ∀ {m n : Nat}, m < n + 1 → m ≤ n := @Nat.le_of_lt_add_one

theorem lemma_Nat_lt_add_one_of_le : ∀ {n m : Nat}, n ≤ m → n < m + 1 := @Nat.lt_add_one_of_le

theorem lemma_Nat_lt_add_one : ∀ (n : Nat), n < n + 1 := @Nat.lt_add_one

theorem lemma_Nat_lt_base : ∀ (n : Nat), n < n.succ := @Nat.lt.base

theorem lemma_Nat_lt_step : ∀ {n m : Nat}, n < m → n < m.succ := @Nat.lt.step

theorem lemma_Nat_lt_succ_self : ∀ (n : Nat), n < n.succ := @Nat.lt_succ_self

theorem lemma_Nat_le_of_succ_le : ∀ {n m : Nat}, n.succ ≤ m → n ≤ m := @Nat.le_of_succ_le

theorem lemma_Nat_lt_of_succ_lt : ∀ {n m : Nat}, n.succ < m → n < m := @Nat.lt_of_succ_lt

theorem lemma_Nat_le_of_lt : ∀ {n m : Nat}, n < m → n ≤ m := @Nat.le_of_lt

theorem lemma_Nat_lt_of_succ_lt_succ : ∀ {n m : Nat}, n.succ < m.succ → n < m :=
    @Nat.lt_of_succ_lt_succ

theorem lemma_Nat_lt_of_succ_le : ∀ {n m : Nat}, n.succ ≤ m → n < m := @Nat.lt_of_succ_le

theorem lemma_Nat_succ_le_of_lt : ∀ {n m : Nat}, n < m → n.succ ≤ m := @Nat.succ_le_of_lt

theorem lemma_Nat_succ_le : ∀ {n m : Nat}, n.succ ≤ m ↔ n < m := @Nat.succ_le

theorem lemma_Nat_lt_succ : ∀ {m n : Nat}, m < n.succ ↔ m ≤ n := @Nat.lt_succ

theorem lemma_Nat_lt_add_one_iff : ∀ {m n : Nat}, m < n + 1 ↔ m ≤ n := @Nat.lt_add_one_iff

theorem lemma_Nat_lt_iff_add_one_le : ∀ {m n : Nat}, m < n ↔ m + 1 ≤ n := @Nat.lt_iff_add_one_le

theorem lemma_Nat_add_one_le_iff : ∀ {n m : Nat}, n + 1 ≤ m ↔ n < m := @Nat.add_one_le_iff

theorem lemma_Nat_succ_le_succ_iff : ∀ {a b : Nat}, a.succ ≤ b.succ ↔ a ≤ b :=
    @Nat.succ_le_succ_iff

theorem lemma_Nat_succ_lt_succ_iff : ∀ {a b : Nat}, a.succ < b.succ ↔ a < b :=
    @Nat.succ_lt_succ_iff

theorem lemma_Nat_lt_of_lt_of_le : ∀ {n m k : Nat}, n < m → m ≤ k → n < k := @Nat.lt_of_lt_of_le

theorem lemma_Nat_lt_of_le_of_lt : ∀ {n m k : Nat}, n ≤ m → m < k → n < k := @Nat.lt_of_le_of_lt

theorem lemma_Nat_lt_trans : ∀ {n m k : Nat}, n < m → m < k → n < k := @Nat.lt_trans

theorem lemma_Nat_lt_of_lt_of_eq : ∀ {n m k : Nat}, n < m → m = k → n < k := @Nat.lt_of_lt_of_eq

theorem lemma_Nat_le_of_eq : ∀ {n m : Nat}, n = m → n ≤ m := @Nat.le_of_eq

theorem lemma_Nat_eq_or_lt_of_le : ∀ {n m : Nat}, n ≤ m → n = m ∨ n < m := @Nat.eq_or_lt_of_le

theorem lemma_Nat_lt_or_eq_of_le : ∀ {n m : Nat}, n ≤ m → n < m ∨ n = m := @Nat.lt_or_eq_of_le

theorem lemma_Nat_lt_or_ge : ∀ (n m : Nat), n < m ∨ n ≥ m := @Nat.lt_or_ge

theorem lemma_Nat_le_total : ∀ (m n : Nat), m ≤ n ∨ n ≤ m := @Nat.le_total

theorem lemma_Nat_le_antisymm : ∀ {n m : Nat}, n ≤ m → m ≤ n → n = m := @Nat.le_antisymm

theorem lemma_Nat_le_antisymm_iff : ∀ {a b : Nat}, a = b ↔ a ≤ b ∧ b ≤ a := @Nat.le_antisymm_iff

theorem lemma_Nat_lt_of_le_of_ne : ∀ {n m : Nat}, n ≤ m → n ≠ m → n < m := @Nat.lt_of_le_of_ne

theorem lemma_Nat_ne_of_lt : ∀ {a b : Nat}, a < b → a ≠ b := @Nat.ne_of_lt

theorem lemma_Nat_ne_of_gt : ∀ {a b : Nat}, b < a → a ≠ b := @Nat.ne_of_gt

theorem lemma_Nat_ne_of_lt_prime : ∀ {a b : Nat}, a < b → b ≠ a := @Nat.ne_of_lt'

theorem lemma_Nat_not_le_of_gt : ∀ {n m : Nat}, n > m → ¬n ≤ m := @Nat.not_le_of_gt

theorem lemma_Nat_not_le_of_lt : ∀ {a b : Nat}, a < b → ¬b ≤ a := @Nat.not_le_of_lt

theorem lemma_Nat_not_lt_of_ge : ∀ {a b : Nat}, b ≥ a → ¬b < a := @Nat.not_lt_of_ge

theorem lemma_Nat_not_lt_of_le : ∀ {a b : Nat}, a ≤ b → ¬b < a := @Nat.not_lt_of_le

theorem lemma_Nat_lt_asymm : ∀ {a b : Nat}, a < b → ¬b < a := @Nat.lt_asymm

theorem lemma_Nat_gt_of_not_le : ∀ {n m : Nat}, ¬n ≤ m → n > m := @Nat.gt_of_not_le

theorem lemma_Nat_lt_of_not_ge : ∀ {a b : Nat}, ¬b ≥ a → b < a := @Nat.lt_of_not_ge

theorem lemma_Nat_lt_of_not_le : ∀ {a b : Nat}, ¬a ≤ b → b < a := @Nat.lt_of_not_le

theorem lemma_Nat_ge_of_not_lt : ∀ {n m : Nat}, ¬n < m → n ≥ m := @Nat.ge_of_not_lt

theorem lemma_Nat_le_of_not_gt : ∀ {a b : Nat}, ¬b > a → b ≤ a := @Nat.le_of_not_gt

theorem lemma_Nat_le_of_not_lt : ∀ {a b : Nat}, ¬a < b → b ≤ a := @Nat.le_of_not_lt

theorem lemma_Nat_le_of_not_le : ∀ {a b : Nat}, ¬b ≤ a → a ≤ b := @Nat.le_of_not_le

theorem lemma_Nat_not_le : ∀ {n m : Nat}, ¬n ≤ m ↔ m < n := @Nat.not_le

theorem lemma_Nat_not_lt : ∀ {n m : Nat}, ¬n < m ↔ m ≤ n := @Nat.not_lt

theorem lemma_Nat_lt_iff_le_not_le : ∀ {m n : Nat}, m < n ↔ m ≤ n ∧ ¬n ≤ m :=
    @Nat.lt_iff_le_not_le

theorem lemma_Nat_lt_iff_le_and_ne : ∀ {m n : Nat}, m < n ↔ m ≤ n ∧ m ≠ n := @Nat.lt_iff_le_and_ne

theorem lemma_Nat_le_iff_lt_or_eq : ∀ {n m : Nat}, n ≤ m ↔ n < m ∨ n = m := @Nat.le_iff_lt_or_eq

theorem lemma_Nat_lt_trichotomy : ∀ (a b : Nat), a < b ∨ a = b ∨ b < a := @Nat.lt_trichotomy

theorem lemma_Nat_lt_or_gt_of_ne : ∀ {a b : Nat}, a ≠ b → a < b ∨ a > b := @Nat.lt_or_gt_of_ne

theorem lemma_Nat_ne_iff_lt_or_gt : ∀ {a b : Nat}, a ≠ b ↔ a < b ∨ b < a := @Nat.ne_iff_lt_or_gt

theorem lemma_Nat_eq_zero_or_pos : ∀ (n : Nat), n = 0 ∨ n > 0 := @Nat.eq_zero_or_pos

theorem lemma_Nat_eq_zero_of_not_pos : ∀ {n : Nat}, ¬0 < n → n = 0 := @Nat.eq_zero_of_not_pos

theorem lemma_Nat_pos_of_ne_zero : ∀ {n : Nat}, n ≠ 0 → 0 < n := @Nat.pos_of_ne_zero

theorem lemma_Nat_zero_lt_of_ne_zero : ∀ {a : Nat}, a ≠ 0 → 0 < a := @Nat.zero_lt_of_ne_zero

theorem lemma_Nat_pos_iff_ne_zero : ∀ {n : Nat}, 0 < n ↔ n ≠ 0 := @Nat.pos_iff_ne_zero

theorem lemma_Nat_ne_zero_of_lt : ∀ {a b : Nat}, b < a → a ≠ 0 := @Nat.ne_zero_of_lt

theorem lemma_Nat_eq_zero_of_le_zero : ∀ {n : Nat}, n ≤ 0 → n = 0 := @Nat.eq_zero_of_le_zero

theorem lemma_Nat_zero_lt_of_lt : ∀ {a b : Nat}, a < b → 0 < b := @Nat.zero_lt_of_lt

theorem lemma_Nat_le_zero_eq : ∀ (a : Nat), (a ≤ 0) = (a = 0) := @Nat.le_zero_eq

theorem lemma_Nat_le_zero : ∀ {n : Nat}, n ≤ 0 ↔ n = 0 := @Nat.le_zero

theorem lemma_Nat_exists_eq_succ_of_ne_zero : ∀ {n : Nat}, n ≠ 0 → ∃ (k : Nat), n = k.succ :=
    @Nat.exists_eq_succ_of_ne_zero

theorem lemma_Nat_exists_eq_add_one_of_ne_zero : ∀ {n : Nat}, n ≠ 0 → ∃ (k : Nat), n = k + 1 :=
    @Nat.exists_eq_add_one_of_ne_zero

theorem lemma_Nat_le_add_right : ∀ (n k : Nat), n ≤ n + k := @Nat.le_add_right

theorem lemma_Nat_le_add_left : ∀ (n m : Nat), n ≤ m + n := @Nat.le_add_left

theorem lemma_Nat_le_add_right_of_le : ∀ {n m k : Nat}, n ≤ m → n ≤ m + k :=
    @Nat.le_add_right_of_le

theorem lemma_Nat_le_add_left_of_le : ∀ {n m k : Nat}, n ≤ m → n ≤ k + m := @Nat.le_add_left_of_le

theorem lemma_Nat_lt_add_left : ∀ {a b : Nat} (c : Nat), a < b → a < c + b := @Nat.lt_add_left

theorem lemma_Nat_lt_add_right : ∀ {a b : Nat} (c : Nat), a < b → a < b + c := @Nat.lt_add_right

theorem lemma_Nat_le_intro : ∀ {n m k : Nat}, n + k = m → n ≤ m := @Nat.le.intro

theorem lemma_Nat_le_dest : ∀ {n m : Nat}, n ≤ m → ∃ (k : Nat), n + k = m := @Nat.le.dest

theorem lemma_Nat_exists_eq_add_of_le : ∀ {m n : Nat}, m ≤ n → ∃ (k : Nat), n = m + k :=
    @Nat.exists_eq_add_of_le

theorem lemma_Nat_exists_eq_add_of_le_prime : ∀ {m n : Nat}, m ≤ n → ∃ (k : Nat), n = k + m :=
    @Nat.exists_eq_add_of_le'

theorem lemma_Nat_add_le_add_left : ∀ {n m : Nat}, n ≤ m → ∀ (k : Nat), k + n ≤ k + m :=
    @Nat.add_le_add_left

theorem lemma_Nat_add_le_add_right : ∀ {n m : Nat}, n ≤ m → ∀ (k : Nat), n + k ≤ m + k :=
    @Nat.add_le_add_right

theorem lemma_Nat_add_lt_add_left : ∀ {n m : Nat}, n < m → ∀ (k : Nat), k + n < k + m :=
    @Nat.add_lt_add_left

theorem lemma_Nat_add_lt_add_right : ∀ {n m : Nat}, n < m → ∀ (k : Nat), n + k < m + k :=
    @Nat.add_lt_add_right

theorem lemma_Nat_add_le_add : ∀ {a b c d : Nat}, a ≤ b → c ≤ d → a + c ≤ b + d := @Nat.add_le_add

theorem lemma_Nat_add_lt_add : ∀ {a b c d : Nat}, a < b → c < d → a + c < b + d := @Nat.add_lt_add

theorem lemma_Nat_add_lt_add_of_lt_of_le : ∀ {a b c d : Nat}, a < b → c ≤ d → a + c < b + d :=
    @Nat.add_lt_add_of_lt_of_le

theorem lemma_Nat_add_lt_add_of_le_of_lt : ∀ {a b c d : Nat}, a ≤ b → c < d → a + c < b + d :=
    @Nat.add_lt_add_of_le_of_lt

theorem lemma_Nat_le_of_add_le_add_left : ∀ {a b c : Nat}, a + b ≤ a + c → b ≤ c :=
    @Nat.le_of_add_le_add_left

theorem lemma_Nat_le_of_add_le_add_right : ∀ {a b c : Nat}, a + b ≤ c + b → a ≤ c :=
    @Nat.le_of_add_le_add_right

theorem lemma_Nat_lt_of_add_lt_add_left : ∀ {k n m : Nat}, n + k < n + m → k < m :=
    @Nat.lt_of_add_lt_add_left

theorem lemma_Nat_lt_of_add_lt_add_right : ∀ {k n m : Nat}, k + n < m + n → k < m :=
    @Nat.lt_of_add_lt_add_right

theorem lemma_Nat_add_le_add_iff_left : ∀ {m k n : Nat}, n + m ≤ n + k ↔ m ≤ k :=
    @Nat.add_le_add_iff_left

theorem lemma_Nat_add_le_add_iff_right : ∀ {m k n : Nat}, m + n ≤ k + n ↔ m ≤ k :=
    @Nat.add_le_add_iff_right

theorem lemma_Nat_add_lt_add_iff_left : ∀ {k n m : Nat}, k + n < k + m ↔ n < m :=
    @Nat.add_lt_add_iff_left

theorem lemma_Nat_add_lt_add_iff_right : ∀ {k n m : Nat}, n + k < m + k ↔ n < m :=
    @Nat.add_lt_add_iff_right

theorem lemma_Nat_mul_le_mul_left : ∀ {m n : Nat} (k : Nat), m ≤ n → k * m ≤ k * n :=
    @Nat.mul_le_mul_left

theorem lemma_Nat_mul_le_mul_right : ∀ {m n : Nat} (k : Nat), m ≤ n → m * k ≤ n * k :=
    @Nat.mul_le_mul_right

theorem lemma_Nat_mul_le_mul : ∀ {n₁ m₁ n₂ m₂ : Nat}, n₁ ≤ m₁ → n₂ ≤ m₂ → n₁ * n₂ ≤ m₁ * m₂ :=
    @Nat.mul_le_mul

theorem lemma_Nat_mul_pos : ∀ {m n : Nat}, 0 < m → 0 < n → 0 < m * n := @Nat.mul_pos

theorem lemma_Nat_add_pos_left : ∀ {m : Nat}, 0 < m → ∀ (n : Nat), 0 < m + n := @Nat.add_pos_left

theorem lemma_Nat_add_pos_right : ∀ {n : Nat} (m : Nat), 0 < n → 0 < m + n := @Nat.add_pos_right

theorem lemma_Nat_mul_eq_zero : ∀ {m n : Nat}, n * m = 0 ↔ n = 0 ∨ m = 0 := @Nat.mul_eq_zero

theorem lemma_Nat_sub_zero : ∀ (n : Nat), n - 0 = n := @Nat.sub_zero

theorem lemma_Nat_sub_succ : ∀ (n m : Nat), n - m.succ = (n - m).pred := @Nat.sub_succ

theorem lemma_Nat_succ_sub_succ_eq_sub : ∀ (n m : Nat), n.succ - m.succ = n - m :=
    @Nat.succ_sub_succ_eq_sub

theorem lemma_Nat_succ_sub_succ : ∀ (n m : Nat), n.succ - m.succ = n - m := @Nat.succ_sub_succ

theorem lemma_Nat_add_sub_add_right_one : ∀ (n m : Nat), n + 1 - (m + 1) = n - m :=
    @Nat.add_sub_add_right_one

theorem lemma_Nat_succ_sub_one : ∀ (n : Nat), n.succ - 1 = n := @Nat.succ_sub_one

theorem lemma_Nat_add_one_sub_one : ∀ (n : Nat), n + 1 - 1 = n := @Nat.add_one_sub_one

theorem lemma_Nat_pred_le : ∀ (n : Nat), n.pred ≤ n := @Nat.pred_le

theorem lemma_Nat_pred_lt : ∀ {n : Nat}, n ≠ 0 → n.pred < n := @Nat.pred_lt

theorem lemma_Nat_sub_one_lt : ∀ {n : Nat}, n ≠ 0 → n - 1 < n := @Nat.sub_one_lt

theorem lemma_Nat_pred_lt_of_lt : ∀ {n m : Nat}, m < n → n.pred < n := @Nat.pred_lt_of_lt

theorem lemma_Nat_sub_le : ∀ (n m : Nat), n - m ≤ n := @Nat.sub_le

theorem lemma_Nat_sub_lt : ∀ {n m : Nat}, 0 < n → 0 < m → n - m < n := @Nat.sub_lt

theorem lemma_Nat_sub_succ_lt_self : ∀ {a i : Nat}, i < a → a - (i + 1) < a - i :=
    @Nat.sub_succ_lt_self

theorem lemma_Nat_sub_self : ∀ (n : Nat), n - n = 0 := @Nat.sub_self

theorem lemma_Nat_zero_sub : ∀ (n : Nat), 0 - n = 0 := @Nat.zero_sub

theorem lemma_Nat_sub_add_eq : ∀ (a b c : Nat), a - (b + c) = a - b - c := @Nat.sub_add_eq

theorem lemma_Nat_sub_sub : ∀ (n m k : Nat), n - m - k = n - (m + k) := @Nat.sub_sub

theorem lemma_Nat_add_sub_add_right : ∀ (n k m : Nat), n + k - (m + k) = n - m :=
    @Nat.add_sub_add_right

theorem lemma_Nat_add_sub_add_left : ∀ (k n m : Nat), k + n - (k + m) = n - m :=
    @Nat.add_sub_add_left

theorem lemma_Nat_add_sub_cancel : ∀ (n m : Nat), n + m - m = n := @Nat.add_sub_cancel

theorem lemma_Nat_add_sub_cancel_left : ∀ (n m : Nat), n + m - n = m := @Nat.add_sub_cancel_left

theorem lemma_Nat_sub_add_cancel : ∀ {n m : Nat}, m ≤ n → n - m + m = n := @Nat.sub_add_cancel

theorem lemma_Nat_add_sub_cancel_prime : ∀ {n m : Nat}, m ≤ n → m + (n - m) = n :=
    @Nat.add_sub_cancel'

theorem lemma_Nat_add_sub_of_le : ∀ {a b : Nat}, a ≤ b → a + (b - a) = b := @Nat.add_sub_of_le

theorem lemma_Nat_add_sub_assoc : ∀ {m k : Nat}, k ≤ m → ∀ (n : Nat), n + m - k = n + (m - k) :=
    @Nat.add_sub_assoc

theorem lemma_Nat_sub_eq_zero_of_le : ∀ {n m : Nat}, n ≤ m → n - m = 0 := @Nat.sub_eq_zero_of_le

theorem lemma_Nat_le_of_sub_eq_zero : ∀ {n m : Nat}, n - m = 0 → n ≤ m := @Nat.le_of_sub_eq_zero

theorem lemma_Nat_sub_eq_zero_iff_le : ∀ {n m : Nat}, n - m = 0 ↔ n ≤ m := @Nat.sub_eq_zero_iff_le

theorem lemma_Nat_sub_pos_of_lt : ∀ {m n : Nat}, m < n → 0 < n - m := @Nat.sub_pos_of_lt

theorem lemma_Nat_sub_le_of_le_add : ∀ {a b c : Nat}, a ≤ c + b → a - b ≤ c :=
    @Nat.sub_le_of_le_add

theorem lemma_Nat_le_add_of_sub_le : ∀ {a b c : Nat}, a - b ≤ c → a ≤ c + b :=
    @Nat.le_add_of_sub_le

theorem lemma_Nat_sub_le_iff_le_add : ∀ {a b c : Nat}, a - b ≤ c ↔ a ≤ c + b :=
    @Nat.sub_le_iff_le_add

theorem lemma_Nat_le_sub_of_add_le : ∀ {a b c : Nat}, a + b ≤ c → a ≤ c - b :=
    @Nat.le_sub_of_add_le

theorem lemma_Nat_add_le_of_le_sub : ∀ {a b c : Nat}, b ≤ c → a ≤ c - b → a + b ≤ c :=
    @Nat.add_le_of_le_sub

theorem lemma_Nat_le_sub_iff_add_le : ∀ {x y k : Nat}, k ≤ y → (x ≤ y - k ↔ x + k ≤ y) :=
    @Nat.le_sub_iff_add_le

theorem lemma_Nat_sub_eq_iff_eq_add : ∀ {a b c : Nat}, b ≤ a → (a - b = c ↔ a = c + b) :=
    @Nat.sub_eq_iff_eq_add

theorem lemma_Nat_succ_sub : ∀ {m n : Nat}, n ≤ m → m.succ - n = (m - n).succ := @Nat.succ_sub

theorem lemma_Nat_not_le_eq : ∀ (a b : Nat), (¬a ≤ b) = (b + 1 ≤ a) := @Nat.not_le_eq

theorem lemma_Nat_not_ge_eq : ∀ (a b : Nat), (¬a ≥ b) = (a + 1 ≤ b) := @Nat.not_ge_eq

theorem lemma_Nat_not_lt_eq : ∀ (a b : Nat), (¬a < b) = (b ≤ a) := @Nat.not_lt_eq

theorem lemma_Nat_not_gt_eq : ∀ (a b : Nat), (¬a > b) = (a ≤ b) := @Nat.not_gt_eq

theorem lemma_Nat_min_def : ∀ {n m : Nat}, Min.min n m = if n ≤ m then n else m := @Nat.min_def

theorem lemma_Nat_max_def : ∀ {n m : Nat}, Max.max n m = if n ≤ m then m else n := @Nat.max_def

theorem lemma_Nat_le_max_left : ∀ (a b : Nat), a ≤ Max.max a b := @Nat.le_max_left

theorem lemma_Nat_le_max_right : ∀ (a b : Nat), b ≤ Max.max a b := @Nat.le_max_right

theorem lemma_Nat_min_le_left : ∀ (a b : Nat), Min.min a b ≤ a := @Nat.min_le_left

theorem lemma_Nat_min_le_right : ∀ (a b : Nat), Min.min a b ≤ b := @Nat.min_le_right

theorem lemma_Nat_dvd_refl : ∀ (a : Nat), a ∣ a := @Nat.dvd_refl

theorem lemma_Nat_dvd_zero : ∀ (a : Nat), a ∣ 0 := @Nat.dvd_zero

theorem lemma_Nat_one_dvd : ∀ (n : Nat), 1 ∣ n := @Nat.one_dvd

theorem lemma_Nat_dvd_mul_left : ∀ (a b : Nat), a ∣ b * a := @Nat.dvd_mul_left

theorem lemma_Nat_dvd_mul_right : ∀ (a b : Nat), a ∣ a * b := @Nat.dvd_mul_right

theorem lemma_Nat_dvd_trans : ∀ {a b c : Nat}, a ∣ b → b ∣ c → a ∣ c := @Nat.dvd_trans

theorem lemma_Nat_dvd_add : ∀ {m n k : Nat}, k ∣ m → k ∣ n → k ∣ m + n := @Nat.dvd_add

theorem lemma_Nat_eq_zero_of_zero_dvd : ∀ {a : Nat}, 0 ∣ a → a = 0 := @Nat.eq_zero_of_zero_dvd

theorem lemma_Nat_div_add_mod : ∀ (m n : Nat), n * (m / n) + m % n = m := @Nat.div_add_mod

theorem lemma_Nat_mod_add_div : ∀ (m k : Nat), m % k + k * (m / k) = m := @Nat.mod_add_div

theorem lemma_Nat_mod_lt : ∀ (x : Nat) {y : Nat}, y > 0 → x % y < y := @Nat.mod_lt

theorem lemma_Nat_mod_le : ∀ (x y : Nat), x % y ≤ x := @Nat.mod_le

theorem lemma_Nat_mod_eq_of_lt : ∀ {a b : Nat}, a < b → a % b = a := @Nat.mod_eq_of_lt

theorem lemma_Nat_zero_mod : ∀ (b : Nat), 0 % b = 0 := @Nat.zero_mod

theorem lemma_Nat_zero_div : ∀ (b : Nat), 0 / b = 0 := @Nat.zero_div

theorem lemma_Nat_mod_zero : ∀ (a : Nat), a % 0 = a := @Nat.mod_zero

theorem lemma_Nat_mod_one : ∀ (x : Nat), x % 1 = 0 := @Nat.mod_one

theorem lemma_Nat_div_one : ∀ (n : Nat), n / 1 = n := @Nat.div_one

theorem lemma_Nat_dvd_of_mod_eq_zero : ∀ {k n : Nat}, n % k = 0 → k ∣ n := @Nat.dvd_of_mod_eq_zero

theorem lemma_Nat_mod_eq_zero_of_dvd : ∀ {k n : Nat}, k ∣ n → n % k = 0 := @Nat.mod_eq_zero_of_dvd

theorem lemma_Nat_dvd_iff_mod_eq_zero : ∀ {k n : Nat}, k ∣ n ↔ n % k = 0 :=
    @Nat.dvd_iff_mod_eq_zero

theorem lemma_Nat_dvd_eq_true_of_mod_eq_zero : ∀ {m n : Nat}, (n % m == 0) = true → (m ∣ n) = True
    := @Nat.dvd_eq_true_of_mod_eq_zero

theorem lemma_Nat_dvd_eq_false_of_mod_ne_zero : ∀ {m n : Nat}, (n % m != 0) = true → (m ∣ n) =
    False := @Nat.dvd_eq_false_of_mod_ne_zero

theorem lemma_Nat_mul_mod_right : ∀ (x z : Nat), x * z % x = 0 := @Nat.mul_mod_right

theorem lemma_Nat_mul_mod_left : ∀ (x z : Nat), x * z % z = 0 := @Nat.mul_mod_left

theorem lemma_Nat_mod_self : ∀ (n : Nat), n % n = 0 := @Nat.mod_self

theorem lemma_Nat_mul_div_cancel : ∀ (m : Nat) {n : Nat}, 0 < n → m * n / n = m :=
    @Nat.mul_div_cancel

theorem lemma_Nat_pow_pos : ∀ {a n : Nat}, 0 < a → 0 < a ^ n := @Nat.pow_pos

theorem lemma_Prod_ext : ∀ {α : Type} {β : Type} {p q : α × β}, p.fst = q.fst → p.snd = q.snd → p
    = q := @Prod.ext
