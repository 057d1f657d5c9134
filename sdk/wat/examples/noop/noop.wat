;; noop: continues with every message. It shows what a call costs, and the least
;; that a filter has to have.
(module
  ;; From 16 to the end of memory the host writes events.
  (memory (export "memory") 1)

  ;; The marker: this module speaks version 1 of the ABI. It is never called.
  (func (export "sluice_abi_v1"))

  ;; Where an event of $min bytes goes: grow until it fits, or refuse with 0.
  (func (export "sluice_buffer") (param $min i32) (result i32)
    (local $lacking i32)
    (if (i32.gt_u (local.get $min) (i32.const 0x1000000)) ;; over 16 MiB
      (then (return (i32.const 0))))
    (local.set $lacking ;; pages of 64 KiB: 16 + $min, rounded up, less what is there
      (i32.sub
        (i32.shr_u (i32.add (local.get $min) (i32.const 65551)) (i32.const 16))
        (memory.size)))
    (if (i32.gt_s (local.get $lacking) (i32.const 0))
      (then
        (if (i32.eq (memory.grow (local.get $lacking)) (i32.const -1))
          (then (return (i32.const 0))))))
    (i32.const 16))

  (func (export "on_message") (param $event i32) (result i32)
    (i32.const 0))) ;; continue
