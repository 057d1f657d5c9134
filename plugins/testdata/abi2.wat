;; Speaks another version of the ABI.
(module
  (memory (export "memory") 1)
  (func (export "sluice_abi_v2"))
  (func (export "on_message") (param i32) (result i32) (i32.const 0)))
