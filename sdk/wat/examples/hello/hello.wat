;; hello: refuses a word, and numbers the messages of each connection.
;;
;; Configuration: {"word": "..."}, up to 63 bytes.
;;
;; Written from ABI.md alone. Offsets such as offset=44 are those of its table of
;; the event; 44 is the length of the payload, as a run is {ptr, len} and the
;; payload is at 40.
(module
  (import "sluice" "log" (func $log (param $level i32) (param $ptr i32) (param $len i32)))

  ;; Memory. The first page is ours; from the second on the host writes events.
  ;;
  ;;     16  texts               1024  the word, up to 63 bytes and 4 to spare
  ;;    768  a key, likewise     1200  what goes into the state: 4 bytes
  ;;   1216  digits, 10 bytes    4096  the stamped content, up to 8187 bytes
  (memory (export "memory") 2)

  (data (i32.const   16) "the configuration has to be an object")    ;; 37 bytes
  (data (i32.const   64) "unknown key: only word is known")          ;; 31
  (data (i32.const   96) "word has to be a string of up to 63 bytes") ;; 41
  (data (i32.const  144) "word is missing")                          ;; 15
  (data (i32.const  160) "refused a message")                        ;; 17
  (data (i32.const  192) "that word is not welcome here")            ;; 29
  (data (i32.const  224) "too long to be stamped")                   ;; 22
  (data (i32.const  256) ",\"content\":")                            ;; 11
  (data (i32.const 4096) "{\"n\":")                                  ;; 5

  ;; ---- What every filter has ----

  ;; The marker: this module speaks version 1. It is never called.
  (func (export "sluice_abi_v1"))

  ;; Where an event of $min bytes goes: grow until it fits, or refuse with 0.
  (func (export "sluice_buffer") (param $min i32) (result i32)
    (local $lacking i32)
    (if (i32.gt_u (local.get $min) (i32.const 0x1000000)) ;; over 16 MiB
      (then (return (i32.const 0))))
    (local.set $lacking ;; pages of 64 KiB, rounded up, less what is there
      (i32.sub
        (i32.shr_u (i32.add (local.get $min) (i32.const 131071)) (i32.const 16))
        (memory.size)))
    (if (i32.gt_s (local.get $lacking) (i32.const 0))
      (then
        (if (i32.eq (memory.grow (local.get $lacking)) (i32.const -1))
          (then (return (i32.const 0))))))
    (i32.const 65536))

  ;; Answers deny with a code and a reason.
  (func $deny (param $event i32) (param $code i32) (param $reason i32) (param $len i32) (result i32)
    (i32.store offset=128 (local.get $event) (local.get $code))
    (i32.store offset=136 (local.get $event) (local.get $reason))
    (i32.store offset=140 (local.get $event) (local.get $len))
    (i32.const 2))

  ;; ---- Reading JSON: the payload is one valid value ----

  (global $at (mut i32) (i32.const 0))  ;; the next byte
  (global $end (mut i32) (i32.const 0)) ;; behind the last

  ;; Skips white space, and returns the byte behind it without taking it; 0 at the end.
  (func $peek (result i32)
    (local $c i32)
    (loop $next
      (if (i32.ge_u (global.get $at) (global.get $end)) (then (return (i32.const 0))))
      (local.set $c (i32.load8_u (global.get $at)))
      (if (i32.le_u (local.get $c) (i32.const 0x20))
        (then
          (call $take)
          (br $next))))
    (local.get $c))

  (func $take (global.set $at (i32.add (global.get $at) (i32.const 1))))

  ;; Takes four hexadecimal digits. Behind the payload lies a NUL, and beyond it
  ;; nothing that this is called for.
  (func $hex (result i32)
    (local $value i32) (local $c i32) (local $i i32)
    (loop $next
      (local.set $c (i32.or (i32.load8_u (global.get $at)) (i32.const 0x20))) ;; digits stay, letters become small
      (local.set $value
        (i32.or
          (i32.shl (local.get $value) (i32.const 4))
          (select
            (i32.sub (local.get $c) (i32.const 0x57)) ;; 'a' - 10
            (i32.sub (local.get $c) (i32.const 0x30)) ;; '0'
            (i32.gt_u (local.get $c) (i32.const 0x39)))))
      (call $take)
      (br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 4))))
    (local.get $value))

  ;; Takes what follows \u and returns the code point; -1 where it is half a pair.
  (func $code_point (result i32)
    (local $c i32) (local $low i32)
    (local.set $c (call $hex))
    (if (i32.ne (i32.and (local.get $c) (i32.const 0xF800)) (i32.const 0xD800))
      (then (return (local.get $c))))
    (if (i32.or
          (i32.ge_u (local.get $c) (i32.const 0xDC00))
          (i32.ne (i32.load16_u (global.get $at)) (i32.const 0x755C))) ;; \u
      (then (return (i32.const -1))))
    (global.set $at (i32.add (global.get $at) (i32.const 2)))
    (local.set $low (call $hex))
    (if (i32.ne (i32.and (local.get $low) (i32.const 0xFC00)) (i32.const 0xDC00))
      (then (return (i32.const -1))))
    (i32.add
      (i32.const 0x10000)
      (i32.or
        (i32.shl (i32.and (local.get $c) (i32.const 0x3FF)) (i32.const 10))
        (i32.and (local.get $low) (i32.const 0x3FF)))))

  ;; A byte of UTF-8 that continues a character: six bits of it, from $shift on.
  (func $tail (param $c i32) (param $shift i32) (result i32)
    (i32.or (i32.const 0x80) (i32.and (i32.shr_u (local.get $c) (local.get $shift)) (i32.const 0x3F))))

  ;; Writes a code point as UTF-8, and returns in how many bytes.
  (func $encode (param $out i32) (param $c i32) (result i32)
    (if (i32.lt_u (local.get $c) (i32.const 0x80))
      (then
        (i32.store8 (local.get $out) (local.get $c))
        (return (i32.const 1))))
    (if (i32.lt_u (local.get $c) (i32.const 0x800))
      (then
        (i32.store8 (local.get $out) (i32.or (i32.const 0xC0) (i32.shr_u (local.get $c) (i32.const 6))))
        (i32.store8 offset=1 (local.get $out) (call $tail (local.get $c) (i32.const 0)))
        (return (i32.const 2))))
    (if (i32.lt_u (local.get $c) (i32.const 0x10000))
      (then
        (i32.store8 (local.get $out) (i32.or (i32.const 0xE0) (i32.shr_u (local.get $c) (i32.const 12))))
        (i32.store8 offset=1 (local.get $out) (call $tail (local.get $c) (i32.const 6)))
        (i32.store8 offset=2 (local.get $out) (call $tail (local.get $c) (i32.const 0)))
        (return (i32.const 3))))
    (i32.store8 (local.get $out) (i32.or (i32.const 0xF0) (i32.shr_u (local.get $c) (i32.const 18))))
    (i32.store8 offset=1 (local.get $out) (call $tail (local.get $c) (i32.const 12)))
    (i32.store8 offset=2 (local.get $out) (call $tail (local.get $c) (i32.const 6)))
    (i32.store8 offset=3 (local.get $out) (call $tail (local.get $c) (i32.const 0)))
    (i32.const 4))

  ;; The byte that a one-letter escape stands for; " \ and / stand for themselves.
  (func $unescape (param $c i32) (result i32)
    (if (i32.eq (local.get $c) (i32.const 0x62)) (then (return (i32.const 0x08)))) ;; b
    (if (i32.eq (local.get $c) (i32.const 0x66)) (then (return (i32.const 0x0C)))) ;; f
    (if (i32.eq (local.get $c) (i32.const 0x6E)) (then (return (i32.const 0x0A)))) ;; n
    (if (i32.eq (local.get $c) (i32.const 0x72)) (then (return (i32.const 0x0D)))) ;; r
    (if (i32.eq (local.get $c) (i32.const 0x74)) (then (return (i32.const 0x09)))) ;; t
    (local.get $c))

  ;; Takes a string, and writes it decoded to $out, which has room for $max bytes
  ;; and 4 more. Returns its length; -1 where there is no string, or a longer one.
  (func $string (param $out i32) (param $max i32) (result i32)
    (local $c i32) (local $n i32)
    (if (i32.ne (call $peek) (i32.const 0x22)) (then (return (i32.const -1)))) ;; "
    (call $take)
    (loop $next
      (if (i32.ge_u (global.get $at) (global.get $end)) (then (return (i32.const -1))))
      (local.set $c (i32.load8_u (global.get $at)))
      (call $take)
      (if (i32.eq (local.get $c) (i32.const 0x22)) (then (return (local.get $n))))
      (if (i32.ne (local.get $c) (i32.const 0x5C)) ;; \
        (then
          (i32.store8 (i32.add (local.get $out) (local.get $n)) (local.get $c))
          (local.set $n (i32.add (local.get $n) (i32.const 1))))
        (else
          (local.set $c (i32.load8_u (global.get $at)))
          (call $take)
          (if (i32.eq (local.get $c) (i32.const 0x75)) ;; u
            (then (local.set $c (call $code_point)))
            (else (local.set $c (call $unescape (local.get $c)))))
          (if (i32.eq (local.get $c) (i32.const -1)) (then (return (i32.const -1))))
          (local.set $n
            (i32.add
              (local.get $n)
              (call $encode (i32.add (local.get $out) (local.get $n)) (local.get $c))))))
      (br_if $next (i32.le_u (local.get $n) (local.get $max))))
    (i32.const -1))

  ;; ---- The configuration ----

  (global $word_len (mut i32) (i32.const 0))

  (func (export "on_configure") (param $event i32) (result i32)
    (global.set $word_len (i32.const 0))
    (global.set $at (i32.load offset=40 (local.get $event))) ;; payload.ptr
    (global.set $end (i32.add (global.get $at) (i32.load offset=44 (local.get $event))))
    (if (i32.ne (call $peek) (i32.const 0x7B)) ;; {
      (then (return (call $deny (local.get $event) (i32.const 422) (i32.const 16) (i32.const 37)))))
    (call $take)
    (block $done
      (br_if $done (i32.eq (call $peek) (i32.const 0x7D))) ;; }
      (loop $member
        (if (i32.ne (call $string (i32.const 768) (i32.const 7)) (i32.const 4))
          (then (return (call $deny (local.get $event) (i32.const 422) (i32.const 64) (i32.const 31)))))
        (if (i32.ne (i32.load (i32.const 768)) (i32.const 0x64726F77)) ;; word, little-endian
          (then (return (call $deny (local.get $event) (i32.const 422) (i32.const 64) (i32.const 31)))))
        (drop (call $peek)) ;; :
        (call $take)
        (global.set $word_len (call $string (i32.const 1024) (i32.const 63)))
        (if (i32.eq (global.get $word_len) (i32.const -1))
          (then (return (call $deny (local.get $event) (i32.const 422) (i32.const 96) (i32.const 41)))))
        (br_if $done (i32.ne (call $peek) (i32.const 0x2C))) ;; ,
        (call $take)
        (br $member)))
    (if (i32.eqz (global.get $word_len))
      (then (return (call $deny (local.get $event) (i32.const 422) (i32.const 144) (i32.const 15)))))
    (i32.const 0)) ;; continue

  ;; ---- Messages ----

  ;; Whether the word is at $at.
  (func $is_word (param $at i32) (result i32)
    (local $i i32)
    (loop $next
      (if (i32.ne
            (i32.load8_u (i32.add (local.get $at) (local.get $i)))
            (i32.load8_u offset=1024 (local.get $i)))
        (then (return (i32.const 0))))
      (br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (global.get $word_len))))
    (i32.const 1))

  ;; Whether the word is anywhere in the content.
  (func $has_word (param $at i32) (param $len i32) (result i32)
    (local $first i32) (local $last i32)
    (if (i32.lt_u (local.get $len) (global.get $word_len)) (then (return (i32.const 0))))
    (local.set $first (i32.load8_u (i32.const 1024)))
    (local.set $last (i32.add (local.get $at) (i32.sub (local.get $len) (global.get $word_len))))
    (loop $next
      (if (i32.eq (i32.load8_u (local.get $at)) (local.get $first))
        (then
          (if (call $is_word (local.get $at)) (then (return (i32.const 1))))))
      (br_if $next (i32.le_u (local.tee $at (i32.add (local.get $at) (i32.const 1))) (local.get $last))))
    (i32.const 0))

  ;; Writes a number in decimal, and returns where it ends.
  (func $decimal (param $out i32) (param $n i32) (result i32)
    (local $digit i32)
    (local.set $digit (i32.const 1226)) ;; from the last to the first
    (loop $next
      (local.set $digit (i32.sub (local.get $digit) (i32.const 1)))
      (i32.store8 (local.get $digit) (i32.add (i32.const 0x30) (i32.rem_u (local.get $n) (i32.const 10))))
      (br_if $next (local.tee $n (i32.div_u (local.get $n) (i32.const 10)))))
    (memory.copy (local.get $out) (local.get $digit) (i32.sub (i32.const 1226) (local.get $digit)))
    (i32.add (local.get $out) (i32.sub (i32.const 1226) (local.get $digit))))

  (func (export "on_message") (param $event i32) (result i32)
    (local $content i32) (local $len i32) (local $count i32) (local $out i32)
    (local.set $content (i32.load offset=40 (local.get $event)))
    (local.set $len (i32.load offset=44 (local.get $event)))
    (if (call $has_word (local.get $content) (local.get $len))
      (then
        (call $log (i32.const 1) (i32.const 160) (i32.const 17)) ;; level 1: info
        (return (call $deny (local.get $event) (i32.const 422) (i32.const 192) (i32.const 29)))))

    ;; Count in the state: at first it is empty.
    (if (i32.eq (i32.load offset=84 (local.get $event)) (i32.const 4)) ;; state.len
      (then (local.set $count (i32.load (i32.load offset=80 (local.get $event))))))
    (local.set $count (i32.add (local.get $count) (i32.const 1)))
    (i32.store (i32.const 1200) (local.get $count))
    (i32.store offset=160 (local.get $event) (i32.const 1200)) ;; out_state
    (i32.store offset=164 (local.get $event) (i32.const 4))

    (if (i32.gt_u (local.get $len) (i32.const 8160))
      (then (return (call $deny (local.get $event) (i32.const 413) (i32.const 224) (i32.const 22)))))

    ;; {"n": is there already; the rest goes behind it.
    (local.set $out (call $decimal (i32.const 4101) (local.get $count)))
    (memory.copy (local.get $out) (i32.const 256) (i32.const 11)) ;; ,"content":
    (local.set $out (i32.add (local.get $out) (i32.const 11)))
    (memory.copy (local.get $out) (local.get $content) (local.get $len))
    (local.set $out (i32.add (local.get $out) (local.get $len)))
    (i32.store8 (local.get $out) (i32.const 0x7D)) ;; }
    (i32.store offset=144 (local.get $event) (i32.const 4096)) ;; out_payload
    (i32.store offset=148 (local.get $event) (i32.sub (local.get $out) (i32.const 4095)))
    (i32.const 0))) ;; continue
