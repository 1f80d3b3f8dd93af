(module
  (tag $failed (param i32))
  (func $fails (param $n i32) (result i32)
    (if (i32.eqz (local.get $n)) (then (throw $failed (i32.const 3))))
    (call $fails (i32.sub (local.get $n) (i32.const 1))))
  (func (export "_start") (local $n i32)
    (local.set $n (i32.const 5))
    (i32.const 1)
    (loop $retry (param i32)
      (local.set $n)
      (block $done
        (try_table (catch $failed $retry) (catch_all $done)
          (drop (call $fails (local.get $n))))))))
