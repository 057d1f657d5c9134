;; Answers with what the event's payload says: its first 72 bytes are the
;; outputs, the next four the verdict.
(module
  (memory (export "memory") 4)
  (func (export "sluice_abi_v1"))
  (func (export "sluice_buffer") (param $min i32) (result i32)
    (select (i32.const 65536) (i32.const 0) (i32.le_u (local.get $min) (i32.const 131072))))
  (func $answer (param $e i32) (result i32)
    (local $p i32)
    (local.set $p (i32.load offset=40 (local.get $e)))
    (memory.copy (i32.add (local.get $e) (i32.const 128)) (local.get $p) (i32.const 72))
    (i32.load offset=72 (local.get $p)))
  (export "on_connect" (func $answer))
  (export "on_join" (func $answer))
  (export "on_message" (func $answer))
  (export "on_leave" (func $answer))
  (export "on_disconnect" (func $answer)))
