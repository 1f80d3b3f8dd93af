;; A hard link to a file outside is made inside.
;; exits: 0
(func (export "_start")
  (call $refused (call $path_link (i32.const 3) (i32.const 0) @"../outside/secret.txt" (i32.const 3) @"hard")))
