;; Refuses its configuration and says why.
(module
  (memory (export "memory") 2)
  (func (export "sluice_abi_v1"))
  (func (export "sluice_buffer") (param $min i32) (result i32)
    (select (i32.const 65536) (i32.const 0) (i32.le_u (local.get $min) (i32.const 65536))))
  (data (i32.const 1024) "max_bytes must be positive")
  (func (export "on_configure") (param $e i32) (result i32)
    (i32.store offset=136 (local.get $e) (i32.const 1024))
    (i32.store offset=140 (local.get $e) (i32.const 26))
    (i32.const 2))
  (func (export "on_message") (param i32) (result i32) (i32.const 0)))
