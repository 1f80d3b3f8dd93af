;; The lengths of buffers add up to more than a number can be.
;; exits: 0
(func (export "_start")
  (i32.store (i32.const 4) (i32.const 0xffffffff))
  (i32.store (i32.const 12) (i32.const 0xffffffff))
  (call $refused (call $fd_write (i32.const 1) (i32.const 0) (i32.const 2) (i32.const 16))))
