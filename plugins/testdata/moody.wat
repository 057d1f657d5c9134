;; Does what the first byte of the content says: t traps, l loops, r recurses,
;; g allocates without end, p returns a pointer outside its memory. Anything else
;; is agreed to, and the state is set to how often this instance agreed.
(module
  (memory (export "memory") 2)
  (func (export "sluice_abi_v1"))
  (func (export "sluice_buffer") (param $min i32) (result i32)
    (select (i32.const 65536) (i32.const 0) (i32.le_u (local.get $min) (i32.const 65536))))
  (global $agreed (mut i32) (i32.const 0))
  (func $recurse (param i32) (result i32)
    (i32.add (i32.const 1) (call $recurse (i32.add (local.get 0) (i32.const 1)))))
  (func (export "on_message") (param $e i32) (result i32)
    (local $c i32)
    (local.set $c (i32.load8_u (i32.load offset=40 (local.get $e))))
    (if (i32.eq (local.get $c) (i32.const 0x74)) (then unreachable))
    (if (i32.eq (local.get $c) (i32.const 0x6c)) (then (loop (br 0))))
    (if (i32.eq (local.get $c) (i32.const 0x72)) (then (return (call $recurse (i32.const 0)))))
    (if (i32.eq (local.get $c) (i32.const 0x67))
      (then (loop (drop (memory.grow (i32.const 1))) (br 0))))
    (if (i32.eq (local.get $c) (i32.const 0x70))
      (then
        (i32.store offset=144 (local.get $e) (i32.const -16))
        (i32.store offset=148 (local.get $e) (i32.const 4))
        (return (i32.const 0))))
    (global.set $agreed (i32.add (global.get $agreed) (i32.const 1)))
    (i32.store (i32.const 2048) (global.get $agreed))
    (i32.store offset=160 (local.get $e) (i32.const 2048))
    (i32.store offset=164 (local.get $e) (i32.const 4))
    (i32.const 0)))
