;; A file is created outside.
;; exits: 0
(func (export "_start")
  (call $refused (call $open @"../outside/made.txt" (i32.const 1))))
