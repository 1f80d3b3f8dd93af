;; A path goes in, and then out by more dots.
;; exits: 0
(func (export "_start")
  (call $refused (call $open @"deep/../../outside/secret.txt" (i32.const 0))))
