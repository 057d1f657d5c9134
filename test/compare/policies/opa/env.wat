;; What OPA's compiled policies import: a memory to grow in, and functions that
;; trap, for the policy of this comparison calls none of them.
(module
  (memory (export "memory") 2)
  (func (export "opa_abort") (param i32) unreachable)
  (func (export "opa_println") (param i32) unreachable)
  (func (export "opa_builtin0") (param i32 i32) (result i32) unreachable)
  (func (export "opa_builtin1") (param i32 i32 i32) (result i32) unreachable)
  (func (export "opa_builtin2") (param i32 i32 i32 i32) (result i32) unreachable)
  (func (export "opa_builtin3") (param i32 i32 i32 i32 i32) (result i32) unreachable)
  (func (export "opa_builtin4") (param i32 i32 i32 i32 i32 i32) (result i32) unreachable))
