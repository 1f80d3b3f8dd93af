;; Four thousand million things are waited for.
;; exits: 0
(func (export "_start")
  (call $refused (call $poll_oneoff (i32.const 0) (i32.const 0) (i32.const 0xffffffff) (i32.const 16))))
