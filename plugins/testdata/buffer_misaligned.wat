;; Returns a buffer that is not aligned.
(module
  (memory (export "memory") 1)
  (func (export "sluice_abi_v1"))
  (func (export "sluice_buffer") (param i32) (result i32) (i32.const 1028))
  (func (export "on_message") (param i32) (result i32) (i32.const 0)))
