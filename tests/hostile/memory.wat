;; Memory grows until it is refused.
;; options: --memory=16MiB
;; exits: 0
(func (export "_start")
  (loop $next (br_if $next (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))
  (if (i32.gt_u (memory.size) (i32.const 256)) (then (unreachable))))
