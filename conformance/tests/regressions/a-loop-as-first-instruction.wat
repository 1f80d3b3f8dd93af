;; call "f" 1 every 1
;; Two safepoints at one offset: the entry of a recursive function, and the loop it begins with.
(module
  (memory 1)
  (global $depth (mut i32) (i32.const 0))
  (func $f (export "f") (param i32) (result i32)
    (local i64)
    (loop $again
      (global.set $depth (i32.add (global.get $depth) (i32.const 1)))
      (local.set 1 (i64.add (local.get 1) (i64.extend_i32_u (local.get 0))))
      (br_if $again (i32.lt_u (i32.rem_u (global.get $depth) (i32.const 7)) (i32.const 5))))
    (if (result i32) (i32.gt_u (global.get $depth) (i32.const 60))
      (then (i32.wrap_i64 (local.get 1)))
      (else (i32.add (call $f (i32.add (local.get 0) (i32.const 1))) (i32.wrap_i64 (local.get 1)))))))
