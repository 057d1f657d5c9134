;; Sleeps for an hour, as often as the first byte of the content says, minus 48
;; (the digit 0).
(module
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (func (export "sluice_abi_v1"))
  (func (export "sluice_buffer") (param $min i32) (result i32)
    (select (i32.const 65536) (i32.const 0) (i32.le_u (local.get $min) (i32.const 65536))))
  (func (export "on_message") (param $e i32) (result i32)
    (local $n i32)
    (local.set $n (i32.sub (i32.load8_u (i32.load offset=40 (local.get $e))) (i32.const 48)))
    (i64.store (i32.const 1024) (i64.const 42))                 ;; userdata
    (i64.store offset=24 (i32.const 1024) (i64.const 3600000000000)) ;; of a clock, by its zero tag
    (loop
      (if (i32.ne (call $poll (i32.const 1024) (i32.const 2048) (i32.const 1) (i32.const 3072)) (i32.const 0)) (then unreachable))
      (if (i64.ne (i64.load (i32.const 2048)) (i64.const 42)) (then unreachable))
      (br_if 0 (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (i32.const 0)))
