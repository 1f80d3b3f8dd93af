//! Programs that use a GPU: stopped anywhere, and resumed on another driver. The drivers are ones
//! that run on the CPU; what this machine lacks is skipped.

use std::fmt::Write as _;
use std::time::Duration;

use wherry_engine::{
    Control, Error, Extent, Job, Limits as JobLimits, Outcome, Reason, Settings, TrapKind,
    gpu_state,
};
use wherry_gpu_abi::*;
use wherry_gpu_host::{Adapter, AdapterChoice, Quota};

use crate::common::{Captured, checkpoint, command, module, reader, resume, start};

const LAVAPIPE: &str = "llvmpipe";
const SWIFTSHADER: &str = "SwiftShader";

/// How many words the program calculates with.
const WORDS: u32 = 1024;

const SHADER: &str = "
@group(0) @binding(0) var<storage, read_write> values: array<u32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    values[id.x] = values[id.x] * 1664525u + id.x;
}";

fn expected(steps: u32) -> Vec<u8> {
    let words = (0..WORDS).map(|i| {
        (0..steps).fold(0_u32, |word, _| {
            word.wrapping_mul(1_664_525).wrapping_add(i)
        })
    });
    words.flat_map(u32::to_le_bytes).collect()
}

/// A program in text form that makes what the shader needs, submits it `steps` times, waiting
/// each time, and writes the buffer to its standard output. It exits with the status of the first
/// call that fails.
fn program(shader: &str, steps: u32) -> String {
    let mut data = Data::default();
    let buffer = |size, usage| BufferDescriptor {
        label: String::new(),
        size,
        usage,
        mapped_at_creation: false,
    };
    let size = u64::from(WORDS) * 4;
    let storage = BufferUsage::STORAGE | BufferUsage::COPY_SRC;
    let read = BufferUsage::MAP_READ | BufferUsage::COPY_DST;
    let device = DeviceDescriptor {
        label: String::new(),
        features: Vec::new(),
        limits: Limits::DEFAULT,
    };
    let (at, len) = data.put(&device.to_bytes());
    let mut calls = format!("(call $check (call $open (i32.const {at}) (i32.const {len})))\n");
    let objects: [Descriptor; 6] = [
        buffer(size, storage).into(),
        buffer(size, read).into(),
        ShaderModuleDescriptor {
            label: String::new(),
            wgsl: shader.into(),
        }
        .into(),
        ComputePipelineDescriptor {
            label: String::new(),
            layout: 0,
            compute: ProgrammableStage {
                module: 3,
                entry_point: String::new(),
                constants: Vec::new(),
            },
        }
        .into(),
        PipelineBindGroupLayoutDescriptor {
            pipeline: 4,
            index: 0,
        }
        .into(),
        BindGroupDescriptor {
            label: String::new(),
            layout: 5,
            entries: vec![BindGroupEntry {
                binding: 0,
                resource: BindingResource::Buffer(BufferRange {
                    buffer: 1,
                    offset: 0,
                    size: WHOLE_SIZE,
                }),
            }],
        }
        .into(),
    ];
    for (handle, object) in (1..).zip(objects) {
        let kind = object.kind() as u32;
        let (at, len) = data.put(&object.to_bytes());
        let _ = writeln!(
            calls,
            "(call $check (call $create (i32.const {kind}) (i32.const {handle}) (i32.const {at}) (i32.const {len})))"
        );
    }
    let step = data.stream(&[
        Command::BeginComputePass {
            label: String::new(),
            timestamp_writes: None,
        },
        Command::SetComputePipeline { pipeline: 4 },
        Command::SetBindGroup {
            index: 0,
            group: 6,
            offsets: Vec::new(),
        },
        Command::DispatchWorkgroups {
            x: WORDS / 64,
            y: 1,
            z: 1,
        },
        Command::EndComputePass {},
    ]);
    let copy = data.stream(&[Command::CopyBufferToBuffer {
        source: 1,
        source_offset: 0,
        destination: 2,
        destination_offset: 0,
        size,
    }]);
    format!(
        r#"(module
            (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (import "wasi_snapshot_preview1" "fd_write"
                (func $fd_write (param i32 i32 i32 i32) (result i32)))
            (import "wherry_gpu" "open" (func $open (param i32 i32) (result i32)))
            (import "wherry_gpu" "create" (func $create (param i32 i32 i32 i32) (result i32)))
            (import "wherry_gpu" "submit" (func $submit (param i32 i32 i32) (result i64)))
            (import "wherry_gpu" "wait" (func $wait (param i64 i64) (result i32)))
            (import "wherry_gpu" "map" (func $map (param i32 i32 i64 i64) (result i32)))
            (import "wherry_gpu" "read" (func $read (param i32 i64 i32 i32) (result i32)))
            (memory (export "memory") {pages})
            {data}
            (func $check (param $status i32)
                (if (local.get $status) (then (call $exit (local.get $status)))))
            (func (export "_start") (local $i i32)
                {calls}
                (loop $again
                    (call $check (i64.lt_s {step} (i64.const 1)))
                    (call $check (call $wait (i64.const 0) (i64.const -1)))
                    (local.set $i (i32.add (local.get $i) (i32.const 1)))
                    (br_if $again (i32.lt_u (local.get $i) (i32.const {steps}))))
                (call $check (i64.lt_s {copy} (i64.const 1)))
                (call $check (call $map (i32.const 2) (i32.const 1) (i64.const 0) (i64.const {size})))
                (call $check (call $read (i32.const 2) (i64.const 0) (i32.const 65536) (i32.const {size})))
                (i32.store (i32.const 16) (i32.const 65536))
                (i32.store (i32.const 20) (i32.const {size}))
                (call $check (call $fd_write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 24)))))"#,
        data = data.text,
        // What is read back lies in the second page, what the program has begins in the first.
        pages = (data.used >> 16) + 2,
    )
}

/// What a program finds in its memory.
#[derive(Default)]
struct Data {
    text: String,
    used: u32,
}

impl Data {
    fn put(&mut self, bytes: &[u8]) -> (u32, u32) {
        let at = 1024 + self.used;
        let escaped: String = bytes.iter().map(|byte| format!("\\{byte:02x}")).collect();
        let _ = writeln!(self.text, "(data (i32.const {at}) \"{escaped}\")");
        let len = u32::try_from(bytes.len()).unwrap();
        self.used += len;
        (at, len)
    }

    /// A call that submits the commands.
    fn stream(&mut self, commands: &[Command]) -> String {
        let mut to = Writer::new();
        let begin = Command::BeginCommandBuffer {
            label: String::new(),
        };
        begin.encode(&mut to);
        for command in commands {
            command.encode(&mut to);
        }
        let (at, len) = self.put(&to.into_bytes());
        format!("(call $submit (i32.const {at}) (i32.const {len}) (i32.const 1))")
    }
}

fn choice(name: &str) -> AdapterChoice {
    AdapterChoice {
        name: Some(name.to_owned()),
        allow_defects: true,
        ..AdapterChoice::default()
    }
}

fn has(name: &str) -> bool {
    let chosen = Adapter::choose(&choice(name));
    if let Err(error) = &chosen {
        // Not `eprintln!`, which the harness keeps from view unless the test fails.
        let _ = std::io::Write::write_all(
            &mut std::io::stderr(),
            format!("SKIPPED: no driver {name}: {error}\n").as_bytes(),
        );
    }
    chosen.is_ok()
}

fn on(name: &str, output: &Captured) -> Settings {
    Settings {
        gpu: Some(wherry_gpu_host::Settings::new(choice(name))),
        ..output.settings()
    }
}

/// At every fifth safepoint: between calls, and before calls that wait.
#[test]
fn a_job_moves_between_drivers() {
    if !has(LAVAPIPE) || !has(SWIFTSHADER) {
        return;
    }
    let module = module(&program(SHADER, 6));
    let output = Captured::default();
    let counting = |name, output: &Captured| Settings {
        countdown: Some(5),
        ..on(name, output)
    };
    let mut job = start(&module, counting(LAVAPIPE, &output));
    let mut moves = 0;
    loop {
        let outcome = job.run().expect("it runs");
        if outcome != Outcome::Stopped(Reason::Countdown) {
            assert_eq!(outcome, Outcome::Exited(0));
            break;
        }
        moves += 1;
        let file = checkpoint(&mut job);
        let saved = reader(&file).contents().gpu.clone().expect("a GPU");
        gpu_state(&saved).expect("valid");
        let next = [LAVAPIPE, SWIFTSHADER][moves % 2];
        job = resume(&module, &file, counting(next, &output));
    }
    assert!(moves >= 2, "{moves}");
    assert!(output.bytes() == expected(6));
    assert!(job.gpu_usage().expect("a GPU").time > Duration::ZERO);
}

/// A delta has only what was written since, and the job can be resumed from it.
#[test]
fn a_delta_moves() {
    if !has(LAVAPIPE) || !has(SWIFTSHADER) {
        return;
    }
    let module = module(&program(SHADER, 9));
    let output = Captured::default();
    let mut settings = on(LAVAPIPE, &output);
    settings.countdown = Some(3);
    let mut job = start(&module, settings);
    assert_eq!(job.run().unwrap(), Outcome::Stopped(Reason::Countdown));
    let mut first = std::io::Cursor::new(Vec::new());
    let capture = job.capture(&mut first, Extent::Full).unwrap();
    let written = capture.write().unwrap();
    job.written(&written, true);
    job.set_countdown(Some(3));
    assert_eq!(job.run().unwrap(), Outcome::Stopped(Reason::Countdown));
    let mut second = std::io::Cursor::new(Vec::new());
    let capture = job.capture(&mut second, Extent::Delta).unwrap();
    assert_eq!(capture.extent(), Extent::Delta);
    capture.write().unwrap();
    let (first, second) = (first.into_inner(), second.into_inner());
    let delta = wherry_snapshot::Reader::open_with(std::io::Cursor::new(&second[..]), |_| {
        Ok(Some(std::io::Cursor::new(&first[..])))
    });
    let control = Control::new().unwrap();
    let settings = on(SWIFTSHADER, &output);
    let mut job = Job::resume(&module, &delta.unwrap(), settings, &control).unwrap();
    assert_eq!(job.run().unwrap(), Outcome::Exited(0));
    assert!(output.bytes() == expected(9));
}

#[test]
fn without_a_grant_there_is_no_gpu() {
    let module = module(&program(SHADER, 1));
    assert!(module.uses_gpu());
    let (control, output) = (Control::new().unwrap(), Captured::default());
    let refused = Job::start(&module, command(), output.settings(), &control).err();
    assert!(matches!(refused, Some(Error::NoGpu)), "{refused:?}");
    let mut settings = output.settings();
    settings.gpu = Some(wherry_gpu_host::Settings::new(choice("of this name")));
    let refused = Job::start(&module, command(), settings, &control).err();
    let refused = refused.expect("there is none").to_string();
    assert!(
        refused.contains("of this name") || refused.contains("no GPU"),
        "{refused}"
    );
    let deterministic = wherry_engine::Command {
        deterministic: Some(0),
        ..command()
    };
    let mut settings = output.settings();
    settings.gpu = Some(wherry_gpu_host::Settings::new(choice(LAVAPIPE)));
    let refused = Job::start(&module, deterministic, settings, &control).err();
    assert!(
        matches!(refused, Some(Error::NotDeterministic { .. })),
        "{refused:?}"
    );
}

/// The functions that are offered have the types that are written down.
#[test]
fn every_function_is_there() {
    let types = FUNCTIONS.iter().enumerate().map(|(index, (name, ty))| {
        let (params, result) = ty.split_once(" -> ").unwrap();
        let list = |text: &str| text.trim_matches(['[', ']']).to_owned();
        let result = match list(result) {
            empty if empty.is_empty() => empty,
            result => format!("(result {result})"),
        };
        format!(
            "(import \"wherry_gpu\" \"{name}\" (func $f{index} (param {}) {result}))\n",
            list(params)
        )
    });
    let imports: String = types.collect();
    let text =
        format!("(module {imports} (memory (export \"memory\") 1) (func (export \"_start\")))");
    let output = Captured::default();
    if has(LAVAPIPE) {
        let mut job = start(&module(&text), on(LAVAPIPE, &output));
        assert_eq!(job.run().unwrap(), Outcome::Exited(0));
    }
}

#[test]
fn a_wild_address_ends_the_job() {
    if !has(LAVAPIPE) {
        return;
    }
    let text = program(SHADER, 1).replacen(
        "(call $open (i32.const 1024)",
        "(call $open (i32.const -8)",
        1,
    );
    let mut job = start(&module(&text), on(LAVAPIPE, &Captured::default()));
    let Outcome::Trapped(trap) = job.run().unwrap() else {
        panic!("it goes on");
    };
    assert_eq!(trap.kind, TrapKind::Gpu);
    assert!(
        trap.message.contains("not within the memory"),
        "{}",
        trap.message
    );
}

/// The job ends with an error that says why. It has a process of its own, as every job should: the
/// driver's threads are busy for ever, which ends with the process.
#[test]
fn work_that_does_not_end_ends_the_job() {
    if !has(SWIFTSHADER) {
        return;
    }
    let name = "gpu::work_that_does_not_end_ends_the_job";
    if std::env::var_os("WHERRY_HUNG").is_some() {
        return hang();
    }
    let mut own = std::process::Command::new(std::env::current_exe().unwrap());
    let status = own.args(["--exact", name]).env("WHERRY_HUNG", "1").status();
    assert!(status.unwrap().success());
    let output = Captured::default();
    let mut job = start(&module(&program(SHADER, 2)), on(SWIFTSHADER, &output));
    assert_eq!(job.run().unwrap(), Outcome::Exited(0));
    assert!(output.bytes() == expected(2));
}

fn hang() {
    let endless = "
@group(0) @binding(0) var<storage, read_write> values: array<u32>;
@compute @workgroup_size(1) fn main() {
    while (values[0] < 7u) { values[1] += 1u; if (values[1] == 5u) { values[1] = 0u; } }
}";
    let mut settings = on(SWIFTSHADER, &Captured::default());
    if let Some(gpu) = &mut settings.gpu {
        gpu.quota = Quota {
            submission_time: Duration::from_millis(500),
            ..Quota::default()
        };
    }
    let mut job = start(&module(&program(endless, 1)), settings);
    let Outcome::Trapped(trap) = job.run().unwrap() else {
        panic!("it goes on");
    };
    assert_eq!(trap.kind, TrapKind::Gpu);
    assert!(trap.message.contains("did not end"), "{}", trap.message);
}

const SLOW: &str = "
@group(0) @binding(0) var<storage, read_write> values: array<u32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    var x = values[id.x];
    for (var i = 0u; i < 30000u; i++) { x = x * 1664525u + id.x; }
    values[id.x] = x;
}";

/// Over the whole life of the job, wherever it ran: it is a checkpoint then, and goes on with more.
#[test]
fn when_its_gpu_time_is_up_a_job_is_stopped() {
    if !has(SWIFTSHADER) || !has(LAVAPIPE) {
        return;
    }
    let module = module(&program(SLOW, 3));
    let output = Captured::default();
    let limited = |name, time| {
        let mut settings = on(name, &output);
        if let Some(gpu) = &mut settings.gpu {
            gpu.quota.gpu_time = time;
        }
        settings
    };
    let little = Some(Duration::from_micros(10));
    let mut job = start(&module, limited(SWIFTSHADER, little));
    assert_eq!(job.run().unwrap(), Outcome::Stopped(Reason::GpuTime));
    let used = job.gpu_usage().expect("a GPU").time;
    let file = checkpoint(&mut job);
    let mut again = resume(&module, &file, limited(LAVAPIPE, little));
    assert_eq!(again.run().unwrap(), Outcome::Stopped(Reason::GpuTime));
    assert!(again.gpu_usage().expect("a GPU").time >= used);
    let mut rest = resume(&module, &file, limited(LAVAPIPE, None));
    assert_eq!(rest.run().unwrap(), Outcome::Exited(0));
    assert!(output.bytes() == expected(90_000));
}

/// Bytes of the program's memory.
const PAGES: u64 = 2 << 16;
/// Bytes of its two buffers.
const BUFFERS: u64 = 2 * 4096;

#[test]
fn the_memory_of_guest_and_gpu_is_one_budget() {
    if !has(LAVAPIPE) {
        return;
    }
    let output = Captured::default();
    let limited = |bytes| Settings {
        limits: JobLimits {
            memory_bytes: Some(bytes),
            ..JobLimits::default()
        },
        ..on(LAVAPIPE, &output)
    };
    let run = |text: &str, bytes| start(&module(text), limited(bytes)).run().unwrap();
    let plain = program(SHADER, 1);
    assert_eq!(run(&plain, PAGES + BUFFERS), Outcome::Exited(0));
    // Making the second buffer is out of memory.
    assert_eq!(run(&plain, PAGES + BUFFERS - 1), Outcome::Exited(2));
    let grows = plain.replacen(
        "(loop $again",
        "(if (i32.ne (memory.grow (i32.const 1)) (i32.const -1)) (then (call $exit (i32.const 77))))
        (loop $again",
        1,
    );
    let page = 1 << 16;
    assert_eq!(run(&grows, PAGES + BUFFERS + page), Outcome::Exited(77));
    assert_eq!(run(&grows, PAGES + BUFFERS + page - 1), Outcome::Exited(0));

    let module = module(&program(SHADER, 6));
    let mut job = start(
        &module,
        Settings {
            countdown: Some(5),
            ..limited(PAGES + BUFFERS)
        },
    );
    assert_eq!(job.run().unwrap(), Outcome::Stopped(Reason::Countdown));
    let file = checkpoint(&mut job);
    // A reference to a function that is on the stack counts, too.
    let mut job = resume(&module, &file, limited(PAGES + BUFFERS + 8));
    assert_eq!(job.run().unwrap(), Outcome::Exited(0));
    let control = Control::new().unwrap();
    let settings = limited(PAGES + BUFFERS - 1);
    let refused = Job::resume(&module, &reader(&file), settings, &control).err();
    let refused = refused.expect("too little").to_string();
    assert!(
        refused.contains("bytes of buffers and textures"),
        "{refused}"
    );
}

/// A program that can do without finds no adapter, also when it goes on elsewhere.
#[test]
fn a_job_without_a_gpu_goes_on_without() {
    let text = r#"(module
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (import "wherry_gpu" "adapter" (func $adapter (param i32 i32) (result i32)))
        (import "wherry_gpu" "wait" (func $wait (param i64 i64) (result i32)))
        (memory (export "memory") 1)
        (func $ask (result i32) (i32.add (i32.mul (call $adapter (i32.const 0) (i32.const 0)) (i32.const 10))
            (call $wait (i64.const 0) (i64.const 0))))
        (func (export "_start") (local $i i32) (local $sum i32)
            (loop $again
                (local.set $sum (i32.add (local.get $sum) (call $ask)))
                (local.set $i (i32.add (local.get $i) (i32.const 1)))
                (br_if $again (i32.lt_u (local.get $i) (i32.const 10))))
            (call $exit (local.get $sum))))"#;
    let (module, output) = (module(text), Captured::default());
    let optional = Settings {
        gpu_optional: true,
        gpu: Some(wherry_gpu_host::Settings::new(choice("of this name"))),
        countdown: Some(5),
        ..output.settings()
    };
    let mut job = start(&module, optional);
    assert!(job.why_no_gpu().is_some() && job.gpu_usage().is_none());
    assert_eq!(job.run().unwrap(), Outcome::Stopped(Reason::Countdown));
    let file = checkpoint(&mut job);
    assert!(reader(&file).contents().gpu.is_none());
    let mut job = resume(&module, &file, output.settings());
    // Ten times: no adapter, and status 4, as there is no device.
    assert_eq!(job.run().unwrap(), Outcome::Exited(40));
}

/// Each is an error of WebGPU, for which the program exits with 1.
#[test]
fn hostile_shaders_are_errors() {
    let main = "@compute @workgroup_size(1) fn main() {";
    let nested = |open: &str, middle: &str, close: &str, depth| {
        let (open, close) = (open.repeat(depth), close.repeat(depth));
        format!("{main} {open}{middle}{close} }}")
    };
    let hostile = [
        (
            "recursion",
            format!("fn f(x: u32) -> u32 {{ return f(x); }} {main} _ = f(1u); }}"),
        ),
        (
            "a giant workgroup",
            "@compute @workgroup_size(4096, 4096, 4096) fn main() {}".to_owned(),
        ),
        (
            "no workgroup",
            "@compute @workgroup_size(0) fn main() {}".to_owned(),
        ),
        (
            "a giant array",
            format!("var<workgroup> a: array<u32, 1000000000>; {main} a[1] = 1u; }}"),
        ),
        ("blocks", nested("{", "", "}", 100_000)),
        ("conditions", nested("if true {", "", "}", 50_000)),
        (
            "parentheses",
            format!(
                "{main} let x = {}1{}; }}",
                "(".repeat(100_000),
                ")".repeat(100_000)
            ),
        ),
        (
            "negations",
            format!("{main} let x = {}1; }}", "- ".repeat(200_000)),
        ),
        (
            "calls",
            format!(
                "{main} let x = {}1{}; }}",
                "abs(".repeat(50_000),
                ")".repeat(50_000)
            ),
        ),
        (
            "types",
            format!(
                "{main} let x: {}u32{} = 1; }}",
                "array<".repeat(50_000),
                ">".repeat(50_000)
            ),
        ),
        (
            "a sum",
            format!("{main} let x = 1{}; }}", "+1".repeat(200_000)),
        ),
        (
            "an access",
            format!("{main} let x = vec2(1){}; }}", ".xy".repeat(200_000)),
        ),
        (
            "branches",
            format!(
                "{main} if true {{}} {} }}",
                "else if true {}".repeat(50_000)
            ),
        ),
        ("nothing", "\u{0}\u{feff}@".to_owned()),
    ];
    for driver in [LAVAPIPE, SWIFTSHADER] {
        if !has(driver) {
            continue;
        }
        for (what, shader) in &hostile {
            let mut job = start(
                &module(&program(shader, 1)),
                on(driver, &Captured::default()),
            );
            assert_eq!(job.run().unwrap(), Outcome::Exited(1), "{what}");
        }
    }
}

/// Valid, and long where a compiler likes to recurse: whatever becomes of it, the process lives.
#[test]
fn long_shaders_do_not_end_the_process() {
    let main = "
@group(0) @binding(0) var<storage, read_write> values: array<u32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {";
    let long = [
        (
            "a sum",
            format!(
                "{main} values[0] = values[1]{}; }}",
                "+values[2]".repeat(900)
            ),
        ),
        (
            "a chain of conditions",
            format!(
                "{main} if id.x == 1 {{}} {} }}",
                "else if id.x == 2 {}".repeat(900)
            ),
        ),
        (
            "an access",
            format!(
                "{main} let v = vec4(values[0]); values[1] = v{}.x; }}",
                ".xyzw".repeat(50_000)
            ),
        ),
    ];
    for driver in [LAVAPIPE, SWIFTSHADER] {
        if !has(driver) {
            continue;
        }
        for (what, shader) in &long {
            let mut job = start(
                &module(&program(shader, 1)),
                on(driver, &Captured::default()),
            );
            let outcome = job.run().unwrap();
            assert!(
                matches!(outcome, Outcome::Exited(0..=3)),
                "{what}: {outcome:?}"
            );
        }
    }
}

/// A call that waits is left when the job is to stop, and made again.
#[test]
fn waiting_can_be_interrupted() {
    if !has(SWIFTSHADER) || !has(LAVAPIPE) {
        return;
    }
    let module = module(&program(SLOW, 3));
    let output = Captured::default();
    let control = Control::new().unwrap();
    let mut job = Job::start(&module, command(), on(SWIFTSHADER, &output), &control).unwrap();
    control.request_checkpoint();
    let mut moves = 0;
    while job.run().unwrap() == Outcome::Stopped(Reason::Checkpoint) {
        moves += 1;
        let file = checkpoint(&mut job);
        let next = [LAVAPIPE, SWIFTSHADER][moves % 2];
        let settings = on(next, &output);
        job = Job::resume(&module, &reader(&file), settings, &control).unwrap();
        if moves < 3 {
            control.request_checkpoint();
        }
    }
    assert_eq!(moves, 3);
    assert!(output.bytes() == expected(90_000));
}
