;; Calls the functions by which a filter keeps things on the node. The payload
;; says what: {op, times i32, a, b, c i64, key_ptr, key_len i32}. The key is the
;; user, unless key_len is not 0.
;;   op 0  metric_add(key, a)
;;   op 1  counter_add(key, a, b)
;;   op 2  bucket_take(key, a, b, c)
;;   op 3  kv_get(key, b, a), b being 2056 if it is 0
;;   op 4  kv_set(key, target, a), or with {b, c} for the target if c is not 0
;; The state is the last result, an i64, and the bytes behind it.
(module
  (import "sluice" "metric_add" (func $metric_add (param i32 i32 i64) (result i32)))
  (import "sluice" "counter_add" (func $counter_add (param i32 i32 i64 i64) (result i64)))
  (import "sluice" "bucket_take" (func $bucket_take (param i32 i32 i64 i64 i64) (result i64)))
  (import "sluice" "kv_get" (func $kv_get (param i32 i32 i32 i32) (result i32)))
  (import "sluice" "kv_set" (func $kv_set (param i32 i32 i32 i32 i64) (result i32)))
  (memory (export "memory") 4)
  (func (export "sluice_abi_v1"))
  (func (export "sluice_buffer") (param $min i32) (result i32)
    (select (i32.const 65536) (i32.const 0) (i32.le_u (local.get $min) (i32.const 196608))))
  (func $call (param $op i32) (param $key i32) (param $len i32) (param $a i64) (param $b i64) (param $c i64) (param $value i32) (param $n i32) (result i64)
    (if (i32.eq (local.get $op) (i32.const 1))
      (then (return (call $counter_add (local.get $key) (local.get $len) (local.get $a) (local.get $b)))))
    (if (i32.eq (local.get $op) (i32.const 2))
      (then (return (call $bucket_take (local.get $key) (local.get $len) (local.get $a) (local.get $b) (local.get $c)))))
    (if (i32.eq (local.get $op) (i32.const 3))
      (then (return (i64.extend_i32_s
        (call $kv_get (local.get $key) (local.get $len) (local.get $value) (i32.wrap_i64 (local.get $a)))))))
    (if (i32.eq (local.get $op) (i32.const 4))
      (then (return (i64.extend_i32_s
        (call $kv_set (local.get $key) (local.get $len) (local.get $value) (local.get $n) (local.get $a))))))
    (i64.extend_i32_s (call $metric_add (local.get $key) (local.get $len) (local.get $a))))
  (func (export "on_message") (param $e i32) (result i32)
    (local $p i32) (local $op i32) (local $times i32) (local $key i32) (local $len i32) (local $value i32) (local $n i32)
    (local.set $p (i32.load offset=40 (local.get $e)))
    (local.set $op (i32.load (local.get $p)))
    (local.set $times (i32.load offset=4 (local.get $p)))
    (local.set $key (i32.load offset=56 (local.get $e)))
    (local.set $len (i32.load offset=60 (local.get $e)))
    (if (i32.load offset=36 (local.get $p))
      (then
        (local.set $key (i32.load offset=32 (local.get $p)))
        (local.set $len (i32.load offset=36 (local.get $p)))))
    (local.set $value (i32.load offset=64 (local.get $e)))
    (local.set $n (i32.load offset=68 (local.get $e)))
    (if (i32.wrap_i64 (i64.load offset=24 (local.get $p)))
      (then
        (local.set $value (i32.wrap_i64 (i64.load offset=16 (local.get $p))))
        (local.set $n (i32.wrap_i64 (i64.load offset=24 (local.get $p))))))
    (if (i32.eq (local.get $op) (i32.const 3))
      (then
        (local.set $value (i32.wrap_i64 (i64.load offset=16 (local.get $p))))
        (if (i32.eqz (local.get $value)) (then (local.set $value (i32.const 2056))))))
    (loop $again
      (i64.store (i32.const 2048)
        (call $call (local.get $op) (local.get $key) (local.get $len)
          (i64.load offset=8 (local.get $p)) (i64.load offset=16 (local.get $p)) (i64.load offset=24 (local.get $p))
          (local.get $value) (local.get $n)))
      (br_if $again (i32.gt_s (local.tee $times (i32.sub (local.get $times) (i32.const 1))) (i32.const 0))))
    (i32.store offset=160 (local.get $e) (i32.const 2048))
    (i32.store offset=164 (local.get $e) (i32.const 1024))
    (i32.const 0)))
