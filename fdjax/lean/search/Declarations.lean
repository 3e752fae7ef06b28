/- Declarations as lines of JSON, [name, signature, docstring]: one part of PARTS, by the hashes of
their names. What Lean derives from others is left out, and so is what its own programs are. -/
open Lean Elab Command in
set_option maxHeartbeats 0 in
run_cmd liftTermElabM do
  let env ← getEnv
  let mut lines : List String := []
  for (name, _) in env.constants.map₁ do
    if name.hash.toNat % PARTS == PART && !name.isInternalDetail
        && name.getRoot != `Lean && name.getRoot != `Lake then
      try
        let signature ← PrettyPrinter.ppSignature name
        let doc := (← findDocString? env name).getD ""
        let fields := [toString name, signature.fmt.pretty 100000, doc]
        lines := (toJson fields).compress :: lines
      catch _ => pure ()
  logInfo ("declarations:\n" ++ "\n".intercalate lines)
