;; The module's start function does not end.
;; options: --wall-time=300ms
;; exits: 124
(func $first (loop $next (br $next)))
(start $first)
(func (export "_start")
  )
