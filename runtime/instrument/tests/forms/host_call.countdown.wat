(module
  (type (;0;) (func (result i32)))
  (type (;1;) (func))
  (type (;2;) (func (param i32)))
  (type (;3;) (func))
  (import "wherry" "flag" (memory (;0;) 1 1 shared))
  (import "wasi_snapshot_preview1" "sched_yield" (func $yield (;0;) (type 0)))
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
  (export "__wherry_drop_segments" (func 4))
  (export "__wherry_memory_0" (memory 1))
  (elem (;0;) (table 1) (i32.const 0) func)
  (elem (;1;) (table 2) (i32.const 0) func)
  (func (;1;) (type 1)
    (local i32)
    block ;; label = @1
      block ;; label = @2
        call 2
        global.get 0
        (@metadata.code.branch_hint "\00")
        if ;; label = @3
          i32.const 0
          local.set 0
          br 1 (;@2;)
        end
        drop
        return
      end
      local.get 0
      call 3
      br 0 (;@1;)
    end
  )
  (func (;2;) (type 0) (result i32)
    global.get 2
    i64.const -1
    i64.add
    global.set 2
    global.get 2
    i64.eqz
    i32.const 0
    i32.atomic.load8_u
    i32.or
    if ;; label = @1
      i32.const 1
      call 3
      i32.const 0
      return
    end
    call $yield
    global.get 0
    if ;; label = @1
      i32.const 1
      call 3
      i32.const 0
      return
    end
  )
  (func (;3;) (type 2) (param i32)
    (local i32)
    global.get 1
    local.set 1
    local.get 1
    local.get 0
    i32.store 2 align=1
    i32.const 1
    global.set 0
    local.get 1
    i32.const 4
    i32.add
    global.set 1
  )
  (func (;4;) (type 3))
)
