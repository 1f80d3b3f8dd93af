(module
  (type $action (;0;) (func (param i64) (result i64)))
  (type (;1;) (func))
  (type (;2;) (func (result i64)))
  (type (;3;) (func (param i32)))
  (type (;4;) (func))
  (import "wherry" "flag" (memory (;0;) 1 1 shared))
  (table $t (;0;) i64 1 funcref)
  (table (;1;) 0 funcref)
  (table (;2;) 1 1 funcref)
  (table (;3;) 1 1 funcref)
  (memory (;1;) i64 1)
  (memory (;2;) 4096 4096)
  (global (;0;) (mut i32) i32.const 0)
  (global (;1;) (mut i32) i32.const 64)
  (global (;2;) (mut i64) i64.const 0)
  (export "_start" (func 1))
  (export "__wherry_state" (global 0))
  (export "__wherry_sp" (global 1))
  (export "__wherry_countdown" (global 2))
  (export "__wherry_frames" (memory 2))
  (export "__wherry_references" (table 1))
  (export "__wherry_functions" (table 2))
  (export "__wherry_resumers" (table 3))
  (export "__wherry_drop_segments" (func 4))
  (export "__wherry_memory_0" (memory 1))
  (export "__wherry_table_0" (table $t))
  (elem (;0;) (table $t) (i64.const 0) func $load)
  (elem (;1;) (table 2) (i32.const 0) func $load)
  (elem (;2;) (table 3) (i32.const 0) func 3)
  (func $load (;0;) (type $action) (param i64) (result i64)
    local.get 0
    i64.load 1 offset=4294967296
  )
  (func (;1;) (type 1)
    (local i64 i64 i32 i32)
    block ;; label = @1
      block ;; label = @2
        block ;; label = @3
          block ;; label = @4
            global.get 0
            i32.const 2
            i32.eq
            (@metadata.code.branch_hint "\00")
            if ;; label = @5
              global.get 1
              i32.const 8
              i32.sub
              global.set 1
              global.get 1
              i32.load 2 align=1
              local.set 2
              block ;; label = @6
                global.get 1
                i32.load 2 offset=4 align=1
                i32.const 0
                i32.sub
                br_table 2 (;@4;) 0 (;@6;)
              end
              unreachable
            end
            i64.const 21
            i64.const 0
            local.set 0
            local.set 1
            local.get 1
            local.get 0
            call_indirect (type $action)
            local.set 1
            br 1 (;@3;)
          end
          local.get 2
          call_indirect 3 (type 2)
          local.set 1
        end
        global.get 0
        (@metadata.code.branch_hint "\00")
        if ;; label = @3
          i32.const 0
          local.set 3
          br 1 (;@2;)
        end
        local.get 1
        drop
        return
      end
      local.get 3
      call 2
      br 0 (;@1;)
    end
  )
  (func (;2;) (type 3) (param i32)
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
  (func (;3;) (type 4)
    call 1
  )
  (func (;4;) (type 4))
)
