;; A file is created in a directory that is lent for reading.
;; options: --read-only
;; exits: 0
(func (export "_start")
  (call $refused (call $open @"new.txt" (i32.const 1))))
