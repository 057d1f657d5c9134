;; Writes a line to stderr, then traps.
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (func (export "sluice_abi_v1"))
  (func (export "sluice_buffer") (param $min i32) (result i32)
    (select (i32.const 65536) (i32.const 0) (i32.le_u (local.get $min) (i32.const 65536))))
  (data (i32.const 1024) "\00\08\00\00\0b\00\00\00")
  (data (i32.const 2048) "out of luck")
  (func (export "on_message") (param i32) (result i32)
    (drop (call $write (i32.const 2) (i32.const 1024) (i32.const 1) (i32.const 3072)))
    unreachable))
