;; Grows its memory as far as it may, then works on all of it but the first two
;; pages, forever, in instructions as long as that: content 1 fills, 2 copies to
;; a higher address, 3 to a lower one.
(module
  (memory (export "memory") 2)
  (func (export "sluice_abi_v1"))
  (func (export "sluice_buffer") (param $min i32) (result i32)
    (select (i32.const 65536) (i32.const 0) (i32.le_u (local.get $min) (i32.const 65536))))
  (func (export "on_message") (param $e i32) (result i32)
    (local $pages i32) (local $length i32) (local $what i32)
    (local.set $what (i32.load8_u (i32.load offset=40 (local.get $e))))
    (local.set $pages (i32.const 16384))
    (loop $grow
      (if (i32.eq (memory.grow (local.get $pages)) (i32.const -1))
        (then (local.set $pages (i32.shr_u (local.get $pages) (i32.const 1)))))
      (br_if $grow (local.get $pages)))
    (local.set $length (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 131073)))
    (loop $work
      (if (i32.eq (local.get $what) (i32.const 0x31))
        (then (memory.fill (i32.const 131072) (i32.const 1) (local.get $length))))
      (if (i32.eq (local.get $what) (i32.const 0x32))
        (then (memory.copy (i32.const 131073) (i32.const 131072) (local.get $length))))
      (if (i32.eq (local.get $what) (i32.const 0x33))
        (then (memory.copy (i32.const 131072) (i32.const 131073) (local.get $length))))
      (br $work))
    unreachable))
