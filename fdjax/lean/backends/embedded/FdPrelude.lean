prelude
import FdArith
/-! What problem files import: `prelude`, then `import FdPrelude`. -/
