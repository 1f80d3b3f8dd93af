;; A tebibyte is allocated to a file.
;; options: --scratch --max-scratch=1MiB
;; exits: 0
(func (export "_start")
  (if (call $open @"big" (i32.const 1)) (then (unreachable)))
  (call $refused (call $fd_allocate (i32.load (i32.const 16)) (i64.const 0) (i64.const 0x10000000000))))
