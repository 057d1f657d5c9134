;; Fills all of its memory, forever, in instructions of 2 MiB each.
(module
  (memory (export "memory") 32)
  (func (export "sluice_abi_v1"))
  (func (export "sluice_buffer") (param $min i32) (result i32)
    (select (i32.const 65536) (i32.const 0) (i32.le_u (local.get $min) (i32.const 65536))))
  (func (export "on_message") (param i32) (result i32)
    (loop (memory.fill (i32.const 0) (i32.const 1) (i32.const 2097152)) (br 0)) unreachable))
