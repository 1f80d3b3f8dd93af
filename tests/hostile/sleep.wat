;; A program sleeps for 584 years.
;; options: --wall-time=300ms
;; exits: 124
(func (export "_start")
  (i32.store (i32.const 80) (i32.const 1))
  (i64.store (i32.const 88) (i64.const -1))
  (drop (call $poll_oneoff (i32.const 64) (i32.const 128) (i32.const 1) (i32.const 16))))
