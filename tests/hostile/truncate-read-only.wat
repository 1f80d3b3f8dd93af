;; A file is cut in a directory that is lent for reading.
;; options: --read-only
;; exits: 0
(func (export "_start")
  (call $refused (call $open @"in.txt" (i32.const 8))))
