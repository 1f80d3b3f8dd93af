//! Saving a job's GPU: all that is under way is finished, then objects that live are written down,
//! and the contents that have changed are read back.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use wherry_gpu_abi::{AdapterRecord, Descriptor, Wire, Writer};
use wherry_snapshot::{Blob, BlobSink};

use crate::content::ContentReader;
use crate::device::{Device, Watch};
use crate::fault::Failed;
use crate::gpu::{Gpu, Open};
use crate::object::{Content, Id, Made, Object, QuerySet};
use crate::references;
use crate::staging::{Download, buffer_copies};
use crate::state::{ContentState, DeviceState, GpuState, MadeState, ObjectState};
use crate::submit::{runs, scratch};
use crate::texels;
use crate::{Error, Quota};

impl Gpu {
    /// Saves all that the job has on the GPU, which stays as it is. Contents go to `sink`; those
    /// that have not changed since they were last saved are not read again, if it has them.
    ///
    /// # Errors
    /// If there is no adapter, what was submitted does not end, an object has what cannot be saved,
    /// or `sink` fails.
    pub fn save(&mut self, sink: &mut dyn BlobSink) -> Result<GpuState, Error> {
        let quota = Quota {
            gpu_time: None,
            ..self.settings.quota
        };
        let watch = Watch {
            quota: &quota,
            used_before: Duration::ZERO,
            interrupted: &|| false,
            until: None,
        };
        let Ok(lent) = &self.lent else {
            return Err(Error::NoAdapter);
        };
        let device = match &mut self.open {
            Some(open) => Some(open.save(&watch, sink)?),
            None => None,
        };
        let profile = AdapterRecord {
            vendor: String::new(),
            architecture: String::new(),
            device: String::new(),
            description: String::new(),
            vendor_id: 0,
            device_id: 0,
            subgroup_min_size: 0,
            subgroup_max_size: 0,
            backend: wherry_gpu_abi::Backend::Null,
            adapter_type: wherry_gpu_abi::AdapterType::Unknown,
            ..lent.record.clone()
        };
        Ok(GpuState {
            profile: encoded(&profile),
            error: encoded(&self.error),
            device,
        })
    }

    /// For how long work was under way, for the job's accounts.
    #[must_use]
    pub fn time_used(&self) -> Duration {
        self.usage().time
    }
}

impl Open {
    fn save(&mut self, watch: &Watch<'_>, sink: &mut dyn BlobSink) -> Result<DeviceState, Error> {
        if self.device.lost().is_none() {
            self.device.flush();
            if let Err(failed) = self.device.wait_idle(watch) {
                // That it was lost meanwhile is a state, too.
                if self.device.lost().is_none() {
                    return Err(failure(failed));
                }
            }
        }
        let lost = self.device.lost();
        let objects = self.table.in_order();
        let numbers: HashMap<Id, u32> = (1..).zip(&objects).map(|(n, (id, _))| (*id, n)).collect();
        let mut saved = Vec::new();
        for (_, object) in objects {
            let made = match (&lost, &object.made) {
                (Some(_), _) => MadeState::Invalid(Vec::new()),
                (None, made) => save_object(&mut self.device, watch, sink, object, made, &numbers)?,
            };
            saved.push(ObjectState {
                handle: object.handle,
                made,
            });
        }
        Ok(DeviceState {
            descriptor: self.device.descriptor.to_bytes(),
            lost,
            submitted: self.device.submitted,
            objects: saved,
        })
    }
}

fn save_object(
    device: &mut Device,
    watch: &Watch<'_>,
    sink: &mut dyn BlobSink,
    object: &Object,
    made: &Made,
    numbers: &HashMap<Id, u32>,
) -> Result<MadeState, Error> {
    let mut recipe = object.recipe.clone();
    for id in references::handles_mut(&mut recipe) {
        *id = numbers.get(id).copied().unwrap_or(0);
    }
    let descriptor = recipe.to_bytes();
    Ok(match (made, &recipe) {
        (Made::Buffer(buffer), _) => MadeState::Buffer {
            descriptor,
            mapped: buffer.mapped,
            content: match buffer.destroyed {
                true => ContentState::Destroyed,
                false => {
                    let mut content = buffer.content.borrow_mut();
                    save_content(&mut content, sink, |sink| {
                        let (buffer, size) = (&buffer.buffer, buffer.size);
                        let reader = ContentReader::of_buffer(device, watch, buffer, size);
                        put(reader, sink)
                    })?
                }
            },
        },
        (Made::Texture(texture), Descriptor::Texture(of)) => MadeState::Texture {
            descriptor,
            content: match texture.destroyed {
                true => ContentState::Destroyed,
                false => {
                    let mut content = texture.content.borrow_mut();
                    if *content == Content::Written
                        && let Some(why) = texels::cannot_be_moved(of)
                    {
                        let object = object.describe();
                        return Err(Error::NotSaveable { object, why });
                    }
                    save_content(&mut content, sink, |sink| {
                        let texture = &texture.texture;
                        let reader = ContentReader::of_texture(device, watch, texture, of);
                        put(reader, sink)
                    })?
                }
            },
        },
        (Made::QuerySet(set), _) => MadeState::QuerySet {
            descriptor,
            destroyed: set.destroyed,
            results: results(device, watch, set).map_err(failure)?,
        },
        (Made::Invalid(info), _) => MadeState::Invalid(encoded(info)),
        _ => MadeState::Plain(recipe.kind() as u32, descriptor),
    })
}

/// Saves content that has changed, or that `sink` does not have.
fn save_content(
    content: &mut Content,
    sink: &mut dyn BlobSink,
    read: impl FnOnce(&mut dyn BlobSink) -> Result<Blob, Error>,
) -> Result<ContentState, Error> {
    match content {
        Content::Zero => return Ok(ContentState::Zero),
        Content::Saved(blob) if sink.keep(blob) => return Ok(ContentState::Bytes(blob.clone())),
        Content::Saved(_) | Content::Written => {}
    }
    let blob = read(sink)?;
    *content = Content::Saved(blob.clone());
    Ok(ContentState::Bytes(blob))
}

fn put(reader: Result<ContentReader<'_>, Failed>, sink: &mut dyn BlobSink) -> Result<Blob, Error> {
    let mut reader = reader.map_err(failure)?;
    sink.put(&mut reader)
        .map_err(|error| match reader.failed.take() {
            Some(failed) => failure(failed),
            None => error.into(),
        })
}

/// The results of all queries that have one.
fn results(
    device: &mut Device,
    watch: &Watch<'_>,
    set: &QuerySet,
) -> Result<Vec<(u32, u64)>, Failed> {
    let mut results = BTreeMap::new();
    if set.destroyed {
        return Ok(Vec::new());
    }
    for (run, is_written) in runs(set, 0..set.count) {
        let bytes = u64::from(run.end - run.start) * 8;
        let (from, at) = match (&set.restored, is_written) {
            (_, true) => {
                let scratch = scratch(&device.device, bytes);
                let mut encoder = device.device.create_command_encoder(&Default::default());
                encoder.resolve_query_set(&set.set, run.clone(), &scratch, 0);
                device.hand_over([encoder.finish()]);
                device.take_error()?;
                (scratch, 0)
            }
            (Some(restored), false) => (restored.clone(), u64::from(run.start) * 8),
            (None, false) => continue,
        };
        let mut words = Vec::new();
        let mut download = Download::new(device, buffer_copies(&from, at, bytes))?;
        while download.next(device, watch, &mut |part| words.extend_from_slice(part))? {}
        let (values, _) = words.as_chunks::<8>();
        let values = values.iter().map(|bytes| u64::from_le_bytes(*bytes));
        results.extend(
            run.zip(values)
                .filter(|(_, value)| is_written || *value != 0),
        );
    }
    Ok(results.into_iter().collect())
}

pub(crate) fn failure(failed: Failed) -> Error {
    match failed {
        Failed::Error(_, message) | Failed::Shader(_, message, _) => Error::Failed(message),
        Failed::Fault(fault) => Error::Failed(fault.to_string()),
    }
}

fn encoded(record: &impl Wire) -> Vec<u8> {
    let mut to = Writer::new();
    record.encode(&mut to);
    to.into_bytes()
}
