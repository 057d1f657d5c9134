;; Works for about a millisecond on each message.
(module
  (memory (export "memory") 2)
  (func (export "sluice_abi_v1"))
  (func (export "sluice_buffer") (param $min i32) (result i32)
    (select (i32.const 65536) (i32.const 0) (i32.le_u (local.get $min) (i32.const 65536))))
  (func (export "on_message") (param i32) (result i32) (local $i i32)
    (local.set $i (i32.const 500000))
    (loop
      (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (local.get $i)))
      (br_if 0 (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))
    (i32.const 0)))
