;; Stamps messages with the number of its configuration, {"n":12}: content [1] becomes [1,12]. A message is an
;; array; another content, or one over 4000 bytes, is the filter's own failure.
(module
  (memory (export "memory") 2)
  (global $digits (mut i32) (i32.const 0)) ;; how many the number has; they are at 1024
  (func (export "sluice_abi_v1"))
  (func (export "sluice_buffer") (param $min i32) (result i32)
    (select (i32.const 65536) (i32.const 0) (i32.le_u (local.get $min) (i32.const 65536))))

  ;; Keeps the digits of the configuration; without any it refuses.
  (func (export "on_configure") (param $e i32) (result i32) (local $p i32) (local $end i32) (local $c i32)
    (local.set $p (i32.load offset=40 (local.get $e)))
    (local.set $end (i32.add (local.get $p) (i32.load offset=44 (local.get $e))))
    (block $done (loop $next
      (br_if $done (i32.ge_u (local.get $p) (local.get $end)))
      (local.set $c (i32.load8_u (local.get $p)))
      (if (i32.lt_u (i32.sub (local.get $c) (i32.const 48)) (i32.const 10)) (then
        (i32.store8 (i32.add (i32.const 1024) (global.get $digits)) (local.get $c))
        (global.set $digits (i32.add (global.get $digits) (i32.const 1)))))
      (local.set $p (i32.add (local.get $p) (i32.const 1)))
      (br $next)))
    (select (i32.const 0) (i32.const 2) (global.get $digits)))

  (func (export "on_message") (param $e i32) (result i32) (local $p i32) (local $len i32) (local $out i32)
    (local.set $p (i32.load offset=40 (local.get $e)))
    (local.set $len (i32.load offset=44 (local.get $e)))
    (if (i32.gt_u (local.get $len) (i32.const 4000)) (then (return (i32.const -1))))
    (if (i32.ne (i32.load8_u (local.get $p)) (i32.const 91)) (then (return (i32.const -1))))
    (local.set $out (i32.const 2048))
    (memory.copy (local.get $out) (local.get $p) (local.get $len))
    (local.set $out (i32.sub (i32.add (local.get $out) (local.get $len)) (i32.const 1))) ;; the closing bracket
    (i32.store8 (local.get $out) (i32.const 44))
    (memory.copy (i32.add (local.get $out) (i32.const 1)) (i32.const 1024) (global.get $digits))
    (local.set $out (i32.add (i32.add (local.get $out) (i32.const 1)) (global.get $digits)))
    (i32.store8 (local.get $out) (i32.const 93))
    (i32.store offset=144 (local.get $e) (i32.const 2048))
    (i32.store offset=148 (local.get $e) (i32.sub (local.get $out) (i32.const 2047)))
    (i32.const 0)))
