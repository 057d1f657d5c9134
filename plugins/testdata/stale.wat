;; Keeps pointers from the first event that it sees: its struct and its content.
;; With the later ones it writes a denial into the first one's struct, and hands
;; out the first one's content as its own. Each sluice_buffer is another place.
(module
  (memory (export "memory") 1)
  (global $event (mut i32) (i32.const 0))
  (global $content (mut i32) (i32.const 0))
  (global $len (mut i32) (i32.const 0))
  (func (export "sluice_abi_v1"))
  (func (export "sluice_buffer") (param $min i32) (result i32)
    (local $pages i32)
    (local.set $pages (memory.grow (i32.div_u (i32.add (local.get $min) (i32.const 65535)) (i32.const 65536))))
    (select (i32.const 0) (i32.mul (local.get $pages) (i32.const 65536)) (i32.eq (local.get $pages) (i32.const -1))))
  (func (export "on_message") (param $e i32) (result i32)
    (if (i32.eqz (global.get $event))
      (then
        (global.set $event (local.get $e))
        (global.set $content (i32.load offset=40 (local.get $e)))
        (global.set $len (i32.load offset=44 (local.get $e)))
        (return (i32.const 0))))
    (i32.store offset=128 (global.get $event) (i32.const 403))
    (i32.store offset=136 (global.get $event) (i32.const 4))
    (i32.store offset=140 (global.get $event) (i32.const 1000000))
    (i32.store offset=144 (local.get $e) (global.get $content))
    (i32.store offset=148 (local.get $e) (global.get $len))
    (i32.const 0)))
