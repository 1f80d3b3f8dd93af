;; 128-bit arithmetic: instructions with several results, alive across safepoints.
(module
  (memory (export "memory") 1)
  (func $next (param $low i64) (param $high i64) (param $n i32) (result i64 i64)
    (if (i32.eqz (local.get $n))
      (then (return (local.get $low) (local.get $high))))
    (i64.mul_wide_u (local.get $low) (i64.const 6364136223846793005))
    (call $next
      (i64.add128 (local.get $low) (local.get $high) (i64.const -1) (i64.const 1))
      (i32.sub (local.get $n) (i32.const 1)))
    (i64.sub128))
  (func (export "_start")
    (local $low i64) (local $high i64)
    (call $next (i64.const 3) (i64.const 5) (i32.const 20))
    (local.set $high) (local.set $low)
    (i64.mul_wide_s (local.get $low) (local.get $high))
    (local.set $high) (local.set $low)
    (i64.store (i32.const 0) (local.get $low))
    (i64.store (i32.const 8) (local.get $high))))
