prelude
import FdNat
/-! What problem files import: `prelude`, then `import FdPrelude`. -/
