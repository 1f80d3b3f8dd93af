;; A program does nothing, for ever, and its CPU time is not limited.
;; options: --wall-time=300ms
;; exits: 124
(func (export "_start")
  (loop $next (br $next)))
