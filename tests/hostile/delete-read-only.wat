;; A file is deleted in a directory that is lent for reading.
;; options: --read-only
;; exits: 0
(func (export "_start")
  (call $refused (call $path_unlink_file (i32.const 3) @"in.txt")))
