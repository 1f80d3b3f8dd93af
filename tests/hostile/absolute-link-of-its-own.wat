;; The program makes a link to a file of the host, and follows it.
;; exits: 0
(func (export "_start")
  (drop (call $path_symlink @"/etc/passwd" (i32.const 3) @"mine"))
  (call $refused (call $open @"mine" (i32.const 0))))
