;; A directory is to be listed beyond the memory.
;; exits: 0
(func (export "_start")
  (call $refused (call $fd_readdir (i32.const 3) (i32.const 65000) (i32.const 0xffffffff) (i64.const 0) (i32.const 16))))
