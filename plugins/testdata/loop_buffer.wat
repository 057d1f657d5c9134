;; Loops forever when it is asked for a larger buffer than 4 KiB.
(module
  (memory (export "memory") 2)
  (func (export "sluice_abi_v1"))
  (func (export "sluice_buffer") (param $min i32) (result i32)
    (loop (br_if 0 (i32.gt_u (local.get $min) (i32.const 4096))))
    (i32.const 65536))
  (func (export "on_message") (param i32) (result i32) (i32.const 0)))
