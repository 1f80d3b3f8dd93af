;; A file is opened until there are no descriptors left.
;; exits: 0
(func (export "_start")
  (local $count i32)
  (loop $next
    (local.set $count (i32.add (local.get $count) (i32.const 1)))
    (if (i32.gt_u (local.get $count) (i32.const 100000)) (then (unreachable)))
    (br_if $next (i32.eqz (call $open @"in.txt" (i32.const 0))))))
