;; Judges by its lookup. Of a message: denies it with 422 if the lookup's value
;; holds the word "banned"; else its content becomes {"s":STATUS,"v":VALUE}, VALUE
;; being null if there is none.
(module
  (memory (export "memory") 12)
  (func (export "sluice_abi_v1"))
  (func (export "sluice_buffer") (param $min i32) (result i32)
    (select (i32.const 65536) (i32.const 0) (i32.le_u (local.get $min) (i32.const 400000))))
  (data (i32.const 1024) "banned")
  (data (i32.const 1040) "{\"s\":0,\"v\":")
  (data (i32.const 1060) "null")
  (func $status (param $e i32) (result i32)
    (i32.and (i32.shr_u (i32.load offset=12 (local.get $e)) (i32.const 1)) (i32.const 3)))
  ;; Whether the n bytes at $at hold the word.
  (func $banned (param $at i32) (param $n i32) (result i32)
    (local $end i32)
    (if (i32.lt_u (local.get $n) (i32.const 6)) (then (return (i32.const 0))))
    (local.set $end (i32.sub (i32.add (local.get $at) (local.get $n)) (i32.const 6)))
    (loop $next
      (if (i32.and
            (i32.eq (i32.load (local.get $at)) (i32.load (i32.const 1024)))
            (i32.eq (i32.load16_u offset=4 (local.get $at)) (i32.load16_u (i32.const 1028))))
        (then (return (i32.const 1))))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br_if $next (i32.le_u (local.get $at) (local.get $end))))
    (i32.const 0))
  (func (export "on_message") (param $e i32) (result i32)
    (local $n i32)
    (if (call $banned (i32.load offset=104 (local.get $e)) (i32.load offset=108 (local.get $e)))
      (then
        (i32.store offset=128 (local.get $e) (i32.const 422))
        (return (i32.const 2))))
    (i32.store8 (i32.const 1045) (i32.add (i32.const 48) (call $status (local.get $e))))
    (memory.copy (i32.const 480000) (i32.const 1040) (i32.const 11))
    (local.set $n (i32.load offset=108 (local.get $e)))
    (if (i32.eq (call $status (local.get $e)) (i32.const 1))
      (then (memory.copy (i32.const 480011) (i32.load offset=104 (local.get $e)) (local.get $n)))
      (else
        (local.set $n (i32.const 4))
        (memory.copy (i32.const 480011) (i32.const 1060) (i32.const 4))))
    (i32.store8 (i32.add (i32.const 480011) (local.get $n)) (i32.const 125))
    (i32.store offset=144 (local.get $e) (i32.const 480000))
    (i32.store offset=148 (local.get $e) (i32.add (local.get $n) (i32.const 12)))
    (i32.const 0)))
