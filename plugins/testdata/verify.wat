;; Verifies by sluice.verify: the user is the algorithm, the room the kid, the
;; payload the message, the target the signature. Its state is the result. A
;; join passes a signature that lies outside the memory; a disconnect verifies
;; without end, under ES256.
(module
  (import "sluice" "verify" (func $verify (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 3)
  (func (export "sluice_abi_v1"))
  (func (export "sluice_buffer") (param $min i32) (result i32)
    (select (i32.const 65536) (i32.const 0) (i32.le_u (local.get $min) (i32.const 131072))))
  (func (export "on_message") (param $e i32) (result i32)
    (i32.store (i32.const 2048)
      (call $verify
        (i32.load offset=56 (local.get $e)) (i32.load offset=60 (local.get $e))
        (i32.load offset=48 (local.get $e)) (i32.load offset=52 (local.get $e))
        (i32.load offset=40 (local.get $e)) (i32.load offset=44 (local.get $e))
        (i32.load offset=64 (local.get $e)) (i32.load offset=68 (local.get $e))))
    (i32.store offset=160 (local.get $e) (i32.const 2048))
    (i32.store offset=164 (local.get $e) (i32.const 4))
    (i32.const 0))
  (func (export "on_join") (param $e i32) (result i32)
    (drop (call $verify
      (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
      (i32.const 196600) (i32.const 9)))
    (i32.const 0))
  (data (i32.const 1024) "ES256")
  (func (export "on_disconnect") (param $e i32) (result i32)
    (loop $again
      (drop (call $verify
        (i32.const 1024) (i32.const 5) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
        (i32.const 0) (i32.const 64)))
      (br $again))
    (i32.const 0)))
