;; The process is to be killed.
;; exits: 0
(func (export "_start")
  (call $refused (call $proc_raise (i32.const 9))))
