;; A file outside is deleted.
;; exits: 0
(func (export "_start")
  (call $refused (call $path_unlink_file (i32.const 3) @"../outside/secret.txt")))
