;; Imports functions that this version of the host does not offer, and traps
;; unless they answer "unsupported" (in WASI: ENOSYS).
(module
  (import "sluice" "kv_list" (func $kv (param i32 i32 i32 i32) (result i32)))
  (import "sluice" "bucket_peek" (func $bucket (param i32 i32 i64 i64 i64) (result i64)))
  (import "wasi_snapshot_preview1" "path_open" (func $open (result i32)))
  (memory (export "memory") 2)
  (func (export "sluice_abi_v1"))
  (func (export "sluice_buffer") (param $min i32) (result i32)
    (select (i32.const 65536) (i32.const 0) (i32.le_u (local.get $min) (i32.const 65536))))
  (func (export "on_message") (param i32) (result i32)
    (if (i32.ne (call $kv (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)) (i32.const -2)) (then unreachable))
    (if (i64.ne (call $bucket (i32.const 0) (i32.const 0) (i64.const 1) (i64.const 1) (i64.const 1)) (i64.const -2)) (then unreachable))
    (if (i32.ne (call $open) (i32.const 52)) (then unreachable))
    (i32.const 0)))
