;; The attributes of a file outside are asked for.
;; exits: 0
(func (export "_start")
  (call $refused (call $path_filestat_get (i32.const 3) (i32.const 1) @"../outside/secret.txt" (i32.const 64))))
