;; A path is no text.
;; exits: 0
(func (export "_start")
  (call $refused (call $open @"\ff\fe" (i32.const 0))))
