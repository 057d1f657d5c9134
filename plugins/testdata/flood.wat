;; Writes 64 KiB to stdout, forever.
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (func (export "sluice_abi_v1"))
  (func (export "sluice_buffer") (param $min i32) (result i32)
    (select (i32.const 65536) (i32.const 0) (i32.le_u (local.get $min) (i32.const 65536))))
  (func (export "on_message") (param i32) (result i32)
    (memory.fill (i32.const 0) (i32.const 0x61) (i32.const 65536))
    (i32.store (i32.const 65536) (i32.const 0))
    (i32.store (i32.const 65540) (i32.const 65536))
    (loop
      (drop (call $write (i32.const 1) (i32.const 65536) (i32.const 1) (i32.const 65544)))
      (br 0))
    unreachable))
