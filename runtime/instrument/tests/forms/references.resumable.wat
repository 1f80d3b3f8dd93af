(module
  (type $callback (;0;) (func (param i64) (result i64)))
  (type (;1;) (func (param i64 (ref $callback)) (result (ref $callback))))
  (type (;2;) (func))
  (type (;3;) (func (result i64)))
  (type (;4;) (func (param i64 i32)))
  (type (;5;) (func (param funcref i32)))
  (type (;6;) (func (param i64 funcref i32)))
  (type (;7;) (func (param i32)))
  (type (;8;) (func))
  (import "wherry" "flag" (memory (;0;) 1 1 shared))
  (table (;0;) 0 funcref)
  (table (;1;) 2 2 funcref)
  (table (;2;) 2 2 funcref)
  (memory (;1;) 4096 4096)
  (global (;0;) (mut i32) i32.const 0)
  (global (;1;) (mut i32) i32.const 64)
  (global (;2;) (mut i64) i64.const 0)
  (export "_start" (func 3))
  (export "__wherry_state" (global 0))
  (export "__wherry_sp" (global 1))
  (export "__wherry_countdown" (global 2))
  (export "__wherry_frames" (memory 1))
  (export "__wherry_references" (table 0))
  (export "__wherry_functions" (table 1))
  (export "__wherry_resumers" (table 2))
  (export "__wherry_drop_segments" (func 11))
  (elem (;0;) declare func $double $keep)
  (elem (;1;) (table 1) (i32.const 0) func $double $keep)
  (elem (;2;) (table 2) (i32.const 0) func 9 10)
  (elem (;3;) declare func 6)
  (func $double (;0;) (type $callback) (param i64) (result i64)
    local.get 0
    i64.const 1
    i64.shl
  )
  (func $keep (;1;) (type $callback) (param i64) (result i64)
    (local $f (ref null $callback)) (local i32 (ref null $callback) i64 i32 (ref null $callback) i64)
    block ;; label = @1
      block ;; label = @2
        block ;; label = @3
          block ;; label = @4
            block ;; label = @5
              block ;; label = @6
                block ;; label = @7
                  block ;; label = @8
                    block ;; label = @9
                      i32.const 0
                      i32.atomic.load8_u
                      (@metadata.code.branch_hint "\00")
                      if ;; label = @10
                        global.get 0
                        i32.const 2
                        i32.eq
                        (@metadata.code.branch_hint "\00")
                        if ;; label = @11
                          global.get 1
                          i32.const 28
                          i32.sub
                          global.set 1
                          global.get 1
                          i64.load 1 align=1
                          local.set 0
                          global.get 1
                          i32.load 1 offset=16 align=1
                          table.get 0
                          ref.test (ref null $callback)
                          if ;; label = @12
                            global.get 1
                            i32.load 1 offset=16 align=1
                            table.get 0
                            ref.cast (ref null $callback)
                            local.set $f
                          end
                          global.get 1
                          i64.load 1 offset=8 align=1
                          local.set 4
                          global.get 1
                          i32.load 1 offset=20 align=1
                          local.set 5
                          block ;; label = @12
                            block ;; label = @13
                              global.get 1
                              i32.load 1 offset=24 align=1
                              i32.const 0
                              i32.sub
                              br_table 0 (;@13;) 5 (;@8;) 7 (;@6;) 1 (;@12;)
                            end
                            i32.const 0
                            global.set 0
                            i32.const 0
                            i32.const 1
                            i32.atomic.rmw8.and_u
                            drop
                            br 3 (;@9;)
                          end
                          unreachable
                        end
                        i32.const 0
                        local.set 2
                        br 6 (;@4;)
                      end
                    end
                    ref.func $double
                    local.set $f
                    local.get 0
                    local.get $f
                    ref.as_non_null
                    local.set 3
                    local.set 4
                    local.get 4
                    local.get 3
                    call_ref $callback
                    local.set 4
                    br 1 (;@7;)
                  end
                  local.get 5
                  call_indirect 2 (type 3)
                  local.set 4
                end
                global.get 0
                (@metadata.code.branch_hint "\00")
                if ;; label = @7
                  i32.const 1
                  local.set 2
                  br 4 (;@3;)
                end
                local.get 4
                i64.const 2
                local.get $f
                ref.as_non_null
                local.tee $f
                ref.as_non_null
                local.set 6
                local.set 7
                local.set 4
                local.get 7
                local.get 6
                call_ref $callback
                local.set 7
                br 1 (;@5;)
              end
              local.get 5
              call_indirect 2 (type 3)
              local.set 7
            end
            global.get 0
            (@metadata.code.branch_hint "\00")
            if ;; label = @5
              i32.const 2
              local.set 2
              br 3 (;@2;)
            end
            local.get 4
            local.get 7
            i64.add
            return
          end
          local.get 0
          local.get 2
          call 4
          br 2 (;@1;)
        end
        local.get $f
        local.get 2
        call 5
        br 1 (;@1;)
      end
      local.get 4
      local.get 2
      call 4
      br 0 (;@1;)
    end
    i64.const 0
  )
  (func $twice (;2;) (type 1) (param i64 (ref $callback)) (result (ref $callback))
    (local i32 (ref null $callback) i64)
    block ;; label = @1
      block ;; label = @2
        block ;; label = @3
          block ;; label = @4
            block ;; label = @5
              i32.const 0
              i32.atomic.load8_u
              (@metadata.code.branch_hint "\00")
              if ;; label = @6
                global.get 0
                i32.const 2
                i32.eq
                (@metadata.code.branch_hint "\00")
                if ;; label = @7
                  global.get 1
                  i32.const 20
                  i32.sub
                  global.set 1
                  global.get 1
                  i64.load 1 align=1
                  local.set 0
                  global.get 1
                  i32.load 1 offset=8 align=1
                  table.get 0
                  ref.test (ref $callback)
                  if ;; label = @8
                    global.get 1
                    i32.load 1 offset=8 align=1
                    table.get 0
                    ref.cast (ref $callback)
                    local.set 1
                  end
                  block ;; label = @8
                    block ;; label = @9
                      block ;; label = @10
                        global.get 1
                        i32.load 1 offset=16 align=1
                        i32.const 3
                        i32.sub
                        br_table 0 (;@10;) 1 (;@9;) 2 (;@8;)
                      end
                      i32.const 0
                      global.set 0
                      i32.const 0
                      i32.const 1
                      i32.atomic.rmw8.and_u
                      drop
                      br 4 (;@5;)
                    end
                    ref.func 6
                    local.set 3
                    br 4 (;@4;)
                  end
                  unreachable
                end
                i32.const 3
                local.set 2
                br 3 (;@3;)
              end
            end
            local.get 0
            local.get 1
            local.set 3
            local.set 4
          end
          local.get 4
          local.get 3
          ref.as_non_null
          call $twice
          global.get 0
          (@metadata.code.branch_hint "\00")
          if ;; label = @4
            i32.const 4
            local.set 2
            br 2 (;@2;)
          end
          drop
          local.get 1
          return
        end
        local.get 0
        local.get 1
        local.get 2
        call 7
        br 1 (;@1;)
      end
      local.get 1
      local.get 2
      call 5
      br 0 (;@1;)
    end
    ref.func 6
  )
  (func (;3;) (type 2)
    (local (ref null $callback) i64 i32)
    block ;; label = @1
      block ;; label = @2
        block ;; label = @3
          global.get 0
          i32.const 2
          i32.eq
          (@metadata.code.branch_hint "\00")
          if ;; label = @4
            global.get 1
            i32.const 8
            i32.sub
            global.set 1
            block ;; label = @5
              block ;; label = @6
                global.get 1
                i32.load 1 offset=4 align=1
                i32.const 5
                i32.sub
                br_table 0 (;@6;) 1 (;@5;)
              end
              ref.func 6
              local.set 0
              br 2 (;@3;)
            end
            unreachable
          end
          i64.const 1
          ref.func $keep
          local.set 0
          local.set 1
        end
        local.get 1
        local.get 0
        ref.as_non_null
        call $twice
        global.get 0
        (@metadata.code.branch_hint "\00")
        if ;; label = @3
          i32.const 5
          local.set 2
          br 1 (;@2;)
        end
        drop
        return
      end
      local.get 2
      call 8
      br 0 (;@1;)
    end
  )
  (func (;4;) (type 4) (param i64 i32)
    (local i32)
    global.get 1
    local.set 2
    local.get 2
    local.get 0
    i64.store 1 align=1
    local.get 2
    local.get 1
    i32.store 1 offset=8 align=1
    i32.const 1
    global.set 0
    local.get 2
    i32.const 12
    i32.add
    global.set 1
  )
  (func (;5;) (type 5) (param funcref i32)
    (local i32)
    global.get 1
    local.set 2
    local.get 2
    local.get 0
    i32.const 1
    table.grow 0
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
  (func (;6;) (type $callback) (param i64) (result i64)
    unreachable
  )
  (func (;7;) (type 6) (param i64 funcref i32)
    (local i32)
    global.get 1
    local.set 3
    local.get 3
    local.get 0
    i64.store 1 align=1
    local.get 3
    local.get 1
    i32.const 1
    table.grow 0
    i32.store 1 offset=8 align=1
    local.get 3
    local.get 2
    i32.store 1 offset=12 align=1
    i32.const 1
    global.set 0
    local.get 3
    i32.const 16
    i32.add
    global.set 1
  )
  (func (;8;) (type 7) (param i32)
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
  (func (;9;) (type 3) (result i64)
    i64.const 0
    call $keep
  )
  (func (;10;) (type 8)
    call 3
  )
  (func (;11;) (type 8))
)
