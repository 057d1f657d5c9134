(module
  ;; One page of constants, then the buffer: from 65536 to the end of memory.
  (memory (export "memory") 2)
  (data (i32.const 16) "content is over 1000 bytes") ;; 26 bytes

  ;; The marker: this module speaks version 1. It is never called.
  (func (export "sluice_abi_v1"))

  ;; Where the host writes an event of $min bytes: grow until it fits, or refuse.
  (func (export "sluice_buffer") (param $min i32) (result i32)
    (local $lacking i32)
    (if (i32.gt_u (local.get $min) (i32.const 0x1000000)) ;; over 16 MiB
      (then (return (i32.const 0))))
    (local.set $lacking ;; pages, rounded up
      (i32.sub
        (i32.div_u (i32.add (local.get $min) (i32.const 131071)) (i32.const 65536))
        (memory.size)))
    (if (i32.gt_s (local.get $lacking) (i32.const 0))
      (then
        (if (i32.eq (memory.grow (local.get $lacking)) (i32.const -1))
          (then (return (i32.const 0))))))
    (i32.const 65536))

  ;; Refuse content of more than 1000 bytes, continue with any other.
  (func (export "on_message") (param $event i32) (result i32)
    (if (i32.le_u (i32.load offset=44 (local.get $event)) (i32.const 1000)) ;; payload.len
      (then (return (i32.const 0))))                                       ;; continue
    (i32.store offset=128 (local.get $event) (i32.const 413))              ;; code: too_large
    (i32.store offset=136 (local.get $event) (i32.const 16))               ;; reason.ptr
    (i32.store offset=140 (local.get $event) (i32.const 26))               ;; reason.len
    (i32.const 2)))                                                        ;; deny
