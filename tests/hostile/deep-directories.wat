;; Directories are made in each other until it is refused.
;; options: --scratch --max-files=200
;; exits: 0
(func (export "_start")
  (local $length i32)
  (loop $next
    (i32.store16 (i32.add (i32.const 8192) (local.get $length)) (i32.const 0x2f61))
    (local.set $length (i32.add (local.get $length) (i32.const 2)))
    (if (i32.gt_u (local.get $length) (i32.const 2000)) (then (unreachable)))
    (br_if $next (i32.eqz (call $path_create_directory (i32.const 3) (i32.const 8192) (i32.sub (local.get $length) (i32.const 1)))))))
