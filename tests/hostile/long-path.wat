;; A path is longer than any may be.
;; exits: 0
(func (export "_start")
  (call $refused (call $path_create_directory (i32.const 3) (i32.const 8192) (i32.const 40000))))
