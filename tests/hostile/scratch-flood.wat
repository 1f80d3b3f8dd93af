;; A file is written to until it is refused.
;; options: --scratch --max-scratch=1MiB
;; exits: 0
(func (export "_start")
  (if (call $open @"big" (i32.const 1)) (then (unreachable)))
  (i32.store (i32.const 4) (i32.const 65000))
  (loop $next (br_if $next (i32.eqz (call $fd_write (i32.load (i32.const 16)) (i32.const 0) (i32.const 1) (i32.const 20))))))
