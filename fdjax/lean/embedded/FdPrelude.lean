prelude
import FdCore
import FdBorrowed
import FdLogic
import FdNat
/-! What problem files import: `prelude`, then `import FdPrelude`. -/
