;; Tail calls: the outermost frame is not `_start`'s, and a caller's callee is not the
;; function it named.
(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (type $step (func (param i32 i32) (result i32)))
  (table 2 funcref)
  (elem (i32.const 0) $even $odd)
  (func $even (type $step)
    (if (i32.eqz (local.get 0)) (then (return (local.get 1))))
    (return_call $odd
      (i32.sub (local.get 0) (i32.const 1))
      (i32.add (local.get 1) (local.get 0))))
  (func $odd (type $step)
    (if (i32.eqz (local.get 0)) (then (return (local.get 1))))
    (return_call_indirect (type $step)
      (i32.sub (local.get 0) (i32.const 1))
      (i32.xor (local.get 1) (local.get 0))
      (i32.const 0)))
  (func $main (param $sum i32)
    (local.set $sum (i32.add (local.get $sum) (call $even (i32.const 101) (i32.const 0))))
    (call $exit (i32.rem_u (local.get $sum) (i32.const 64))))
  (func (export "_start") (return_call $main (i32.const 5))))
