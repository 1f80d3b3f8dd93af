;; A hard link is made of what a link leads to.
;; exits: 0
(func (export "_start")
  (call $refused (call $path_link (i32.const 3) (i32.const 1) @"link" (i32.const 3) @"hard")))
