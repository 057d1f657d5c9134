;; Uses the capabilities log, now and random. Its state is the time, then 16
;; random bytes.
(module
  (import "sluice" "log" (func $log (param i32 i32 i32)))
  (import "sluice" "now" (func $now (result i64)))
  (import "sluice" "random" (func $random (param i32 i32) (result i32)))
  (memory (export "memory") 2)
  (func (export "sluice_abi_v1"))
  (func (export "sluice_buffer") (param $min i32) (result i32)
    (select (i32.const 65536) (i32.const 0) (i32.le_u (local.get $min) (i32.const 65536))))
  (data (i32.const 1024) "hello")
  (func (export "on_message") (param $e i32) (result i32)
    (call $log (i32.const 2) (i32.const 1024) (i32.const 5))
    (i64.store (i32.const 2048) (call $now))
    (if (i32.ne (call $random (i32.const 2056) (i32.const 16)) (i32.const 0)) (then unreachable))
    (if (i32.ne (call $random (i32.const 0) (i32.const 65537)) (i32.const -1)) (then unreachable))
    (i32.store offset=160 (local.get $e) (i32.const 2048))
    (i32.store offset=164 (local.get $e) (i32.const 24))
    (i32.const 0)))
