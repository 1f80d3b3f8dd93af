;; A descriptor is moved to one that is not open.
;; exits: 0
(func (export "_start")
  (call $refused (call $fd_renumber (i32.const 3) (i32.const 1000000))))
