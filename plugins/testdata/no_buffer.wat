;; Has no buffer.
(module
  (memory (export "memory") 1)
  (func (export "sluice_abi_v1"))
  (func (export "on_message") (param i32) (result i32) (i32.const 0)))
