;; Recurses forever.
(module
  (memory (export "memory") 2)
  (func (export "sluice_abi_v1"))
  (func (export "sluice_buffer") (param $min i32) (result i32)
    (select (i32.const 65536) (i32.const 0) (i32.le_u (local.get $min) (i32.const 65536))))
  (func $f (param i64) (result i64) (i64.add (i64.const 1) (call $f (i64.add (local.get 0) (i64.const 1)))))
  (func (export "on_message") (param i32) (result i32) (i32.wrap_i64 (call $f (i64.const 0)))))
