//! A checkpoint, for people and for programs: one description, printed in two ways.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use serde::Serialize;
use wherry_engine::{Engine, EngineConfig};
use wherry_node::open_checkpoint;
use wherry_snapshot::{
    Contents, Frame, Key, Memory, Outline, Phase, Reader, SectionInfo, Slot, Value,
};

use super::state::{self, Host};
use crate::commands::Context;
use crate::output::size;
use crate::workload::{module_of_checkpoint, text_of};

/// Bytes of a page of WebAssembly.
const PAGE: u64 = 64 << 10;

/// What is shown of a checkpoint.
#[derive(Debug, Serialize)]
struct View {
    state_digest: String,
    workload: Workload,
    sequence: u64,
    parent: Option<String>,
    file_bytes: u64,
    encrypted_with: Option<String>,
    phase: &'static str,
    /// Innermost last.
    frames: Vec<FrameView>,
    memories: Vec<MemoryView>,
    globals: Vec<GlobalView>,
    tables: Vec<TableView>,
    dropped_data_segments: Vec<u32>,
    dropped_element_segments: Vec<u32>,
    settings: wherry_snapshot::Settings,
    #[serde(flatten)]
    host: Host,
    accounting: wherry_snapshot::Accounting,
    /// Of a deterministic job.
    profile: Option<wherry_snapshot::Profile>,
    /// Files from before it was counted lack it.
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<wherry_snapshot::Usage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gpu: Option<GpuView>,
    sections: Vec<Section>,
}

/// What a job has on a GPU.
#[derive(Debug, Serialize)]
struct GpuView {
    objects: usize,
    /// Contents of buffers and textures that are not zero.
    bytes: u64,
    used_ns: u64,
}

impl GpuView {
    fn of(gpu: &wherry_snapshot::Gpu) -> Result<Self, wherry_engine::Error> {
        let state = wherry_engine::gpu_state(gpu)?;
        Ok(GpuView {
            objects: state.objects(),
            bytes: state.blobs().map(|blob| blob.len).sum(),
            used_ns: gpu.used_ns,
        })
    }
}

#[derive(Debug, Serialize)]
struct Workload {
    module: String,
    manifest: Option<String>,
    instrumentation: u32,
}

#[derive(Debug, Serialize)]
struct FrameView {
    function: u32,
    name: Option<String>,
    offset: u32,
    locals: Vec<ValueView>,
    operands: Vec<ValueView>,
}

#[derive(Debug, Serialize)]
struct ValueView {
    index: u32,
    r#type: &'static str,
    value: String,
}

#[derive(Debug, Serialize)]
struct MemoryView {
    pages: u64,
    maximum: Option<u64>,
    nonzero_pages: u64,
    /// First page and number of pages.
    runs: Vec<(u64, u64)>,
}

#[derive(Debug, Serialize)]
struct GlobalView {
    index: u32,
    r#type: &'static str,
    value: String,
}

#[derive(Debug, Serialize)]
struct TableView {
    elements: u64,
    null: u64,
}

#[derive(Debug, Serialize)]
struct Section {
    name: String,
    bytes: u64,
}

/// Shows the checkpoint in the file at `path`.
pub(super) fn show(
    context: &Context,
    path: &Path,
    module: Option<&Path>,
    key: Option<&Key>,
) -> anyhow::Result<()> {
    let failed = || format!("cannot show {}", path.display());
    let mut file = File::open(path).with_context(failed)?;
    let length = file.metadata().with_context(failed)?.len();
    let reader = match open_checkpoint(path, key) {
        Err(wherry_snapshot::Error::KeyNeeded { key }) => {
            let outline = Outline::read(&mut file).with_context(failed)?;
            return show_outline(context, &key.to_string(), &outline, length);
        }
        reader => reader.with_context(failed)?,
    };
    let names = function_names(context, module, reader.contents())?;
    let view = View::of(&reader, &names, length)?;
    let value = serde_json::to_value(&view)?;
    context.output.result(&value, view.text())
}

/// What can be seen without the key.
fn show_outline(
    context: &Context,
    key: &str,
    outline: &Outline,
    file_bytes: u64,
) -> anyhow::Result<()> {
    let sections: Vec<_> = outline.sections.iter().map(Section::of).collect();
    let mut text = format!("encrypted with the key {key}, which shows more with --key FILE\n");
    // Writing to a string cannot fail.
    let _ = write_sections(&mut text, file_bytes, &sections);
    let bases: Vec<_> = outline.bases.iter().map(text_of).collect();
    let value = serde_json::json!({
        "encrypted_with": key,
        "file_digest": text_of(&outline.file),
        "bases": bases,
        "file_bytes": file_bytes,
        "sections": sections,
    });
    context.output.result(&value, text.trim_end())
}

fn write_sections(out: &mut String, file_bytes: u64, sections: &[Section]) -> std::fmt::Result {
    writeln!(out, "\nfile        {}", size(file_bytes))?;
    for section in sections {
        writeln!(out, "  {:<14} {}", section.name, size(section.bytes))?;
    }
    Ok(())
}

impl Section {
    fn of(section: &SectionInfo) -> Self {
        Section {
            name: section.name.clone(),
            bytes: section.length,
        }
    }
}

/// The names of functions, as far as the module is known. Without it there are none.
fn function_names(
    context: &Context,
    given: Option<&Path>,
    contents: &Contents,
) -> anyhow::Result<BTreeMap<u32, String>> {
    let digest = &contents.workload.module;
    let wasm = match module_of_checkpoint(&context.home, given, digest) {
        Ok(wasm) => wasm,
        Err(error) if given.is_some() => return Err(error),
        Err(_) => return Ok(BTreeMap::new()),
    };
    let module = Engine::new(EngineConfig::default())?.load(wasm);
    if module.digest() != *digest {
        let (expected, found) = (*digest, module.digest());
        return Err(wherry_engine::Error::WrongModule { expected, found }.into());
    }
    Ok(module.function_names())
}

impl View {
    fn of(
        reader: &Reader<File>,
        names: &BTreeMap<u32, String>,
        file_bytes: u64,
    ) -> anyhow::Result<Self> {
        let contents = reader.contents();
        let execution = &contents.execution;
        let globals = execution.globals.iter().map(|global| GlobalView {
            index: global.index,
            r#type: type_of(&global.value),
            value: text_of_value(&global.value),
        });
        let tables = execution.tables.iter().map(|table| TableView {
            elements: table.elements.len() as u64,
            null: table.elements.iter().filter(|e| e.is_none()).count() as u64,
        });
        Ok(View {
            state_digest: text_of(&reader.state_digest()),
            workload: Workload {
                module: text_of(&contents.workload.module),
                manifest: contents.workload.manifest.as_ref().map(text_of),
                instrumentation: contents.workload.instrumentation,
            },
            sequence: contents.lineage.sequence,
            parent: contents.lineage.parent.as_ref().map(text_of),
            file_bytes,
            phase: match execution.phase {
                Phase::Start => "start function",
                Phase::Main => "_start",
            },
            frames: execution
                .frames
                .iter()
                .map(|frame| FrameView::of(frame, names))
                .collect(),
            memories: contents.memories.iter().map(MemoryView::of).collect(),
            globals: globals.collect(),
            tables: tables.collect(),
            dropped_data_segments: execution.dropped_data.clone(),
            dropped_element_segments: execution.dropped_elements.clone(),
            settings: contents.settings.clone(),
            host: state::describe(&contents.wasi)?,
            accounting: contents.accounting,
            profile: contents.profile,
            usage: contents.usage,
            gpu: contents.gpu.as_ref().map(GpuView::of).transpose()?,
            sections: reader.sections().iter().map(Section::of).collect(),
            encrypted_with: reader.key().map(|key| key.id().to_string()),
        })
    }

    fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = self.write(&mut text);
        text.truncate(text.trim_end().len());
        text
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        writeln!(out, "state       {}", self.state_digest)?;
        writeln!(out, "module      {}", self.workload.module)?;
        if let Some(manifest) = &self.workload.manifest {
            writeln!(out, "manifest    {manifest}")?;
        }
        let parent = self.parent.as_deref().unwrap_or("none");
        writeln!(out, "sequence    {}, parent {parent}", self.sequence)?;
        if let Some(profile) = &self.profile {
            let position = profile.position;
            writeln!(
                out,
                "profile     deterministic, at safepoint {position} of its life"
            )?;
        }
        if let Some(gpu) = &self.gpu {
            let (objects, bytes) = (gpu.objects, size(gpu.bytes));
            let used = Duration::from_nanos(gpu.used_ns);
            writeln!(
                out,
                "gpu         {objects} objects, {bytes} of contents, {used:.1?} used"
            )?;
        }
        writeln!(out, "arguments   {:?}", self.settings.args)?;
        for (name, value) in &self.settings.env {
            writeln!(out, "environment {name}={value:?}")?;
        }
        self.write_frames(out)?;
        self.write_memories(out)?;
        self.write_globals(out)?;
        self.host.write(out)?;
        self.write_accounting(out)?;
        if let Some(key) = &self.encrypted_with {
            writeln!(out, "\nencrypted with the key {key}")?;
        }
        write_sections(out, self.file_bytes, &self.sections)
    }

    fn write_frames(&self, out: &mut String) -> std::fmt::Result {
        writeln!(out, "\ncall stack of {}, innermost last", self.phase)?;
        for (depth, frame) in self.frames.iter().enumerate() {
            let name = frame.name.as_deref().unwrap_or("");
            let FrameView {
                function, offset, ..
            } = frame;
            writeln!(
                out,
                "  #{depth:<3} function {function} {name} at +{offset:#x}"
            )?;
            for (kind, values) in [("local", &frame.locals), ("operand", &frame.operands)] {
                for value in values {
                    let ValueView {
                        index,
                        r#type,
                        value,
                    } = value;
                    writeln!(out, "         {kind} {index}: {type} = {value}")?;
                }
            }
        }
        Ok(())
    }

    fn write_memories(&self, out: &mut String) -> std::fmt::Result {
        for (index, memory) in self.memories.iter().enumerate() {
            let MemoryView {
                pages,
                nonzero_pages,
                ..
            } = memory;
            let (all, used) = (size(pages * PAGE), size(nonzero_pages * PAGE));
            writeln!(
                out,
                "\nmemory {index}    {pages} pages of 64 KiB ({all}), {nonzero_pages} not zero ({used})"
            )?;
            for (first, count) in &memory.runs {
                let last = first + count.saturating_sub(1);
                let (from, to) = (first * PAGE, (first + count) * PAGE);
                writeln!(out, "  pages {first}..={last}, bytes {from:#x}..{to:#x}")?;
            }
        }
        Ok(())
    }

    fn write_globals(&self, out: &mut String) -> std::fmt::Result {
        if !self.globals.is_empty() {
            writeln!(out, "\nglobals that can change")?;
        }
        for GlobalView {
            index,
            r#type,
            value,
        } in &self.globals
        {
            writeln!(out, "  global {index}: {type} = {value}")?;
        }
        for (index, TableView { elements, null }) in self.tables.iter().enumerate() {
            writeln!(
                out,
                "table {index}     {elements} elements, {null} of them null"
            )?;
        }
        Ok(())
    }

    fn write_accounting(&self, out: &mut String) -> std::fmt::Result {
        let nanoseconds = |time| format!("{:.3?}", std::time::Duration::from_nanos(time));
        let limit = |limit: Option<u64>| limit.map_or("none".to_owned(), nanoseconds);
        let (used, limits) = (self.accounting, self.settings.limits);
        let memory = limits.memory_bytes.map_or("none".to_owned(), size);
        writeln!(out, "\nused so far")?;
        let wall = nanoseconds(used.wall_ns);
        writeln!(out, "  wall time {wall}, limit {}", limit(limits.wall_ns))?;
        let cpu = nanoseconds(used.cpu_ns);
        writeln!(out, "  CPU time {cpu}, limit {}", limit(limits.cpu_ns))?;
        writeln!(out, "  memory limit {memory}")?;
        let Some(usage) = self.usage else {
            return Ok(());
        };
        let limit = |limit: Option<u64>| limit.map_or("none".to_owned(), size);
        let output = usage.stdout_bytes.saturating_add(usage.lent_bytes);
        let quota = usage.quota;
        writeln!(
            out,
            "  output {}, limit {}",
            size(output),
            limit(quota.output_bytes)
        )?;
        let log = size(usage.stderr_bytes);
        writeln!(out, "  log {log}, limit {}", limit(quota.log_bytes))?;
        writeln!(out, "  scratch limit {}", limit(quota.scratch_bytes))?;
        let (read, written) = (size(usage.read_bytes), size(usage.written_bytes));
        writeln!(out, "  read {read}, written {written}")
    }
}

impl FrameView {
    fn of(frame: &Frame, names: &BTreeMap<u32, String>) -> Self {
        let mut view = FrameView {
            function: frame.function,
            name: names.get(&frame.function).cloned(),
            offset: frame.offset,
            locals: Vec::new(),
            operands: Vec::new(),
        };
        for (slot, value) in &frame.values {
            let (list, index) = match slot {
                Slot::Local(index) => (&mut view.locals, *index),
                Slot::Operand(index) => (&mut view.operands, *index),
            };
            list.push(ValueView {
                index,
                r#type: type_of(value),
                value: text_of_value(value),
            });
        }
        view
    }
}

impl MemoryView {
    fn of(memory: &Memory) -> Self {
        let runs = memory
            .runs
            .iter()
            .map(|run| (run.first, run.pages.len() as u64));
        let runs: Vec<_> = runs.collect();
        MemoryView {
            pages: memory.pages,
            maximum: memory.maximum,
            nonzero_pages: runs.iter().map(|(_, count)| count).sum(),
            runs,
        }
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::I32(_) => "i32",
        Value::I64(_) => "i64",
        Value::F32(_) => "f32",
        Value::F64(_) => "f64",
        Value::V128(_) => "v128",
        Value::FuncRef(_) => "funcref",
        Value::NullExtern => "externref",
    }
}

fn text_of_value(value: &Value) -> String {
    match value {
        Value::I32(bits) => bits.cast_signed().to_string(),
        Value::I64(bits) => bits.cast_signed().to_string(),
        Value::F32(bits) => format!("{:?}", f32::from_bits(*bits)),
        Value::F64(bits) => format!("{:?}", f64::from_bits(*bits)),
        Value::V128(bits) => format!("{bits:#034x}"),
        Value::FuncRef(Some(function)) => format!("function {function}"),
        Value::FuncRef(None) | Value::NullExtern => "null".to_owned(),
    }
}
