;; Ends in a trap, at the same place whether captured or not.
(module
  (memory (export "memory") 1)
  (func $divide (param $n i32) (result i32)
    (if (result i32) (local.get $n)
      (then (i32.add (i32.const 1) (call $divide (i32.sub (local.get $n) (i32.const 1)))))
      (else (i32.store (i32.const 0) (i32.const 99)) (i32.div_u (i32.const 1) (local.get $n)))))
  (func (export "_start") (i32.store (i32.const 4) (call $divide (i32.const 20)))))
