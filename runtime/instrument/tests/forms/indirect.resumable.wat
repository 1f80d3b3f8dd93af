(module
  (type $action (;0;) (func (param i64) (result i64)))
  (type $test (;1;) (func (param i64) (result i32)))
  (type (;2;) (func))
  (type (;3;) (func (result i64)))
  (type (;4;) (func (param i32)))
  (type (;5;) (func))
  (import "wherry" "flag" (memory (;0;) 1 1 shared))
  (table (;0;) 3 funcref)
  (table (;1;) 0 funcref)
  (table (;2;) 3 3 funcref)
  (table (;3;) 2 2 funcref)
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
  (export "__wherry_drop_segments" (func 7))
  (export "__wherry_table_0" (table 0))
  (elem (;0;) (i32.const 0) func $double $spin $odd)
  (elem (;1;) (table 2) (i32.const 0) func $double $spin $odd)
  (elem (;2;) (table 3) (i32.const 0) func 5 6)
  (func $double (;0;) (type $action) (param i64) (result i64)
    local.get 0
    i64.const 1
    i64.shl
  )
  (func $spin (;1;) (type $action) (param i64) (result i64)
    block $ever
      block ;; label = @2
        global.get 0
        i32.const 2
        i32.eq
        (@metadata.code.branch_hint "\00")
        if ;; label = @3
          global.get 1
          i32.const 8
          i32.sub
          global.set 1
          block ;; label = @4
            block ;; label = @5
              global.get 1
              i32.load 1 offset=4 align=1
              i32.const 0
              i32.sub
              br_table 0 (;@5;) 1 (;@4;)
            end
            i32.const 0
            global.set 0
            i32.const 0
            i32.const 1
            i32.atomic.rmw8.and_u
            drop
            br 2 (;@2;)
          end
          unreachable
        end
      end
      block ;; label = @2
        loop ;; label = @3
          i32.const 0
          i32.atomic.load8_u
          (@metadata.code.branch_hint "\00")
          if ;; label = @4
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
          block ;; label = @4
            br 0 (;@4;)
            br 2 (;@2;)
          end
          block ;; label = @4
            br 0 (;@4;)
            br 2 (;@2;)
          end
          br 0 (;@3;)
        end
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
    (local i32 i64 i32 i32)
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
              i32.load 1 align=1
              local.set 2
              block ;; label = @6
                global.get 1
                i32.load 1 offset=4 align=1
                i32.const 1
                i32.sub
                br_table 2 (;@4;) 0 (;@6;)
              end
              unreachable
            end
            i64.const 21
            i32.const 0
            local.set 0
            local.set 1
            local.get 1
            local.get 0
            call_indirect (type $action)
            local.set 1
            br 1 (;@3;)
          end
          local.get 2
          call_indirect 3 (type 3)
          local.set 1
        end
        global.get 0
        (@metadata.code.branch_hint "\00")
        if ;; label = @3
          i32.const 1
          local.set 3
          br 1 (;@2;)
        end
        local.get 1
        drop
        i64.const 21
        i32.const 2
        call_indirect (type $test)
        drop
        return
      end
      local.get 3
      call 4
      br 0 (;@1;)
    end
  )
  (func (;4;) (type 4) (param i32)
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
  (func (;5;) (type 3) (result i64)
    i64.const 0
    call $spin
  )
  (func (;6;) (type 5)
    call 3
  )
  (func (;7;) (type 5))
)
