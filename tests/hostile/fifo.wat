;; A program reads from a pipe into which nobody writes.
;; options: --wall-time=300ms
;; exits: 0 124
(func (export "_start")
  (if (call $open @"fifo" (i32.const 0)) (then (return)))
  (i32.store (i32.const 0) (i32.const 1024))
  (i32.store (i32.const 4) (i32.const 10))
  (drop (call $fd_read (i32.load (i32.const 16)) (i32.const 0) (i32.const 1) (i32.const 20))))
