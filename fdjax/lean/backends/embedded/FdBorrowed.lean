prelude
import FdCore
/-!
Written by `borrow.py`; do not edit. Each line declares a parser, macro or unexpander of Lean 4 by
its name, and thereby binds to the object compiled into libleanshared: its code is Lean's own
(Copyright Microsoft Corporation, the Lean FRO and the Lean authors, Apache License 2.0,
https://github.com/leanprover/lean4). Found in: Lean (version 4.35.0, x86_64-unknown-linux-gnu, commit eb6cafb7290e8bd5f2937522d8d804f58f02bafc, Release).
-/

-- Categories, before the parsers that refer to them
declare_syntax_cat rcasesPat
declare_syntax_cat rintroPat
declare_syntax_cat binderPred

-- Terms
@[term_parser, extern "fd"] opaque «term¬_» : Lean.ParserDescr
@[term_parser, extern "fd"] opaque «term_∧_» : Lean.TrailingParserDescr
@[term_parser, extern "fd"] opaque «term_∨_» : Lean.TrailingParserDescr
@[term_parser, extern "fd"] opaque «term_↔_» : Lean.TrailingParserDescr
@[term_parser, extern "fd"] opaque «term_<->_» : Lean.TrailingParserDescr
@[term_parser, extern "fd"] opaque «term_=_» : Lean.TrailingParserDescr
@[term_parser, extern "fd"] opaque «term_≠_» : Lean.TrailingParserDescr
@[term_parser, extern "fd"] opaque «term_≍_» : Lean.TrailingParserDescr
@[term_parser, extern "fd"] opaque «term∃_,_» : Lean.ParserDescr
@[term_parser, extern "fd"] opaque «termExists_,_» : Lean.ParserDescr
@[term_parser, extern "fd"] opaque Lean.«term∃__,_» : Lean.ParserDescr
@[term_parser, extern "fd"] opaque Lean.«term∀__,_» : Lean.ParserDescr
@[term_parser, extern "fd"] opaque Lean.«termSatisfies_binder_pred%__» : Lean.ParserDescr
@[term_parser, extern "fd"] opaque «term_<_» : Lean.TrailingParserDescr
@[term_parser, extern "fd"] opaque «term_≤_» : Lean.TrailingParserDescr
@[term_parser, extern "fd"] opaque «term_<=_» : Lean.TrailingParserDescr
@[term_parser, extern "fd"] opaque «term_>_» : Lean.TrailingParserDescr
@[term_parser, extern "fd"] opaque «term_≥_» : Lean.TrailingParserDescr
@[term_parser, extern "fd"] opaque «term_>=_» : Lean.TrailingParserDescr
@[term_parser, extern "fd"] opaque «term_==_» : Lean.TrailingParserDescr
@[term_parser, extern "fd"] opaque «term_!=_» : Lean.TrailingParserDescr
@[term_parser, extern "fd"] opaque «term_&&_» : Lean.TrailingParserDescr
@[term_parser, extern "fd"] opaque «term_||_» : Lean.TrailingParserDescr
@[term_parser, extern "fd"] opaque term!_ : Lean.ParserDescr
@[term_parser, extern "fd"] opaque «term_+_» : Lean.TrailingParserDescr
@[term_parser, extern "fd"] opaque «term_-_» : Lean.TrailingParserDescr
@[term_parser, extern "fd"] opaque «term_*_» : Lean.TrailingParserDescr
@[term_parser, extern "fd"] opaque «term_/_» : Lean.TrailingParserDescr
@[term_parser, extern "fd"] opaque «term_%_» : Lean.TrailingParserDescr
@[term_parser, extern "fd"] opaque «term_^_» : Lean.TrailingParserDescr
@[term_parser, extern "fd"] opaque «term-_» : Lean.ParserDescr
@[term_parser, extern "fd"] opaque «term_∣_» : Lean.TrailingParserDescr
@[term_parser, extern "fd"] opaque «term_•_» : Lean.TrailingParserDescr
@[term_parser, extern "fd"] opaque «term_⁻¹» : Lean.TrailingParserDescr
@[term_parser, extern "fd"] opaque «term_&&&_» : Lean.TrailingParserDescr
@[term_parser, extern "fd"] opaque «term_|||_» : Lean.TrailingParserDescr
@[term_parser, extern "fd"] opaque «term_^^^_» : Lean.TrailingParserDescr
@[term_parser, extern "fd"] opaque «term_<<<_» : Lean.TrailingParserDescr
@[term_parser, extern "fd"] opaque «term_>>>_» : Lean.TrailingParserDescr
@[term_parser, extern "fd"] opaque «term~~~_» : Lean.ParserDescr
@[term_parser, extern "fd"] opaque «term_∘_» : Lean.TrailingParserDescr
@[term_parser, extern "fd"] opaque «term_×_» : Lean.TrailingParserDescr
@[term_parser, extern "fd"] opaque «term_×'_» : Lean.TrailingParserDescr
@[term_parser, extern "fd"] opaque «term_×__1» : Lean.ParserDescr
@[term_parser, extern "fd"] opaque «term_×'__1» : Lean.ParserDescr
@[term_parser, extern "fd"] opaque «term_⊕_» : Lean.TrailingParserDescr
@[term_parser, extern "fd"] opaque «term_⊕'_» : Lean.TrailingParserDescr
@[term_parser, extern "fd"] opaque «termΣ_,_» : Lean.ParserDescr
@[term_parser, extern "fd"] opaque «termΣ'_,_» : Lean.ParserDescr
@[term_parser, extern "fd"] opaque «term{_:_//_}» : Lean.ParserDescr
@[term_parser, extern "fd"] opaque «term_++_» : Lean.TrailingParserDescr
@[term_parser, extern "fd"] opaque «term_::_» : Lean.TrailingParserDescr
@[term_parser, extern "fd"] opaque «term[_]» : Lean.ParserDescr
@[term_parser, extern "fd"] opaque «term%[_|_]» : Lean.ParserDescr
@[term_parser, extern "fd"] opaque «term_<|_» : Lean.TrailingParserDescr
@[term_parser, extern "fd"] opaque «term_|>_» : Lean.TrailingParserDescr
@[term_parser, extern "fd"] opaque «term_$__» : Lean.TrailingParserDescr
@[term_parser, extern "fd"] opaque «term‹_›» : Lean.ParserDescr
@[term_parser, extern "fd"] opaque termIfThenElse : Lean.ParserDescr
@[term_parser, extern "fd"] opaque termDepIfThenElse : Lean.ParserDescr
@[term_parser, extern "fd"] opaque boolIfThenElse : Lean.ParserDescr
@[term_parser, extern "fd"] opaque termWithout_expected_type_ : Lean.ParserDescr
@[term_parser, extern "fd"] opaque «term_∈_» : Lean.TrailingParserDescr
@[term_parser, extern "fd"] opaque «term_∉_» : Lean.TrailingParserDescr
@[term_parser, extern "fd"] opaque «term_⊆_» : Lean.TrailingParserDescr
@[term_parser, extern "fd"] opaque «term_⊂_» : Lean.TrailingParserDescr
@[term_parser, extern "fd"] opaque «term_⊇_» : Lean.TrailingParserDescr
@[term_parser, extern "fd"] opaque «term_⊃_» : Lean.TrailingParserDescr
@[term_parser, extern "fd"] opaque «term_∪_» : Lean.TrailingParserDescr
@[term_parser, extern "fd"] opaque «term_∩_» : Lean.TrailingParserDescr
@[term_parser, extern "fd"] opaque «term_\_» : Lean.TrailingParserDescr
@[term_parser, extern "fd"] opaque «term∅» : Lean.ParserDescr
@[term_parser, extern "fd"] opaque «term{}» : Lean.ParserDescr
@[term_parser, extern "fd"] opaque «term{_}» : Lean.ParserDescr
@[term_parser, extern "fd"] opaque Lean.calc : Lean.ParserDescr

-- Tactics
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.intro : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.intros : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.rintro : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.exact : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.apply : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.refine : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.refine' : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.constructor : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.left : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.right : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.tacticExfalso : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.assumption : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.contradiction : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.tacticTrivial : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.tacticRfl : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.tacticRfl' : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.eqRefl : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.applyRfl : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.symm : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.rwSeq : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.rewriteSeq : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.rwa : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.rwaAt : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.simp : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.simpAll : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.simpa : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.simpaUsingBang : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.dsimp : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.decide : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.nativeDecide : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.unfold : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.delta : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.change : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.show : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.subst : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.substVars : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.substEqs : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.injection : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.injections : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.specialize : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.replace : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.revert : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.cases : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.induction : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.rcases : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.obtain : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.case : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.case' : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.«tacticNext_=>_» : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.«tacticExists_,,» : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.tacticHave__ : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.tacticHave' : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.tacticHaveI__ : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.tacticLet__ : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.tacticLet'__ : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.tacticLetI__ : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.tacticSuffices_ : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.tacticAnd_intros : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.generalize : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.first : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.tacticRepeat_ : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.repeat' : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.repeat1' : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.tacticTry_ : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.«tactic_<;>_» : Lean.TrailingParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.paren : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.allGoals : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.anyGoals : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.focus : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.done : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.skip : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.fail : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.failIfSuccess : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.rotateLeft : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.rotateRight : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.clear : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.rename : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.renameI : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.classical : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.split : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.congr : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.tacIfThenElse : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.tacDepIfThenElse : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.tacticIterate____ : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.tacticNofun : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.«tacticNomatch_,,» : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.tacticSorry : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.tacticAdmit : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.tacticStop_ : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.tacticRefine_lift_ : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.tacticRefine_lift'_ : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.tacticInfer_instance : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.acRfl : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.exposeNames : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.falseOrByContra : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.withReducible : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.withReducibleAndInstances : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.withUnfoldingAll : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.tacticUnhygienic_ : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.letrec : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.constructorBang : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.traceState : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.Parser.Tactic.traceMessage : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.cdot : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.calcTactic : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque Lean.solveTactic : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque «tacticBy_cases_:_» : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque tacticFunext___ : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque tacticDecreasing_tactic : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque tacticDecreasing_trivial : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque tacticDecreasing_with_ : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque tacticClean_wf : Lean.ParserDescr
@[tactic_parser, extern "fd"] opaque tacticSimp_wf : Lean.ParserDescr

-- Patterns: rcasesPat
@[rcasesPat_parser, extern "fd"] opaque Lean.Parser.Tactic.rcasesPat.one : Lean.ParserDescr
@[rcasesPat_parser, extern "fd"] opaque Lean.Parser.Tactic.rcasesPat.ignore : Lean.ParserDescr
@[rcasesPat_parser, extern "fd"] opaque Lean.Parser.Tactic.rcasesPat.clear : Lean.ParserDescr
@[rcasesPat_parser, extern "fd"] opaque Lean.Parser.Tactic.rcasesPat.explicit : Lean.ParserDescr
@[rcasesPat_parser, extern "fd"] opaque Lean.Parser.Tactic.rcasesPat.tuple : Lean.ParserDescr
@[rcasesPat_parser, extern "fd"] opaque Lean.Parser.Tactic.rcasesPat.paren : Lean.ParserDescr

-- Patterns: rintroPat
@[rintroPat_parser, extern "fd"] opaque Lean.Parser.Tactic.rintroPat.one : Lean.ParserDescr
@[rintroPat_parser, extern "fd"] opaque Lean.Parser.Tactic.rintroPat.binder : Lean.ParserDescr

-- Binder predicates
@[binderPred_parser, extern "fd"] opaque Lean.«binderPred<_» : Lean.ParserDescr
@[binderPred_parser, extern "fd"] opaque Lean.«binderPred>_» : Lean.ParserDescr
@[binderPred_parser, extern "fd"] opaque Lean.«binderPred≤_» : Lean.ParserDescr
@[binderPred_parser, extern "fd"] opaque Lean.«binderPred≥_» : Lean.ParserDescr
@[binderPred_parser, extern "fd"] opaque Lean.«binderPred≠_» : Lean.ParserDescr
@[binderPred_parser, extern "fd"] opaque Lean.«binderPred∈_» : Lean.ParserDescr
@[binderPred_parser, extern "fd"] opaque Lean.«binderPred∉_» : Lean.ParserDescr
@[binderPred_parser, extern "fd"] opaque Lean.«binderPred⊆_» : Lean.ParserDescr
@[binderPred_parser, extern "fd"] opaque Lean.«binderPred⊂_» : Lean.ParserDescr
@[binderPred_parser, extern "fd"] opaque Lean.«binderPred⊇_» : Lean.ParserDescr
@[binderPred_parser, extern "fd"] opaque Lean.«binderPred⊃_» : Lean.ParserDescr

-- Macros
@[macro boolIfThenElse, extern "fd"] opaque _aux_Init_Notation___macroRules_boolIfThenElse_1 : Lean.Macro
@[macro termDepIfThenElse, extern "fd"] opaque _aux_Init_Notation___macroRules_termDepIfThenElse_1 : Lean.Macro
@[macro termIfThenElse, extern "fd"] opaque _aux_Init_Notation___macroRules_termIfThenElse_1 : Lean.Macro
@[macro termWithout_expected_type_, extern "fd"] opaque _aux_Init_Notation___macroRules_termWithout_expected_type__1 : Lean.Macro
@[macro «term_•_», extern "fd"] opaque «_aux_Init_Notation___macroRules_term_•__1» : Lean.Macro
@[macro «term_⁻¹», extern "fd"] opaque «_aux_Init_Notation___macroRules_term_⁻¹_1» : Lean.Macro
@[macro «term_∈_», extern "fd"] opaque «_aux_Init_Notation___macroRules_term_∈__1» : Lean.Macro
@[macro «term_∉_», extern "fd"] opaque «_aux_Init_Notation___macroRules_term_∉__1» : Lean.Macro
@[macro «term_∘_», extern "fd"] opaque «_aux_Init_Notation___macroRules_term_∘__1» : Lean.Macro
@[macro «term_∣_», extern "fd"] opaque «_aux_Init_Notation___macroRules_term_∣__1» : Lean.Macro
@[macro «term_∧_», extern "fd"] opaque «_aux_Init_Notation___macroRules_term_∧__1» : Lean.Macro
@[macro «term_∨_», extern "fd"] opaque «_aux_Init_Notation___macroRules_term_∨__1» : Lean.Macro
@[macro «term_≍_», extern "fd"] opaque «_aux_Init_Notation___macroRules_term_≍__1» : Lean.Macro
@[macro «term_≤_», extern "fd"] opaque «_aux_Init_Notation___macroRules_term_≤__1» : Lean.Macro
@[macro «term_≥_», extern "fd"] opaque «_aux_Init_Notation___macroRules_term_≥__1» : Lean.Macro
@[macro «term_$__», extern "fd"] opaque «_aux_Init_Notation___macroRules_term_$___1» : Lean.Macro
@[macro «term_%_», extern "fd"] opaque «_aux_Init_Notation___macroRules_term_%__1» : Lean.Macro
@[macro «term_&&_», extern "fd"] opaque «_aux_Init_Notation___macroRules_term_&&__1» : Lean.Macro
@[macro «term_&&&_», extern "fd"] opaque «_aux_Init_Notation___macroRules_term_&&&__1» : Lean.Macro
@[macro «term_*_», extern "fd"] opaque «_aux_Init_Notation___macroRules_term_*__1» : Lean.Macro
@[macro «term_+_», extern "fd"] opaque «_aux_Init_Notation___macroRules_term_+__1» : Lean.Macro
@[macro «term_++_», extern "fd"] opaque «_aux_Init_Notation___macroRules_term_++__1» : Lean.Macro
@[macro «term_-_», extern "fd"] opaque «_aux_Init_Notation___macroRules_term_-__1» : Lean.Macro
@[macro «term_/_», extern "fd"] opaque «_aux_Init_Notation___macroRules_term_/__1» : Lean.Macro
@[macro «term_::_», extern "fd"] opaque «_aux_Init_Notation___macroRules_term_::__1» : Lean.Macro
@[macro «term_<_», extern "fd"] opaque «_aux_Init_Notation___macroRules_term_<__1» : Lean.Macro
@[macro «term_<<<_», extern "fd"] opaque «_aux_Init_Notation___macroRules_term_<<<__1» : Lean.Macro
@[macro «term_<=_», extern "fd"] opaque «_aux_Init_Notation___macroRules_term_<=__1» : Lean.Macro
@[macro «term_<|_», extern "fd"] opaque «_aux_Init_Notation___macroRules_term_<|__1» : Lean.Macro
@[macro «term_=_», extern "fd"] opaque «_aux_Init_Notation___macroRules_term_=__1» : Lean.Macro
@[macro «term_==_», extern "fd"] opaque «_aux_Init_Notation___macroRules_term_==__1» : Lean.Macro
@[macro «term_>_», extern "fd"] opaque «_aux_Init_Notation___macroRules_term_>__1» : Lean.Macro
@[macro «term_>=_», extern "fd"] opaque «_aux_Init_Notation___macroRules_term_>=__1» : Lean.Macro
@[macro «term_>>>_», extern "fd"] opaque «_aux_Init_Notation___macroRules_term_>>>__1» : Lean.Macro
@[macro «term_^_», extern "fd"] opaque «_aux_Init_Notation___macroRules_term_^__1» : Lean.Macro
@[macro «term_^^^_», extern "fd"] opaque «_aux_Init_Notation___macroRules_term_^^^__1» : Lean.Macro
@[macro «term_|>_», extern "fd"] opaque «_aux_Init_Notation___macroRules_term_|>__1» : Lean.Macro
@[macro «term_||_», extern "fd"] opaque «_aux_Init_Notation___macroRules_term_||__1» : Lean.Macro
@[macro «term_|||_», extern "fd"] opaque «_aux_Init_Notation___macroRules_term_|||__1» : Lean.Macro
@[macro «term_×_», extern "fd"] opaque «_aux_Init_Notation___macroRules_term_×__1» : Lean.Macro
@[macro «term_×'_», extern "fd"] opaque «_aux_Init_Notation___macroRules_term_×'__1» : Lean.Macro
@[macro term!_, extern "fd"] opaque _aux_Init_Notation___macroRules_term!__1 : Lean.Macro
@[macro «term-_», extern "fd"] opaque «_aux_Init_Notation___macroRules_term-__1» : Lean.Macro
@[macro «term{_:_//_}», extern "fd"] opaque «_aux_Init_Notation___macroRules_term{_:_//_}_1» : Lean.Macro
@[macro «term~~~_», extern "fd"] opaque «_aux_Init_Notation___macroRules_term~~~__1» : Lean.Macro
@[macro «term¬_», extern "fd"] opaque «_aux_Init_Notation___macroRules_term¬__1» : Lean.Macro
@[macro «term_•_», extern "fd"] opaque «_aux_Init_Notation___macroRules_term_•__2» : Lean.Macro
@[macro «term_≤_», extern "fd"] opaque «_aux_Init_Notation___macroRules_term_≤__2» : Lean.Macro
@[macro «term_≥_», extern "fd"] opaque «_aux_Init_Notation___macroRules_term_≥__2» : Lean.Macro
@[macro «term_%_», extern "fd"] opaque «_aux_Init_Notation___macroRules_term_%__2» : Lean.Macro
@[macro «term_&&&_», extern "fd"] opaque «_aux_Init_Notation___macroRules_term_&&&__2» : Lean.Macro
@[macro «term_*_», extern "fd"] opaque «_aux_Init_Notation___macroRules_term_*__2» : Lean.Macro
@[macro «term_+_», extern "fd"] opaque «_aux_Init_Notation___macroRules_term_+__2» : Lean.Macro
@[macro «term_++_», extern "fd"] opaque «_aux_Init_Notation___macroRules_term_++__2» : Lean.Macro
@[macro «term_-_», extern "fd"] opaque «_aux_Init_Notation___macroRules_term_-__2» : Lean.Macro
@[macro «term_/_», extern "fd"] opaque «_aux_Init_Notation___macroRules_term_/__2» : Lean.Macro
@[macro «term_<_», extern "fd"] opaque «_aux_Init_Notation___macroRules_term_<__2» : Lean.Macro
@[macro «term_<=_», extern "fd"] opaque «_aux_Init_Notation___macroRules_term_<=__2» : Lean.Macro
@[macro «term_=_», extern "fd"] opaque «_aux_Init_Notation___macroRules_term_=__2» : Lean.Macro
@[macro «term_==_», extern "fd"] opaque «_aux_Init_Notation___macroRules_term_==__2» : Lean.Macro
@[macro «term_>_», extern "fd"] opaque «_aux_Init_Notation___macroRules_term_>__2» : Lean.Macro
@[macro «term_>=_», extern "fd"] opaque «_aux_Init_Notation___macroRules_term_>=__2» : Lean.Macro
@[macro «term_^_», extern "fd"] opaque «_aux_Init_Notation___macroRules_term_^__2» : Lean.Macro
@[macro «term_^^^_», extern "fd"] opaque «_aux_Init_Notation___macroRules_term_^^^__2» : Lean.Macro
@[macro «term_|||_», extern "fd"] opaque «_aux_Init_Notation___macroRules_term_|||__2» : Lean.Macro
@[macro «term-_», extern "fd"] opaque «_aux_Init_Notation___macroRules_term-__2» : Lean.Macro
@[macro «term‹_›», extern "fd"] opaque «_aux_Init_Tactics___macroRules_term‹_›_1» : Lean.Macro
@[macro Lean.Parser.Tactic.letrec, extern "fd"] opaque Lean.Parser.Tactic._aux_Init_Tactics___macroRules_Lean_Parser_Tactic_letrec_1 : Lean.Macro
@[macro Lean.Parser.Tactic.rwSeq, extern "fd"] opaque Lean.Parser.Tactic._aux_Init_Tactics___macroRules_Lean_Parser_Tactic_rwSeq_1 : Lean.Macro
@[macro Lean.Parser.Tactic.tacticAdmit, extern "fd"] opaque Lean.Parser.Tactic._aux_Init_Tactics___macroRules_Lean_Parser_Tactic_tacticAdmit_1 : Lean.Macro
@[macro Lean.Parser.Tactic.tacticAnd_intros, extern "fd"] opaque Lean.Parser.Tactic._aux_Init_Tactics___macroRules_Lean_Parser_Tactic_tacticAnd_intros_1 : Lean.Macro
@[macro Lean.Parser.Tactic.tacticExfalso, extern "fd"] opaque Lean.Parser.Tactic._aux_Init_Tactics___macroRules_Lean_Parser_Tactic_tacticExfalso_1 : Lean.Macro
@[macro Lean.Parser.Tactic.«tacticExists_,,», extern "fd"] opaque Lean.Parser.Tactic.«_aux_Init_Tactics___macroRules_Lean_Parser_Tactic_tacticExists_,,_1» : Lean.Macro
@[macro Lean.Parser.Tactic.tacticHaveI__, extern "fd"] opaque Lean.Parser.Tactic._aux_Init_Tactics___macroRules_Lean_Parser_Tactic_tacticHaveI___1 : Lean.Macro
@[macro Lean.Parser.Tactic.tacticHave__, extern "fd"] opaque Lean.Parser.Tactic._aux_Init_Tactics___macroRules_Lean_Parser_Tactic_tacticHave___1 : Lean.Macro
@[macro Lean.Parser.Tactic.tacticHave', extern "fd"] opaque Lean.Parser.Tactic._aux_Init_Tactics___macroRules_Lean_Parser_Tactic_tacticHave'_1 : Lean.Macro
@[macro Lean.Parser.Tactic.tacticInfer_instance, extern "fd"] opaque Lean.Parser.Tactic._aux_Init_Tactics___macroRules_Lean_Parser_Tactic_tacticInfer_instance_1 : Lean.Macro
@[macro Lean.Parser.Tactic.tacticLetI__, extern "fd"] opaque Lean.Parser.Tactic._aux_Init_Tactics___macroRules_Lean_Parser_Tactic_tacticLetI___1 : Lean.Macro
@[macro Lean.Parser.Tactic.tacticLet__, extern "fd"] opaque Lean.Parser.Tactic._aux_Init_Tactics___macroRules_Lean_Parser_Tactic_tacticLet___1 : Lean.Macro
@[macro Lean.Parser.Tactic.tacticLet'__, extern "fd"] opaque Lean.Parser.Tactic._aux_Init_Tactics___macroRules_Lean_Parser_Tactic_tacticLet'___1 : Lean.Macro
@[macro Lean.Parser.Tactic.«tacticNext_=>_», extern "fd"] opaque Lean.Parser.Tactic.«_aux_Init_Tactics___macroRules_Lean_Parser_Tactic_tacticNext_=>__1» : Lean.Macro
@[macro Lean.Parser.Tactic.tacticNofun, extern "fd"] opaque Lean.Parser.Tactic._aux_Init_Tactics___macroRules_Lean_Parser_Tactic_tacticNofun_1 : Lean.Macro
@[macro Lean.Parser.Tactic.«tacticNomatch_,,», extern "fd"] opaque Lean.Parser.Tactic.«_aux_Init_Tactics___macroRules_Lean_Parser_Tactic_tacticNomatch_,,_1» : Lean.Macro
@[macro Lean.Parser.Tactic.tacticRefine_lift_, extern "fd"] opaque Lean.Parser.Tactic._aux_Init_Tactics___macroRules_Lean_Parser_Tactic_tacticRefine_lift__1 : Lean.Macro
@[macro Lean.Parser.Tactic.tacticRefine_lift'_, extern "fd"] opaque Lean.Parser.Tactic._aux_Init_Tactics___macroRules_Lean_Parser_Tactic_tacticRefine_lift'__1 : Lean.Macro
@[macro Lean.Parser.Tactic.tacticRfl, extern "fd"] opaque Lean.Parser.Tactic._aux_Init_Tactics___macroRules_Lean_Parser_Tactic_tacticRfl_1 : Lean.Macro
@[macro Lean.Parser.Tactic.tacticRfl', extern "fd"] opaque Lean.Parser.Tactic._aux_Init_Tactics___macroRules_Lean_Parser_Tactic_tacticRfl'_1 : Lean.Macro
@[macro Lean.Parser.Tactic.tacticSorry, extern "fd"] opaque Lean.Parser.Tactic._aux_Init_Tactics___macroRules_Lean_Parser_Tactic_tacticSorry_1 : Lean.Macro
@[macro Lean.Parser.Tactic.tacticStop_, extern "fd"] opaque Lean.Parser.Tactic._aux_Init_Tactics___macroRules_Lean_Parser_Tactic_tacticStop__1 : Lean.Macro
@[macro Lean.Parser.Tactic.tacticSuffices_, extern "fd"] opaque Lean.Parser.Tactic._aux_Init_Tactics___macroRules_Lean_Parser_Tactic_tacticSuffices__1 : Lean.Macro
@[macro Lean.Parser.Tactic.tacticTrivial, extern "fd"] opaque Lean.Parser.Tactic._aux_Init_Tactics___macroRules_Lean_Parser_Tactic_tacticTrivial_1 : Lean.Macro
@[macro Lean.Parser.Tactic.tacticTry_, extern "fd"] opaque Lean.Parser.Tactic._aux_Init_Tactics___macroRules_Lean_Parser_Tactic_tacticTry__1 : Lean.Macro
@[macro Lean.Parser.Tactic.tacticUnhygienic_, extern "fd"] opaque Lean.Parser.Tactic._aux_Init_Tactics___macroRules_Lean_Parser_Tactic_tacticUnhygienic__1 : Lean.Macro
@[macro Lean.Parser.Tactic.«tactic_<;>_», extern "fd"] opaque Lean.Parser.Tactic.«_aux_Init_Tactics___macroRules_Lean_Parser_Tactic_tactic_<;>__1» : Lean.Macro
@[macro Lean.Parser.Tactic.tacticRfl, extern "fd"] opaque Lean.Parser.Tactic._aux_Init_Tactics___macroRules_Lean_Parser_Tactic_tacticRfl_2 : Lean.Macro
@[macro Lean.Parser.Tactic.tacticTrivial, extern "fd"] opaque Lean.Parser.Tactic._aux_Init_Tactics___macroRules_Lean_Parser_Tactic_tacticTrivial_2 : Lean.Macro
@[macro Lean.Parser.Tactic.tacticRfl, extern "fd"] opaque Lean.Parser.Tactic._aux_Init_Tactics___macroRules_Lean_Parser_Tactic_tacticRfl_3 : Lean.Macro
@[macro Lean.Parser.Tactic.tacticTrivial, extern "fd"] opaque Lean.Parser.Tactic._aux_Init_Tactics___macroRules_Lean_Parser_Tactic_tacticTrivial_3 : Lean.Macro
@[macro Lean.Parser.Tactic.tacticTrivial, extern "fd"] opaque Lean.Parser.Tactic._aux_Init_Tactics___macroRules_Lean_Parser_Tactic_tacticTrivial_4 : Lean.Macro
@[macro Lean.Parser.Tactic.tacticTrivial, extern "fd"] opaque Lean.Parser.Tactic._aux_Init_Tactics___macroRules_Lean_Parser_Tactic_tacticTrivial_5 : Lean.Macro
@[macro Lean.Parser.Tactic.tacticTrivial, extern "fd"] opaque Lean.Parser.Tactic._aux_Init_Tactics___macroRules_Lean_Parser_Tactic_tacticTrivial_6 : Lean.Macro
@[macro Lean.Parser.Tactic.tacticRfl, extern "fd"] opaque _aux_Init_Core___macroRules_Lean_Parser_Tactic_tacticRfl_1 : Lean.Macro
@[macro «term_↔_», extern "fd"] opaque «_aux_Init_Core___macroRules_term_↔__1» : Lean.Macro
@[macro «term_∩_», extern "fd"] opaque «_aux_Init_Core___macroRules_term_∩__1» : Lean.Macro
@[macro «term_∪_», extern "fd"] opaque «_aux_Init_Core___macroRules_term_∪__1» : Lean.Macro
@[macro «term_≠_», extern "fd"] opaque «_aux_Init_Core___macroRules_term_≠__1» : Lean.Macro
@[macro «term_⊂_», extern "fd"] opaque «_aux_Init_Core___macroRules_term_⊂__1» : Lean.Macro
@[macro «term_⊃_», extern "fd"] opaque «_aux_Init_Core___macroRules_term_⊃__1» : Lean.Macro
@[macro «term_⊆_», extern "fd"] opaque «_aux_Init_Core___macroRules_term_⊆__1» : Lean.Macro
@[macro «term_⊇_», extern "fd"] opaque «_aux_Init_Core___macroRules_term_⊇__1» : Lean.Macro
@[macro «term_⊕_», extern "fd"] opaque «_aux_Init_Core___macroRules_term_⊕__1» : Lean.Macro
@[macro «term_⊕'_», extern "fd"] opaque «_aux_Init_Core___macroRules_term_⊕'__1» : Lean.Macro
@[macro «term_!=_», extern "fd"] opaque «_aux_Init_Core___macroRules_term_!=__1» : Lean.Macro
@[macro «term_<->_», extern "fd"] opaque «_aux_Init_Core___macroRules_term_<->__1» : Lean.Macro
@[macro «term_\_», extern "fd"] opaque «_aux_Init_Core___macroRules_term_\__1» : Lean.Macro
@[macro «term∅», extern "fd"] opaque «_aux_Init_Core___macroRules_term∅_1» : Lean.Macro
@[macro «term{}», extern "fd"] opaque «_aux_Init_Core___macroRules_term{}_1» : Lean.Macro
@[macro «term_≠_», extern "fd"] opaque «_aux_Init_Core___macroRules_term_≠__2» : Lean.Macro
@[macro «term_!=_», extern "fd"] opaque «_aux_Init_Core___macroRules_term_!=__2» : Lean.Macro
@[macro Lean.Parser.Tactic.constructorBang, extern "fd"] opaque Lean.Parser.Tactic._aux_Init_Meta___macroRules_Lean_Parser_Tactic_constructorBang_1 : Lean.Macro
@[macro tacticFunext___, extern "fd"] opaque _aux_Init_NotationExtra___macroRules_tacticFunext____1 : Lean.Macro
@[macro «termExists_,_», extern "fd"] opaque «_aux_Init_NotationExtra___macroRules_termExists_,__1» : Lean.Macro
@[macro «term_×__1», extern "fd"] opaque «_aux_Init_NotationExtra___macroRules_term_×__1_1» : Lean.Macro
@[macro «term_×'__1», extern "fd"] opaque «_aux_Init_NotationExtra___macroRules_term_×'__1_1» : Lean.Macro
@[macro «termΣ_,_», extern "fd"] opaque «_aux_Init_NotationExtra___macroRules_termΣ_,__1» : Lean.Macro
@[macro «termΣ'_,_», extern "fd"] opaque «_aux_Init_NotationExtra___macroRules_termΣ'_,__1» : Lean.Macro
@[macro «term∃_,_», extern "fd"] opaque «_aux_Init_NotationExtra___macroRules_term∃_,__1» : Lean.Macro
@[macro «term%[_|_]», extern "fd"] opaque «_aux_Init_NotationExtra___macroRules_term%[_|_]_1» : Lean.Macro
@[macro «term{_}», extern "fd"] opaque «_aux_Init_NotationExtra___macroRules_term{_}_1» : Lean.Macro
@[macro Lean.solveTactic, extern "fd"] opaque Lean._aux_Init_NotationExtra___macroRules_Lean_solveTactic_1 : Lean.Macro
@[macro Lean.Parser.Tactic.tacDepIfThenElse, extern "fd"] opaque Lean.Parser.Tactic._aux_Init_TacticsExtra___macroRules_Lean_Parser_Tactic_tacDepIfThenElse_1 : Lean.Macro
@[macro Lean.Parser.Tactic.tacIfThenElse, extern "fd"] opaque Lean.Parser.Tactic._aux_Init_TacticsExtra___macroRules_Lean_Parser_Tactic_tacIfThenElse_1 : Lean.Macro
@[macro Lean.Parser.Tactic.tacticIterate____, extern "fd"] opaque Lean.Parser.Tactic._aux_Init_TacticsExtra___macroRules_Lean_Parser_Tactic_tacticIterate_____1 : Lean.Macro
@[macro Lean.«termSatisfies_binder_pred%__», extern "fd"] opaque Lean.«_aux_Init_BinderPredicates___macroRules_Lean_termSatisfies_binder_pred%___1» : Lean.Macro
@[macro Lean.«term∀__,_», extern "fd"] opaque Lean.«_aux_Init_BinderPredicates___macroRules_Lean_term∀__,__1» : Lean.Macro
@[macro Lean.«term∃__,_», extern "fd"] opaque Lean.«_aux_Init_BinderPredicates___macroRules_Lean_term∃__,__1» : Lean.Macro
@[macro Lean.«termSatisfies_binder_pred%__», extern "fd"] opaque Lean.«_aux_Init_BinderPredicates___macroRules_Lean_termSatisfies_binder_pred%___2» : Lean.Macro
@[macro Lean.«termSatisfies_binder_pred%__», extern "fd"] opaque Lean.«_aux_Init_BinderPredicates___macroRules_Lean_termSatisfies_binder_pred%___3» : Lean.Macro
@[macro Lean.«termSatisfies_binder_pred%__», extern "fd"] opaque Lean.«_aux_Init_BinderPredicates___macroRules_Lean_termSatisfies_binder_pred%___4» : Lean.Macro
@[macro Lean.«termSatisfies_binder_pred%__», extern "fd"] opaque Lean.«_aux_Init_BinderPredicates___macroRules_Lean_termSatisfies_binder_pred%___5» : Lean.Macro
@[macro Lean.«termSatisfies_binder_pred%__», extern "fd"] opaque Lean.«_aux_Init_BinderPredicates___macroRules_Lean_termSatisfies_binder_pred%___6» : Lean.Macro
@[macro Lean.«termSatisfies_binder_pred%__», extern "fd"] opaque Lean.«_aux_Init_BinderPredicates___macroRules_Lean_termSatisfies_binder_pred%___7» : Lean.Macro
@[macro Lean.«termSatisfies_binder_pred%__», extern "fd"] opaque Lean.«_aux_Init_BinderPredicates___macroRules_Lean_termSatisfies_binder_pred%___8» : Lean.Macro
@[macro Lean.«termSatisfies_binder_pred%__», extern "fd"] opaque Lean.«_aux_Init_BinderPredicates___macroRules_Lean_termSatisfies_binder_pred%___9» : Lean.Macro
@[macro Lean.«termSatisfies_binder_pred%__», extern "fd"] opaque Lean.«_aux_Init_BinderPredicates___macroRules_Lean_termSatisfies_binder_pred%___10» : Lean.Macro
@[macro Lean.«termSatisfies_binder_pred%__», extern "fd"] opaque Lean.«_aux_Init_BinderPredicates___macroRules_Lean_termSatisfies_binder_pred%___11» : Lean.Macro
@[macro «tacticBy_cases_:_», extern "fd"] opaque «_aux_Init_ByCases___macroRules_tacticBy_cases_:__1» : Lean.Macro
@[macro «tacticBy_cases_:_», extern "fd"] opaque «_aux_Init_ByCases___macroRules_tacticBy_cases_:__2» : Lean.Macro
@[macro tacticClean_wf, extern "fd"] opaque _aux_Init_WFTactics___macroRules_tacticClean_wf_1 : Lean.Macro
@[macro tacticDecreasing_tactic, extern "fd"] opaque _aux_Init_WFTactics___macroRules_tacticDecreasing_tactic_1 : Lean.Macro
@[macro tacticDecreasing_trivial, extern "fd"] opaque _aux_Init_WFTactics___macroRules_tacticDecreasing_trivial_1 : Lean.Macro
@[macro tacticDecreasing_with_, extern "fd"] opaque _aux_Init_WFTactics___macroRules_tacticDecreasing_with__1 : Lean.Macro
@[macro tacticSimp_wf, extern "fd"] opaque _aux_Init_WFTactics___macroRules_tacticSimp_wf_1 : Lean.Macro
@[macro tacticDecreasing_trivial, extern "fd"] opaque _aux_Init_WFTactics___macroRules_tacticDecreasing_trivial_2 : Lean.Macro
@[macro tacticDecreasing_trivial, extern "fd"] opaque _aux_Init_WFTactics___macroRules_tacticDecreasing_trivial_3 : Lean.Macro
@[macro «term[_]», extern "fd"] opaque Lean.«_aux_Init_Data_List_Notation___macroRules_term[_]_1» : Lean.Macro

-- Unexpanders
@[app_unexpander And, extern "fd"] opaque _aux_Init_Notation___unexpand_And_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander BEq.beq, extern "fd"] opaque _aux_Init_Notation___unexpand_BEq_beq_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander Bool.and, extern "fd"] opaque _aux_Init_Notation___unexpand_Bool_and_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander Bool.not, extern "fd"] opaque _aux_Init_Notation___unexpand_Bool_not_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander Bool.or, extern "fd"] opaque _aux_Init_Notation___unexpand_Bool_or_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander Complement.complement, extern "fd"] opaque _aux_Init_Notation___unexpand_Complement_complement_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander Dvd.dvd, extern "fd"] opaque _aux_Init_Notation___unexpand_Dvd_dvd_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander Eq, extern "fd"] opaque _aux_Init_Notation___unexpand_Eq_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander Function.comp, extern "fd"] opaque _aux_Init_Notation___unexpand_Function_comp_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander GE.ge, extern "fd"] opaque _aux_Init_Notation___unexpand_GE_ge_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander GT.gt, extern "fd"] opaque _aux_Init_Notation___unexpand_GT_gt_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander HAdd.hAdd, extern "fd"] opaque _aux_Init_Notation___unexpand_HAdd_hAdd_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander HAnd.hAnd, extern "fd"] opaque _aux_Init_Notation___unexpand_HAnd_hAnd_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander HAppend.hAppend, extern "fd"] opaque _aux_Init_Notation___unexpand_HAppend_hAppend_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander HDiv.hDiv, extern "fd"] opaque _aux_Init_Notation___unexpand_HDiv_hDiv_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander HEq, extern "fd"] opaque _aux_Init_Notation___unexpand_HEq_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander HMod.hMod, extern "fd"] opaque _aux_Init_Notation___unexpand_HMod_hMod_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander HMul.hMul, extern "fd"] opaque _aux_Init_Notation___unexpand_HMul_hMul_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander HOr.hOr, extern "fd"] opaque _aux_Init_Notation___unexpand_HOr_hOr_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander HPow.hPow, extern "fd"] opaque _aux_Init_Notation___unexpand_HPow_hPow_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander HSMul.hSMul, extern "fd"] opaque _aux_Init_Notation___unexpand_HSMul_hSMul_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander HShiftLeft.hShiftLeft, extern "fd"] opaque _aux_Init_Notation___unexpand_HShiftLeft_hShiftLeft_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander HShiftRight.hShiftRight, extern "fd"] opaque _aux_Init_Notation___unexpand_HShiftRight_hShiftRight_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander HSub.hSub, extern "fd"] opaque _aux_Init_Notation___unexpand_HSub_hSub_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander HXor.hXor, extern "fd"] opaque _aux_Init_Notation___unexpand_HXor_hXor_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander Inv.inv, extern "fd"] opaque _aux_Init_Notation___unexpand_Inv_inv_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander LE.le, extern "fd"] opaque _aux_Init_Notation___unexpand_LE_le_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander LT.lt, extern "fd"] opaque _aux_Init_Notation___unexpand_LT_lt_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander List.cons, extern "fd"] opaque _aux_Init_Notation___unexpand_List_cons_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander Membership.mem, extern "fd"] opaque _aux_Init_Notation___unexpand_Membership_mem_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander Neg.neg, extern "fd"] opaque _aux_Init_Notation___unexpand_Neg_neg_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander Not, extern "fd"] opaque _aux_Init_Notation___unexpand_Not_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander Or, extern "fd"] opaque _aux_Init_Notation___unexpand_Or_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander PProd, extern "fd"] opaque _aux_Init_Notation___unexpand_PProd_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander Prod, extern "fd"] opaque _aux_Init_Notation___unexpand_Prod_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander GE.ge, extern "fd"] opaque _aux_Init_Notation___unexpand_GE_ge_2 : Lean.PrettyPrinter.Unexpander
@[app_unexpander LE.le, extern "fd"] opaque _aux_Init_Notation___unexpand_LE_le_2 : Lean.PrettyPrinter.Unexpander
@[app_unexpander EmptyCollection.emptyCollection, extern "fd"] opaque _aux_Init_Core___unexpand_EmptyCollection_emptyCollection_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander HasSSubset.SSubset, extern "fd"] opaque _aux_Init_Core___unexpand_HasSSubset_SSubset_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander HasSubset.Subset, extern "fd"] opaque _aux_Init_Core___unexpand_HasSubset_Subset_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander Iff, extern "fd"] opaque _aux_Init_Core___unexpand_Iff_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander Inter.inter, extern "fd"] opaque _aux_Init_Core___unexpand_Inter_inter_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander Ne, extern "fd"] opaque _aux_Init_Core___unexpand_Ne_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander SDiff.sdiff, extern "fd"] opaque _aux_Init_Core___unexpand_SDiff_sdiff_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander SSuperset, extern "fd"] opaque _aux_Init_Core___unexpand_SSuperset_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander Sum, extern "fd"] opaque _aux_Init_Core___unexpand_Sum_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander Superset, extern "fd"] opaque _aux_Init_Core___unexpand_Superset_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander Union.union, extern "fd"] opaque _aux_Init_Core___unexpand_Union_union_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander bne, extern "fd"] opaque _aux_Init_Core___unexpand_bne_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander EmptyCollection.emptyCollection, extern "fd"] opaque _aux_Init_Core___unexpand_EmptyCollection_emptyCollection_2 : Lean.PrettyPrinter.Unexpander
@[app_unexpander Iff, extern "fd"] opaque _aux_Init_Core___unexpand_Iff_2 : Lean.PrettyPrinter.Unexpander
@[app_unexpander Exists, extern "fd"] opaque unexpandExists : Lean.PrettyPrinter.Unexpander
@[app_unexpander Sigma, extern "fd"] opaque unexpandSigma : Lean.PrettyPrinter.Unexpander
@[app_unexpander PSigma, extern "fd"] opaque unexpandPSigma : Lean.PrettyPrinter.Unexpander
@[app_unexpander Subtype, extern "fd"] opaque unexpandSubtype : Lean.PrettyPrinter.Unexpander
@[app_unexpander ite, extern "fd"] opaque unexpandIte : Lean.PrettyPrinter.Unexpander
@[app_unexpander List.nil, extern "fd"] opaque unexpandListNil : Lean.PrettyPrinter.Unexpander
@[app_unexpander List.cons, extern "fd"] opaque unexpandListCons : Lean.PrettyPrinter.Unexpander
@[app_unexpander Eq.ndrec, extern "fd"] opaque unexpandEqNDRec : Lean.PrettyPrinter.Unexpander
@[app_unexpander Eq.rec, extern "fd"] opaque unexpandEqRec : Lean.PrettyPrinter.Unexpander
@[app_unexpander Unit.unit, extern "fd"] opaque unexpandUnit : Lean.PrettyPrinter.Unexpander
@[app_unexpander Prod.mk, extern "fd"] opaque unexpandProdMk : Lean.PrettyPrinter.Unexpander
