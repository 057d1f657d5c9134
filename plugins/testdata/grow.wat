;; Grows its memory by as many pages as the first byte of the content says, minus
;; 48 (the digit 0), and sets its state to the size in pages.
(module
  (memory (export "memory") 2)
  (func (export "sluice_abi_v1"))
  (func (export "sluice_buffer") (param $min i32) (result i32)
    (select (i32.const 65536) (i32.const 0) (i32.le_u (local.get $min) (i32.const 65536))))
  (func (export "on_message") (param $e i32) (result i32)
    (drop (memory.grow (i32.sub (i32.load8_u (i32.load offset=40 (local.get $e))) (i32.const 48))))
    (i32.store (i32.const 2048) (memory.size))
    (i32.store offset=160 (local.get $e) (i32.const 2048))
    (i32.store offset=164 (local.get $e) (i32.const 4))
    (i32.const 0)))
