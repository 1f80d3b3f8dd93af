(module
  (type (;0;) (func (param i32 i32) (result f64)))
  (type (;1;) (func (param i64) (result i32)))
  (type (;2;) (func (param i32) (result i32)))
  (type (;3;) (func))
  (import "wherry" "flag" (memory (;0;) 1 1 shared))
  (table (;0;) 0 funcref)
  (table (;1;) 0 0 funcref)
  (table (;2;) 0 0 funcref)
  (memory (;1;) 1)
  (memory (;2;) 4096 4096)
  (global (;0;) (mut i32) i32.const 0)
  (global (;1;) (mut i32) i32.const 64)
  (global (;2;) (mut i64) i64.const 0)
  (export "sum" (func 0))
  (export "collatz" (func 1))
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
  (func (;0;) (type 0) (param $at i32) (param $end i32) (result f64)
    (local $sum f64)
    block $next
      block ;; label = @2
        loop ;; label = @3
          i32.const 0
          i32.atomic.load8_u
          (@metadata.code.branch_hint "\00")
          if ;; label = @4
            global.get 1
            local.get $at
            i32.store 2 align=1
            global.get 1
            local.get $end
            i32.store 2 offset=4 align=1
            global.get 1
            local.get $sum
            f64.store 2 offset=8 align=1
            global.get 1
            i32.const 0
            i32.store 2 offset=16 align=1
            i32.const 1
            global.set 0
            global.get 1
            i32.const 20
            i32.add
            global.set 1
            br $next
          end
          block ;; label = @4
            local.get $sum
            local.get $at
            f64.load 1
            f64.add
            local.set $sum
            local.get $at
            i32.const 8
            i32.add
            local.set $at
            local.get $at
            local.get $end
            i32.lt_u
            br_if 0 (;@4;)
            br 2 (;@2;)
          end
          block ;; label = @4
            local.get $sum
            local.get $at
            f64.load 1
            f64.add
            local.set $sum
            local.get $at
            i32.const 8
            i32.add
            local.set $at
            local.get $at
            local.get $end
            i32.lt_u
            br_if 0 (;@4;)
            br 2 (;@2;)
          end
          block ;; label = @4
            local.get $sum
            local.get $at
            f64.load 1
            f64.add
            local.set $sum
            local.get $at
            i32.const 8
            i32.add
            local.set $at
            local.get $at
            local.get $end
            i32.lt_u
            br_if 0 (;@4;)
            br 2 (;@2;)
          end
          block ;; label = @4
            local.get $sum
            local.get $at
            f64.load 1
            f64.add
            local.set $sum
            local.get $at
            i32.const 8
            i32.add
            local.set $at
            local.get $at
            local.get $end
            i32.lt_u
            br_if 0 (;@4;)
            br 2 (;@2;)
          end
          br 0 (;@3;)
        end
      end
      local.get $sum
      return
    end
    f64.const 0x0p+0 (;=0;)
  )
  (func (;1;) (type 1) (param $n i64) (result i32)
    (local i32 i32 i32)
    block $next
      i32.const 0
      local.set 1
      block (result i32) ;; label = @2
        loop (result i32) ;; label = @3
          i32.const 0
          i32.atomic.load8_u
          (@metadata.code.branch_hint "\00")
          if ;; label = @4
            global.get 1
            local.get 1
            i32.store 2 align=1
            global.get 1
            local.get $n
            i64.store 2 offset=4 align=1
            global.get 1
            i32.const 1
            i32.store 2 offset=12 align=1
            i32.const 1
            global.set 0
            global.get 1
            i32.const 16
            i32.add
            global.set 1
            br $next
          end
          block ;; label = @4
            local.get 1
            i32.const 1
            i32.add
            local.get $n
            i64.const 1
            i64.and
            i64.eqz
            if (type 2) (param i32) (result i32) ;; label = @5
              local.get $n
              i64.const 1
              i64.shr_u
              local.set $n
              local.set 1
              br 1 (;@4;)
            else
              local.get $n
              i64.const 3
              i64.mul
              i64.const 1
              i64.add
              local.set $n
              local.get $n
              i64.const 4
              i64.ne
              local.set 2
              local.set 3
              local.get 2
              if ;; label = @6
                local.get 3
                local.set 1
                br 2 (;@4;)
              end
              local.get 3
            end
            br 2 (;@2;)
          end
          block ;; label = @4
            local.get 1
            i32.const 1
            i32.add
            local.get $n
            i64.const 1
            i64.and
            i64.eqz
            if (type 2) (param i32) (result i32) ;; label = @5
              local.get $n
              i64.const 1
              i64.shr_u
              local.set $n
              local.set 1
              br 1 (;@4;)
            else
              local.get $n
              i64.const 3
              i64.mul
              i64.const 1
              i64.add
              local.set $n
              local.get $n
              i64.const 4
              i64.ne
              local.set 2
              local.set 3
              local.get 2
              if ;; label = @6
                local.get 3
                local.set 1
                br 2 (;@4;)
              end
              local.get 3
            end
            br 2 (;@2;)
          end
          br 0 (;@3;)
        end
      end
      return
    end
    i32.const 0
  )
  (func (;2;) (type 3))
)
