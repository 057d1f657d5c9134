;; Keeps its configuration under "config" (the first six letters of the word), counts in "configured" how often it
;; was configured, and sees to the metric "configured".
(module
  (import "sluice" "metric_add" (func $metric_add (param i32 i32 i64) (result i32)))
  (import "sluice" "counter_add" (func $counter_add (param i32 i32 i64 i64) (result i64)))
  (import "sluice" "kv_set" (func $kv_set (param i32 i32 i32 i32 i64) (result i32)))
  (memory (export "memory") 2)
  (data (i32.const 1024) "configured")
  (data (i32.const 1040) "no room for the configuration")
  (func (export "sluice_abi_v1"))
  (func (export "sluice_buffer") (param $min i32) (result i32)
    (select (i32.const 65536) (i32.const 0) (i32.le_u (local.get $min) (i32.const 65536))))
  (func (export "on_configure") (param $e i32) (result i32)
    (drop (call $metric_add (i32.const 1024) (i32.const 10) (i64.const 1)))
    (drop (call $counter_add (i32.const 1024) (i32.const 10) (i64.const 1) (i64.const 0)))
    (if (call $kv_set (i32.const 1024) (i32.const 6) (i32.load offset=40 (local.get $e)) (i32.load offset=44 (local.get $e)) (i64.const 0))
      (then
        (i32.store offset=136 (local.get $e) (i32.const 1040))
        (i32.store offset=140 (local.get $e) (i32.const 29))
        (return (i32.const 2))))
    (i32.const 0))
  (func (export "on_message") (param i32) (result i32) (i32.const 0)))
