;; Standard error is written to until it is refused.
;; options: --max-log=10KiB
;; exits: 0
(func (export "_start")
  (i32.store (i32.const 4) (i32.const 1000))
  (loop $next (br_if $next (i32.eqz (call $fd_write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 16))))))
