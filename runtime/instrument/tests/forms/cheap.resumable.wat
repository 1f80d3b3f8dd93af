(module
  (type (;0;) (func (param i32) (result i32)))
  (type (;1;) (func))
  (type (;2;) (func))
  (import "wherry" "flag" (memory (;0;) 1 1 shared))
  (table (;0;) 0 funcref)
  (table (;1;) 0 0 funcref)
  (table (;2;) 0 0 funcref)
  (memory (;1;) 1)
  (memory (;2;) 4096 4096)
  (global (;0;) (mut i32) i32.const 0)
  (global (;1;) (mut i32) i32.const 64)
  (global (;2;) (mut i64) i64.const 0)
  (export "memory" (memory 1))
  (export "_start" (func 1))
  (export "__wherry_state" (global 0))
  (export "__wherry_sp" (global 1))
  (export "__wherry_countdown" (global 2))
  (export "__wherry_frames" (memory 2))
  (export "__wherry_references" (table 0))
  (export "__wherry_functions" (table 1))
  (export "__wherry_resumers" (table 2))
  (export "__wherry_drop_segments" (func 2))
  (export "__wherry_memory_0" (memory 1))
  (elem (;0;) (table 1) (i32.const 0) func)
  (elem (;1;) (table 2) (i32.const 0) func)
  (func $add (;0;) (type 0) (param i32) (result i32)
    local.get 0
    i32.const 0
    i32.load 1
    i32.add
  )
  (func (;1;) (type 1)
    i32.const 4
    i32.const 1
    call $add
    i32.store 1
  )
  (func (;2;) (type 2))
)
