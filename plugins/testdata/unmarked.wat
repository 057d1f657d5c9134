;; Has no marker.
(module
  (memory (export "memory") 1)
  (func (export "sluice_buffer") (param i32) (result i32) (i32.const 1024))
  (func (export "on_message") (param i32) (result i32) (i32.const 0)))
