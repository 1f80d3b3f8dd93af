;; A program does nothing, for ever.
;; options: --cpu-time=300ms
;; exits: 124
(func (export "_start")
  (loop $next (br $next)))
