;; Takes eight pages more for each message, and fails when there are none.
(module
  (memory (export "memory") 2)
  (func (export "sluice_abi_v1"))
  (func (export "sluice_buffer") (param $min i32) (result i32)
    (select (i32.const 65536) (i32.const 0) (i32.le_u (local.get $min) (i32.const 65536))))
  (func (export "on_message") (param $e i32) (result i32)
    (if (i32.eq (memory.grow (i32.const 8)) (i32.const -1)) (then (return (i32.const -1))))
    (i32.const 0)))
