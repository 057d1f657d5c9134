;; Single operations on a lot of memory, without a loop: each must be charged by its length.
(module
  (memory (export "memory") 64 256)
  (func (export "fill") (param $n i32) (memory.fill (i32.const 0) (i32.const 1) (local.get $n)))
  (func (export "copy") (param $n i32) (memory.copy (i32.const 0) (i32.const 0) (local.get $n)))
  (func (export "grow") (param $n i32) (drop (memory.grow (local.get $n))))
  (func (export "add") (param $n i32) (result i32) (i32.add (local.get $n) (i32.const 1)))
)
