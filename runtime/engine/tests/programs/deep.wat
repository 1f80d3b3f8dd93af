;; Ten thousand activations, each with state of its own.
(module
  (memory (export "memory") 1)
  (func $deep (param $n i32) (param $x i64) (result i64)
    (local $here i64)
    (local.set $here (i64.rotl (i64.add (local.get $x) (i64.const 0x9e3779b97f4a7c15)) (i64.const 7)))
    (if (result i64) (i32.eqz (local.get $n))
      (then (local.get $here))
      (else (i64.xor
        (call $deep (i32.sub (local.get $n) (i32.const 1)) (local.get $here))
        (local.get $here)))))
  (func (export "_start")
    (i64.store (i32.const 8) (call $deep (i32.const 10000) (i64.const 1)))))
