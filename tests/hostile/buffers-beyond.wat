;; The list of buffers lies beyond the memory.
;; exits: 0
(func (export "_start")
  (call $refused (call $fd_write (i32.const 1) (i32.const 0xfffffff0) (i32.const 4) (i32.const 16))))
