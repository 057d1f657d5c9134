;; A start function without end.
(module (func $start (loop $l (br $l))) (start $start))
