;; A directory becomes a link that leads out between two uses.
;; exits: 0
(func (export "_start")
  (drop (call $path_create_directory (i32.const 3) @"door"))
  (drop (call $path_remove_directory (i32.const 3) @"door"))
  (drop (call $path_symlink @"../outside" (i32.const 3) @"door"))
  (call $refused (call $open @"door/secret.txt" (i32.const 0))))
