;; A file from outside is moved in.
;; exits: 0
(func (export "_start")
  (call $refused (call $path_rename (i32.const 3) @"../outside/secret.txt" (i32.const 3) @"mine")))
