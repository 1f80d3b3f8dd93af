;; A symbolic link of the host leads to its root.
;; exits: 0
(func (export "_start")
  (call $refused (call $open @"root/etc/passwd" (i32.const 0))))
