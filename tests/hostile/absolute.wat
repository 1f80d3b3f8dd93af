;; A path begins at the root of the host.
;; exits: 0
(func (export "_start")
  (call $refused (call $open @"/etc/passwd" (i32.const 0))))
