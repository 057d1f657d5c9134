;; Calls abort as AssemblyScript does, with a message in UTF-16.
(module
  (import "env" "abort" (func $abort (param i32 i32 i32 i32)))
  (memory (export "memory") 2)
  (func (export "sluice_abi_v1"))
  (func (export "sluice_buffer") (param $min i32) (result i32)
    (select (i32.const 65536) (i32.const 0) (i32.le_u (local.get $min) (i32.const 65536))))
  (data (i32.const 1024) "\08\00\00\00o\00o\00p\00s\00")
  (func (export "on_message") (param i32) (result i32)
    (call $abort (i32.const 1028) (i32.const 0) (i32.const 4) (i32.const 2)) (i32.const 0)))
