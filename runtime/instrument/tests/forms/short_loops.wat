(module
  (memory 1)
  ;; Over numbers: four turns share a poll.
  (func (export "sum") (param $at i32) (param $end i32) (result f64) (local $sum f64)
    (loop $next
      (local.set $sum (f64.add (local.get $sum) (f64.load (local.get $at))))
      (local.set $at (i32.add (local.get $at) (i32.const 8)))
      (br_if $next (i32.lt_u (local.get $at) (local.get $end))))
    (local.get $sum))
  ;; With a parameter, a result, and two ways to go on.
  (func (export "collatz") (param $n i64) (result i32)
    (i32.const 0)
    (loop $next (param i32) (result i32)
      (i32.add (i32.const 1))
      (if (param i32) (result i32) (i64.eqz (i64.and (local.get $n) (i64.const 1)))
        (then
          (local.set $n (i64.shr_u (local.get $n) (i64.const 1)))
          (br $next))
        (else
          (local.set $n (i64.add (i64.mul (local.get $n) (i64.const 3)) (i64.const 1)))
          (br_if $next (i64.ne (local.get $n) (i64.const 4))))))))
