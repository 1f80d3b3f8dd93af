;; The times of a file outside are set.
;; exits: 0
(func (export "_start")
  (call $refused (call $path_filestat_set_times (i32.const 3) (i32.const 1) @"../outside/secret.txt" (i64.const 1) (i64.const 1) (i32.const 5))))
