(module
  (type (;0;) (func (param i32) (result i32)))
  (type (;1;) (func))
  (type (;2;) (func (param i32 i32)))
  (type (;3;) (func (param i32)))
  (type (;4;) (func))
  (import "wherry" "flag" (memory (;0;) 1 1 shared))
  (table (;0;) 0 funcref)
  (table (;1;) 0 0 funcref)
  (table (;2;) 0 0 funcref)
  (memory (;1;) 4096 4096)
  (global (;0;) (mut i32) i32.const 0)
  (global (;1;) (mut i32) i32.const 64)
  (global (;2;) (mut i64) i64.const 0)
  (export "_start" (func 1))
  (export "__wherry_state" (global 0))
  (export "__wherry_sp" (global 1))
  (export "__wherry_countdown" (global 2))
  (export "__wherry_frames" (memory 1))
  (export "__wherry_references" (table 0))
  (export "__wherry_functions" (table 1))
  (export "__wherry_resumers" (table 2))
  (export "__wherry_drop_segments" (func 4))
  (elem (;0;) (table 1) (i32.const 0) func)
  (elem (;1;) (table 2) (i32.const 0) func)
  (func $recurse (;0;) (type 0) (param $n i32) (result i32)
    (local i32 i32 i32)
    block ;; label = @1
      block ;; label = @2
        block ;; label = @3
          i32.const 0
          i32.atomic.load8_u
          (@metadata.code.branch_hint "\00")
          if ;; label = @4
            i32.const 0
            local.set 1
            br 1 (;@3;)
          end
          local.get $n
          i32.eqz
          if (result i32) ;; label = @4
            i32.const 1
          else
            local.get $n
            local.get $n
            i32.const 1
            i32.sub
            local.set 2
            local.set 3
            local.get 2
            call $recurse
            global.get 0
            (@metadata.code.branch_hint "\00")
            if ;; label = @5
              i32.const 1
              local.set 1
              br 3 (;@2;)
            end
            local.set 2
            local.get 3
            local.get 2
            i32.mul
          end
          return
        end
        local.get $n
        local.get 1
        call 2
        br 1 (;@1;)
      end
      local.get 3
      local.get 1
      call 2
      br 0 (;@1;)
    end
    i32.const 0
  )
  (func (;1;) (type 1)
    (local i32)
    block ;; label = @1
      block ;; label = @2
        i32.const 10
        call $recurse
        global.get 0
        (@metadata.code.branch_hint "\00")
        if ;; label = @3
          i32.const 2
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
  (func (;2;) (type 2) (param i32 i32)
    (local i32)
    global.get 1
    local.set 2
    local.get 2
    local.get 0
    i32.store 1 align=1
    local.get 2
    local.get 1
    i32.store 1 offset=4 align=1
    i32.const 1
    global.set 0
    local.get 2
    i32.const 8
    i32.add
    global.set 1
  )
  (func (;3;) (type 3) (param i32)
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
  (func (;4;) (type 4))
)
