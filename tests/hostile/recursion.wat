;; A function calls itself for ever.
;; exits: 134
;; says: stack
(func $again (param i32) (result i32)
  (i32.add (i32.const 1) (call $again (local.get 0))))
(func (export "_start")
  (drop (call $again (i32.const 0))))
