;; Not hostile: what is lent can be read. Otherwise the others would prove nothing.
;; exits: 0
(func (export "_start")
  (if (call $open @"in.txt" (i32.const 0)) (then (unreachable)))
  (i32.store (i32.const 0) (i32.const 1024))
  (i32.store (i32.const 4) (i32.const 10))
  (if (call $fd_read (i32.load (i32.const 16)) (i32.const 0) (i32.const 1) (i32.const 20)) (then (unreachable)))
  (if (i32.ne (i32.load (i32.const 20)) (i32.const 4)) (then (unreachable))))
