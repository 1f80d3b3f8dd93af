;; A directory is made outside.
;; exits: 0
(func (export "_start")
  (call $refused (call $path_create_directory (i32.const 3) @"../outside/made")))
