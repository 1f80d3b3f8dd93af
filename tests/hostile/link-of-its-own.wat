;; The program makes a link that leads out, and follows it.
;; exits: 0
(func (export "_start")
  (drop (call $path_symlink @"../outside/secret.txt" (i32.const 3) @"mine"))
  (call $refused (call $open @"mine" (i32.const 0))))
