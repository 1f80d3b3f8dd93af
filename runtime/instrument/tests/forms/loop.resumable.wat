(module
  (type (;0;) (func))
  (type (;1;) (func))
  (import "wherry" "flag" (memory (;0;) 1 1 shared))
  (table (;0;) 0 funcref)
  (table (;1;) 0 0 funcref)
  (table (;2;) 1 1 funcref)
  (memory (;1;) 4096 4096)
  (global (;0;) (mut i32) i32.const 0)
  (global (;1;) (mut i32) i32.const 64)
  (global (;2;) (mut i64) i64.const 0)
  (export "_start" (func 0))
  (export "__wherry_state" (global 0))
  (export "__wherry_sp" (global 1))
  (export "__wherry_countdown" (global 2))
  (export "__wherry_frames" (memory 1))
  (export "__wherry_references" (table 0))
  (export "__wherry_functions" (table 1))
  (export "__wherry_resumers" (table 2))
  (export "__wherry_drop_segments" (func 2))
  (elem (;0;) (table 1) (i32.const 0) func)
  (elem (;1;) (table 2) (i32.const 0) func 1)
  (func (;0;) (type 0)
    (local $i i32)
    block $next
      block ;; label = @2
        global.get 0
        i32.const 2
        i32.eq
        (@metadata.code.branch_hint "\00")
        if ;; label = @3
          global.get 1
          i32.const 12
          i32.sub
          global.set 1
          global.get 1
          i32.load 1 align=1
          local.set $i
          block ;; label = @4
            block ;; label = @5
              global.get 1
              i32.load 1 offset=8 align=1
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
        i32.const 1000
        local.set $i
      end
      block ;; label = @2
        loop ;; label = @3
          i32.const 0
          i32.atomic.load8_u
          (@metadata.code.branch_hint "\00")
          if ;; label = @4
            global.get 1
            local.get $i
            i32.store 1 align=1
            global.get 1
            i32.const 0
            i32.store 1 offset=4 align=1
            i32.const 1
            global.set 0
            global.get 1
            i32.const 8
            i32.add
            global.set 1
            br $next
          end
          block ;; label = @4
            local.get $i
            i32.const 1
            i32.sub
            local.set $i
            local.get $i
            br_if 0 (;@4;)
            br 2 (;@2;)
          end
          block ;; label = @4
            local.get $i
            i32.const 1
            i32.sub
            local.set $i
            local.get $i
            br_if 0 (;@4;)
            br 2 (;@2;)
          end
          br 0 (;@3;)
        end
      end
      return
    end
  )
  (func (;1;) (type 1)
    call 0
  )
  (func (;2;) (type 1))
)
