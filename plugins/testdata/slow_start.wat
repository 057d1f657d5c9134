;; Takes some milliseconds to initialise, as a language runtime does, traps on a
;; message that begins with t, and loops on one that begins with l. Else its state is how often this instance
;; agreed.
(module
  (memory (export "memory") 2)
  (func (export "sluice_abi_v1"))
  (func (export "sluice_buffer") (param $min i32) (result i32)
    (select (i32.const 65536) (i32.const 0) (i32.le_u (local.get $min) (i32.const 65536))))
  (global $agreed (mut i32) (i32.const 0))
  (func (export "_initialize") (local $i i32)
    (local.set $i (i32.const 3000000))
    (loop
      (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (local.get $i)))
      (br_if 0 (local.tee $i (i32.sub (local.get $i) (i32.const 1))))))
  (func (export "on_message") (param $e i32) (result i32)
    (if (i32.eq (i32.load8_u (i32.load offset=40 (local.get $e))) (i32.const 0x74)) (then unreachable))
    (if (i32.eq (i32.load8_u (i32.load offset=40 (local.get $e))) (i32.const 0x6c)) (then (loop (br 0))))
    (global.set $agreed (i32.add (global.get $agreed) (i32.const 1)))
    (i32.store (i32.const 2048) (global.get $agreed))
    (i32.store offset=160 (local.get $e) (i32.const 2048))
    (i32.store offset=164 (local.get $e) (i32.const 4))
    (i32.const 0)))
