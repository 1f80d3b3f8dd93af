;; A link outside is read.
;; exits: 0
(func (export "_start")
  (call $refused (call $path_readlink (i32.const 3) @"../lent/link" (i32.const 64) (i32.const 64) (i32.const 32))))
