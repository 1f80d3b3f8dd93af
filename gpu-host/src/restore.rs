//! Restoring what was saved, on whatever adapter there is. What was saved may be anything.

use std::time::Duration;

use wherry_gpu_abi::{
    AdapterRecord, CompilationInfo, DecodeError, Descriptor, DeviceDescriptor, ErrorRecord, Kind,
    Reader, Wire,
};
use wherry_snapshot::{Blob, BlobSource};

use crate::content::ContentWriter;
use crate::device::{Device, Watch};
use crate::fault::Failed;
use crate::gpu::{Gpu, Lent, Open, RECIPE_BYTES};
use crate::object::{Content, Id, Made, Object};
use crate::save::failure;
use crate::state::{ContentState, DeviceState, GpuState, MadeState};
use crate::table::Table;
use crate::{Error, Interrupted, Quota, Request, Settings, references, staging, texels};

impl GpuState {
    /// What the job has beyond the portable profile.
    ///
    /// # Errors
    /// If what was saved is damaged.
    pub fn request(&self) -> Result<Request, Error> {
        let profile: AdapterRecord = decoded("the profile", &self.profile)?;
        let mut request = Request::default();
        request.add(&profile.features, &profile.limits);
        Ok(request)
    }
}

impl Gpu {
    /// Chooses an adapter for a job that was saved. The job has what it declared when it was
    /// started, and what is declared now. Its objects are [restored](Gpu::restore) then.
    ///
    /// # Errors
    /// If the adapter lacks what the job has, or what was saved is damaged.
    pub fn resumed(
        state: &GpuState,
        used: Duration,
        mut settings: Settings,
        interrupted: Interrupted,
    ) -> Result<Self, Error> {
        let Request { features, limits } = state.request()?;
        settings.request.add(&features, &limits);
        let mut gpu = Self::new(settings, interrupted)?;
        gpu.error = decoded::<ErrorRecord>("the last error", &state.error)?;
        gpu.used_before = used;
        Ok(gpu)
    }

    /// Makes all that was saved again, under the same handles.
    ///
    /// # Errors
    /// If an object cannot be made here, the job would have more than it may, or what was saved is
    /// damaged.
    pub fn restore(&mut self, state: &GpuState, source: &dyn BlobSource) -> Result<(), Error> {
        match &state.device {
            Some(saved) => self.restore_device(saved, source),
            None => Ok(()),
        }
    }

    fn restore_device(
        &mut self,
        saved: &DeviceState,
        source: &dyn BlobSource,
    ) -> Result<(), Error> {
        let descriptor = DeviceDescriptor::from_bytes(&saved.descriptor)
            .map_err(|error| malformed("the descriptor of the device", error))?;
        let Ok(Lent { adapter, .. }) = &self.lent else {
            return Err(Error::NoAdapter);
        };
        adapter.check(&descriptor.features, &descriptor.limits)?;
        let device = Device::open(adapter, descriptor)?;
        let mut open = Open {
            device,
            table: Table::new(),
        };
        open.device.submitted = saved.submitted;
        let quota = Quota {
            bytes: self.bytes_allowed(),
            gpu_time: None,
            ..self.settings.quota
        };
        let watch = Watch {
            quota: &quota,
            used_before: Duration::ZERO,
            interrupted: &|| false,
            until: None,
        };
        if saved.objects.len() > quota.objects as usize {
            let what = format!("{} objects", saved.objects.len());
            return Err(Error::Quota { what });
        }
        for (number, object) in (1..).zip(&saved.objects) {
            let handle = object.handle;
            if handle != 0 && open.table.has(handle) {
                return Err(Error::Damaged(format!("handle {handle} is there twice")));
            }
            open.restore_object(number, handle, &object.made, &watch, source)?;
        }
        open.device.wait_idle(&watch).map_err(failure)?;
        if let Some(why) = &saved.lost {
            open.device.lose(why);
        }
        self.peak_bytes = open.table.bytes;
        self.open = Some(open);
        Ok(())
    }
}

impl Open {
    /// Objects are made in the order of their numbers, which become their places in the table.
    fn restore_object(
        &mut self,
        number: Id,
        handle: u32,
        saved: &MadeState,
        watch: &Watch<'_>,
        source: &dyn BlobSource,
    ) -> Result<(), Error> {
        let (kind, bytes) = match saved {
            MadeState::Plain(kind, bytes) => (*kind, bytes),
            MadeState::Buffer { descriptor, .. } => (Kind::Buffer as u32, descriptor),
            MadeState::Texture { descriptor, .. } => (Kind::Texture as u32, descriptor),
            MadeState::QuerySet { descriptor, .. } => (Kind::QuerySet as u32, descriptor),
            MadeState::Invalid(info) => return self.restore_invalid(handle, info),
        };
        let kind = Kind::from_number(kind)
            .ok_or_else(|| Error::Damaged(format!("there is no kind {kind}")))?;
        if self.table.recipe_bytes >= RECIPE_BYTES {
            let what = "descriptions of objects".to_owned();
            return Err(Error::Quota { what });
        }
        let mut recipe = Descriptor::from_bytes(kind, bytes)
            .map_err(|error| malformed("the recipe of an object", error))?;
        if references::handles_mut(&mut recipe)
            .iter()
            .any(|id| **id >= number)
        {
            return Err(Error::Damaged(
                "an object depends on a later one".to_owned(),
            ));
        }
        let cannot = |failed: Failed| {
            let name = format!("{kind:?} {handle} {:?}", references::label(&recipe));
            Error::Failed(format!("{name}: {}", failure(failed)))
        };
        let (mut made, mut size) = self
            .make_named(&recipe, watch.quota.bytes)
            .map_err(cannot)?;
        self.restore_content(&mut made, &recipe, saved, watch, source)?;
        if is_destroyed(&made) {
            size = 0;
        }
        self.table.mapped += u32::from(made.is_mapped());
        self.table.insert(Object {
            handle,
            parents: references::parents(&recipe),
            recipe,
            dependents: 0,
            order: 0,
            bytes: size,
            recipe_bytes: bytes.len() as u64,
            made,
        });
        Ok(())
    }

    fn restore_invalid(&mut self, handle: u32, info: &[u8]) -> Result<(), Error> {
        let info = match info {
            [] => CompilationInfo {
                messages: Vec::new(),
            },
            bytes => decoded("the messages of a shader", bytes)?,
        };
        self.table.insert(Object {
            handle,
            recipe: references::nothing(),
            parents: Vec::new(),
            dependents: 0,
            order: 0,
            bytes: 0,
            recipe_bytes: 0,
            made: Made::Invalid(info),
        });
        Ok(())
    }

    fn restore_content(
        &mut self,
        made: &mut Made,
        recipe: &Descriptor,
        saved: &MadeState,
        watch: &Watch<'_>,
        source: &dyn BlobSource,
    ) -> Result<(), Error> {
        let device = &mut self.device;
        match (made, saved, recipe) {
            (
                Made::Buffer(buffer),
                MadeState::Buffer {
                    mapped, content, ..
                },
                _,
            ) => {
                if mapped
                    .is_some_and(|mapped| mapped.start > mapped.end || mapped.end > buffer.size)
                {
                    return Err(Error::Damaged(
                        "a buffer is mapped beyond its end".to_owned(),
                    ));
                }
                buffer.mapped = *mapped;
                match content {
                    ContentState::Zero => {}
                    ContentState::Bytes(blob) => {
                        check_length(blob, buffer.size)?;
                        let (of, size) = (&buffer.buffer, buffer.size);
                        fill(
                            ContentWriter::of_buffer(device, watch, of, size),
                            blob,
                            source,
                        )?;
                        buffer.content.replace(Content::Saved(blob.clone()));
                    }
                    ContentState::Destroyed => {
                        buffer.destroyed = true;
                        buffer.mapped = None;
                        buffer.buffer.destroy();
                    }
                }
            }
            (
                Made::Texture(texture),
                MadeState::Texture { content, .. },
                Descriptor::Texture(of),
            ) => match content {
                ContentState::Zero => {}
                ContentState::Bytes(blob) => {
                    if texels::cannot_be_moved(of).is_some() {
                        return Err(Error::Damaged("a texture has content".to_owned()));
                    }
                    check_length(blob, texels::content_bytes(of))?;
                    let to = &texture.texture;
                    fill(
                        ContentWriter::of_texture(device, watch, to, of),
                        blob,
                        source,
                    )?;
                    texture.content.replace(Content::Saved(blob.clone()));
                }
                ContentState::Destroyed => {
                    texture.destroyed = true;
                    texture.texture.destroy();
                }
            },
            (
                Made::QuerySet(set),
                MadeState::QuerySet {
                    destroyed, results, ..
                },
                _,
            ) => {
                set.destroyed = *destroyed;
                if !results.is_empty() && !destroyed {
                    set.restored = Some(restore_results(device, watch, set.count, results)?);
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// A buffer with the results of a query set, zero where there is none.
fn restore_results(
    device: &mut Device,
    watch: &Watch<'_>,
    count: u32,
    results: &[(u32, u64)],
) -> Result<wgpu::Buffer, Error> {
    let mut bytes = vec![0; count as usize * 8];
    for (query, value) in results {
        let at = *query as usize * 8;
        let place = bytes.get_mut(at..at + 8);
        let place = place.ok_or_else(|| Error::Damaged("there is no such query".to_owned()))?;
        place.copy_from_slice(&value.to_le_bytes());
    }
    let buffer = device.device.create_buffer(&wgpu::BufferDescriptor {
        label: None,
        size: bytes.len() as u64,
        usage: wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    });
    staging::write_buffer(device, watch, &buffer, 0, &bytes).map_err(failure)?;
    Ok(buffer)
}

fn fill(mut to: ContentWriter<'_>, blob: &Blob, source: &dyn BlobSource) -> Result<(), Error> {
    source
        .read(blob, &mut to)
        .map_err(|error| match to.failed.take() {
            Some(failed) => failure(failed),
            None => error.into(),
        })
}

fn check_length(blob: &Blob, expected: u64) -> Result<(), Error> {
    if blob.len == expected {
        return Ok(());
    }
    Err(Error::Damaged(format!(
        "the content of an object has {} bytes, not {expected}",
        blob.len
    )))
}

fn is_destroyed(made: &Made) -> bool {
    match made {
        Made::Buffer(buffer) => buffer.destroyed,
        Made::Texture(texture) => texture.destroyed,
        _ => false,
    }
}

fn decoded<T: Wire>(what: &str, bytes: &[u8]) -> Result<T, Error> {
    let mut from = Reader::new(bytes);
    let value = T::decode(&mut from).map_err(|error| malformed(what, error))?;
    from.end().map_err(|error| malformed(what, error))?;
    Ok(value)
}

fn malformed(what: &str, error: DecodeError) -> Error {
    Error::Damaged(format!("{what} is malformed: {error}"))
}
