(module
  (type $action (func (param i64) (result i64)))
  (type $test (func (param i64) (result i32)))
  (table 3 funcref)
  (elem (i32.const 0) $double $spin $odd)
  (func $double (type $action) (i64.shl (local.get 0) (i64.const 1)))
  (func $spin (type $action) (loop $ever (br $ever)) (unreachable))
  (func $odd (type $test) (i32.wrap_i64 (i64.and (local.get 0) (i64.const 1))))
  ;; Of the type of the first call is a function that can leave, of the second's none.
  (func (export "_start")
    (drop (call_indirect (type $action) (i64.const 21) (i32.const 0)))
    (drop (call_indirect (type $test) (i64.const 21) (i32.const 2)))))
