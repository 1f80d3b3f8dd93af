;; A path has a NUL, behind which it goes on.
;; exits: 0
(func (export "_start")
  (call $refused (call $open @"in.txt\00/../../outside" (i32.const 0))))
