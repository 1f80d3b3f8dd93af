;; A hot loop over i32, i64, f32 and f64 locals.
(module
  (memory (export "memory") 1)
  (func (export "_start")
    (local $i i32) (local $sum i64) (local $x f64) (local $y f32)
    (local.set $x (f64.const 1.5))
    (local.set $y (f32.const 0.25))
    (loop $again
      (local.set $sum (i64.add (i64.mul (local.get $sum) (i64.const 31)) (i64.extend_i32_u (local.get $i))))
      (local.set $x (f64.add (local.get $x) (f64.div (f64.const 1) (local.get $x))))
      (local.set $y (f32.sqrt (f32.add (local.get $y) (f32.const 2))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $again (i32.lt_u (local.get $i) (i32.const 200))))
    (i64.store (i32.const 0) (local.get $sum))
    (f64.store (i32.const 8) (local.get $x))
    (f32.store (i32.const 16) (local.get $y))))
