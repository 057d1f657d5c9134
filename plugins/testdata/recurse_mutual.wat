;; Recurses forever, over two functions and a table.
(module
  (memory (export "memory") 2)
  (func (export "sluice_abi_v1"))
  (func (export "sluice_buffer") (param $min i32) (result i32)
    (select (i32.const 65536) (i32.const 0) (i32.le_u (local.get $min) (i32.const 65536))))
  (type $t (func (param i64) (result i64)))
  (table 2 funcref)
  (elem (i32.const 0) $f $g)
  (func $f (type $t) (i64.add (i64.const 1) (call $g (local.get 0))))
  (func $g (type $t) (i64.add (i64.const 1) (call_indirect (type $t) (local.get 0) (i32.const 0))))
  (func (export "on_message") (param i32) (result i32) (i32.wrap_i64 (call $f (i64.const 0)))))
