;; Directories are made until it is refused.
;; options: --scratch --max-files=20
;; exits: 0
(func (export "_start")
  (local $count i32)
  (i32.store (i32.const 8192) (i32.const 0x61616161))
  (loop $next
    (local.set $count (i32.add (local.get $count) (i32.const 1)))
    (if (i32.gt_u (local.get $count) (i32.const 100)) (then (unreachable)))
    (i32.store8 (i32.const 8192) (i32.add (i32.const 32) (local.get $count)))
    (br_if $next (i32.eqz (call $path_create_directory (i32.const 3) (i32.const 8192) (i32.const 4))))))
