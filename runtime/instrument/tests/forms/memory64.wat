(module
  (memory i64 1)
  (table $t i64 1 funcref)
  (type $action (func (param i64) (result i64)))
  (elem (table $t) (i64.const 0) func $load)
  (func $load (type $action) (i64.load offset=0x100000000 (local.get 0)))
  (func (export "_start")
    (drop (call_indirect $t (type $action) (i64.const 21) (i64.const 0)))))
