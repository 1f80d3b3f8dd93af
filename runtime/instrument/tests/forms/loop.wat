(module
  (func (export "_start") (local $i i32)
    (local.set $i (i32.const 1000))
    (loop $next
      (local.set $i (i32.sub (local.get $i) (i32.const 1)))
      (br_if $next (local.get $i)))))
