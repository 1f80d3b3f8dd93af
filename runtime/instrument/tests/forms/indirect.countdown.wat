(module
  (type $action (;0;) (func (param i64) (result i64)))
  (type $test (;1;) (func (param i64) (result i32)))
  (type (;2;) (func))
  (type (;3;) (func (param i32)))
  (type (;4;) (func))
  (import "wherry" "flag" (memory (;0;) 1 1 shared))
  (table (;0;) 3 funcref)
  (table (;1;) 0 funcref)
  (table (;2;) 3 3 funcref)
  (table (;3;) 0 0 funcref)
  (memory (;1;) 4096 4096)
  (global (;0;) (mut i32) i32.const 0)
  (global (;1;) (mut i32) i32.const 64)
  (global (;2;) (mut i64) i64.const 0)
  (export "_start" (func 3))
  (export "__wherry_state" (global 0))
  (export "__wherry_sp" (global 1))
  (export "__wherry_countdown" (global 2))
  (export "__wherry_frames" (memory 1))
  (export "__wherry_references" (table 1))
  (export "__wherry_functions" (table 2))
  (export "__wherry_resumers" (table 3))
  (export "__wherry_drop_segments" (func 5))
  (export "__wherry_table_0" (table 0))
  (elem (;0;) (i32.const 0) func $double $spin $odd)
  (elem (;1;) (table 2) (i32.const 0) func $double $spin $odd)
  (elem (;2;) (table 3) (i32.const 0) func)
  (func $double (;0;) (type $action) (param i64) (result i64)
    local.get 0
    i64.const 1
    i64.shl
  )
  (func $spin (;1;) (type $action) (param i64) (result i64)
    block $ever
      loop ;; label = @2
        global.get 2
        i64.const -1
        i64.add
        global.set 2
        global.get 2
        i64.eqz
        i32.const 0
        i32.atomic.load8_u
        i32.or
        (@metadata.code.branch_hint "\00")
        if ;; label = @3
          global.get 1
          i32.const 0
          i32.store 1 align=1
          i32.const 1
          global.set 0
          global.get 1
          i32.const 4
          i32.add
          global.set 1
          br $ever
        end
        br 0 (;@2;)
      end
      unreachable
      return
    end
    i64.const 0
  )
  (func $odd (;2;) (type $test) (param i64) (result i32)
    local.get 0
    i64.const 1
    i64.and
    i32.wrap_i64
  )
  (func (;3;) (type 2)
    (local i32)
    block ;; label = @1
      block ;; label = @2
        i64.const 21
        i32.const 0
        call_indirect (type $action)
        global.get 0
        (@metadata.code.branch_hint "\00")
        if ;; label = @3
          i32.const 1
          local.set 0
          br 1 (;@2;)
        end
        drop
        i64.const 21
        i32.const 2
        call_indirect (type $test)
        drop
        return
      end
      local.get 0
      call 4
      br 0 (;@1;)
    end
  )
  (func (;4;) (type 3) (param i32)
    (local i32)
    global.get 1
    local.set 1
    local.get 1
    local.get 0
    i32.store 1 align=1
    i32.const 1
    global.set 0
    local.get 1
    i32.const 4
    i32.add
    global.set 1
  )
  (func (;5;) (type 4))
)
