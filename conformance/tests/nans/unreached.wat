;; Results beside code that is never reached, which may have any operands.
(module
  (memory (export "memory") 1)
  (global $at (mut i32) (i32.const 0))
  (func $note (param $x f64)
    (f64.store (global.get $at) (local.get $x))
    (global.set $at (i32.add (global.get $at) (i32.const 8))))
  (func $stop (param $x f64) (param $how i32) (result f64) (local $y f64)
    (local.set $y (f64.sub (local.get $x) (local.get $x)))
    (block $third
      (block $second
        (block $first
          (br_table $first $second $third (local.get $how))
          (f64.add) (local.set $y) (f64.neg) (f64.store))
        (return (f64.mul (local.get $y) (f64.const -1)) (f64.sqrt))
        (call $note)
        (block (result f64) (unreachable) (f64.add) (br 0) (local.tee $y)) drop)
      (loop (result f64)
        (f64.ceil (local.get $y))
        (br $third)
        (f64.copysign))
      (return))
    (if (result f64) (i32.const 0)
      (then (unreachable) (f64.add))
      (else (f64.floor (local.get $y)))))
  (func (export "run") (local $round i32)
    (loop $again
      (call $note (call $stop (f64.const inf) (i32.rem_u (local.get $round) (i32.const 3))))
      (call $note (call $stop (f64.const -nan:0x4000000000001) (i32.rem_u (local.get $round) (i32.const 3))))
      (local.set $round (i32.add (local.get $round) (i32.const 1)))
      (br_if $again (i32.lt_u (local.get $round) (i32.const 48))))))
