;; Makes counters, buckets, values and series under ever new keys, without end.
(module
  (import "sluice" "metric_add" (func $metric_add (param i32 i32 i64) (result i32)))
  (import "sluice" "counter_add" (func $counter_add (param i32 i32 i64 i64) (result i64)))
  (import "sluice" "bucket_take" (func $bucket_take (param i32 i32 i64 i64 i64) (result i64)))
  (import "sluice" "kv_set" (func $kv_set (param i32 i32 i32 i32 i64) (result i32)))
  (memory (export "memory") 2)
  (global $n (mut i64) (i64.const 0))
  (func (export "sluice_abi_v1"))
  (func (export "sluice_buffer") (param $min i32) (result i32)
    (select (i32.const 65536) (i32.const 0) (i32.le_u (local.get $min) (i32.const 65536))))
  ;; Sixteen letters for the number, at 1024.
  (func $name (param $n i64)
    (local $i i32)
    (loop $next
      (i32.store8 offset=1024 (local.get $i)
        (i32.add (i32.const 97) (i32.and (i32.wrap_i64 (local.get $n)) (i32.const 15))))
      (local.set $n (i64.shr_u (local.get $n) (i64.const 4)))
      (br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 16)))))
  (func (export "on_message") (param i32) (result i32)
    (loop $again
      (global.set $n (i64.add (global.get $n) (i64.const 1)))
      (call $name (global.get $n))
      (drop (call $metric_add (i32.const 1024) (i32.const 16) (i64.const 1)))
      (drop (call $counter_add (i32.const 1024) (i32.const 16) (i64.const 9223372036854775807) (i64.const 9223372036854775807)))
      (drop (call $bucket_take (i32.const 1024) (i32.const 16) (i64.const 1) (i64.const 9223372036854775807) (i64.const 1)))
      (drop (call $kv_set (i32.const 1024) (i32.const 16) (i32.const 0) (i32.const 4096) (i64.const 9223372036854775807)))
      (br $again))
    (unreachable)))
