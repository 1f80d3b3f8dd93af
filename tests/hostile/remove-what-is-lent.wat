;; What is lent is removed under the host's feet.
;; exits: 0
(func (export "_start")
  (call $refused (call $path_remove_directory (i32.const 3) @".")))
