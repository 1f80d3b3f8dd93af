;; The clock is looked at for differences of nanoseconds.
;; exits: 0
(func (export "_start")
  (local $times i32)
  (loop $next
    (if (call $clock_time_get (i32.const 1) (i64.const 1) (i32.const 16)) (then (unreachable)))
    (if (i32.wrap_i64 (i64.rem_u (i64.load (i32.const 16)) (i64.const 1000000))) (then (unreachable)))
    (local.set $times (i32.add (local.get $times) (i32.const 1)))
    (br_if $next (i32.lt_u (local.get $times) (i32.const 1000)))))
