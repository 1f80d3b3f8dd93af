;; A buffer begins in the memory and ends beyond it.
;; exits: 0
(func (export "_start")
  (i32.store (i32.const 0) (i32.const 65000))
  (i32.store (i32.const 4) (i32.const 1000000))
  (call $refused (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16))))
