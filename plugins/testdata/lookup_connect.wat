;; Has on_connect and on_join. A connect is given the user that its lookup found,
;; and is denied with 401 if it found none. A join is allowed if its lookup found
;; anything.
(module
  (memory (export "memory") 2)
  (func (export "sluice_abi_v1"))
  (func (export "sluice_buffer") (param $min i32) (result i32)
    (select (i32.const 65536) (i32.const 0) (i32.le_u (local.get $min) (i32.const 65536))))
  (func $found (param $e i32) (result i32)
    (i32.eq (i32.const 2) (i32.and (i32.load offset=12 (local.get $e)) (i32.const 6))))
  (func (export "on_connect") (param $e i32) (result i32)
    (if (i32.eqz (call $found (local.get $e)))
      (then
        (i32.store offset=128 (local.get $e) (i32.const 401))
        (return (i32.const 2))))
    (i64.store offset=168 (local.get $e) (i64.load offset=104 (local.get $e)))
    (i32.const 0))
  (func (export "on_join") (param $e i32) (result i32)
    (if (i32.eqz (call $found (local.get $e)))
      (then (return (i32.const 2))))
    (i32.const 0)))
