;; A file is moved out.
;; exits: 0
(func (export "_start")
  (call $refused (call $path_rename (i32.const 3) @"in.txt" (i32.const 3) @"../outside/in.txt")))
