//! The objects of a guest: found by handle, kept as long as something depends on them.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};

use wherry_gpu_abi::{Command, Handle};

use crate::fault::Failed;
use crate::object::{BindGroup, Buffer, Id, Made, Mapped, Object, QuerySet, Texture, TextureView};

/// All objects of a device.
pub(crate) struct Table {
    objects: Vec<Option<Object>>,
    /// Places of `objects` that are empty.
    free: Vec<Id>,
    ids: HashMap<Handle, Id, Seed>,
    created: u64,
    /// How many buffers are mapped.
    pub(crate) mapped: u32,
    /// Bytes of buffers and textures.
    pub(crate) bytes: u64,
    /// Bytes of descriptors.
    pub(crate) recipe_bytes: u64,
}

impl Table {
    pub(crate) fn new() -> Self {
        Self {
            objects: Vec::new(),
            free: Vec::new(),
            ids: HashMap::with_hasher(Seed::new()),
            created: 0,
            mapped: 0,
            bytes: 0,
            recipe_bytes: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.objects.len() - self.free.len()
    }

    pub(crate) fn has(&self, handle: Handle) -> bool {
        self.ids.contains_key(&handle)
    }

    /// The object with this handle.
    pub(crate) fn id(&self, handle: Handle) -> Result<Id, Failed> {
        match self.ids.get(&handle) {
            Some(id) => Ok(*id),
            None => Err(Failed::validation(format!("there is no object {handle}"))),
        }
    }

    pub(crate) fn object(&self, id: Id) -> Result<&Object, Failed> {
        let place = (id as usize).wrapping_sub(1);
        match self.objects.get(place) {
            Some(Some(object)) => Ok(object),
            _ => Err(Failed::validation("there is no such object")),
        }
    }

    pub(crate) fn object_mut(&mut self, id: Id) -> Result<&mut Object, Failed> {
        let place = (id as usize).wrapping_sub(1);
        match self.objects.get_mut(place) {
            Some(Some(object)) => Ok(object),
            _ => Err(Failed::validation("there is no such object")),
        }
    }

    /// Puts an object in. Its parents stay as long as it does.
    pub(crate) fn insert(&mut self, mut object: Object) -> Id {
        self.created += 1;
        object.order = self.created;
        for parent in &object.parents {
            if let Ok(parent) = self.object_mut(*parent) {
                parent.dependents += 1;
            }
        }
        self.bytes += object.bytes;
        self.recipe_bytes += object.recipe_bytes;
        let handle = object.handle;
        let id = match self.free.pop() {
            Some(id) => {
                self.objects[id as usize - 1] = Some(object);
                id
            }
            None => {
                self.objects.push(Some(object));
                Id::try_from(self.objects.len()).unwrap_or(Id::MAX)
            }
        };
        if handle != 0 {
            self.ids.insert(handle, id);
        }
        id
    }

    /// Frees the handle, and what nothing depends on any more.
    pub(crate) fn drop_handle(&mut self, handle: Handle) {
        let Some(id) = self.ids.remove(&handle) else {
            return;
        };
        if let Ok(object) = self.object_mut(id) {
            object.handle = 0;
        }
        let mut left = vec![id];
        while let Some(id) = left.pop() {
            let is_needed = |object: &Object| object.handle != 0 || object.dependents != 0;
            if self.object(id).map_or(true, is_needed) {
                continue;
            }
            let Some(object) = self.objects[id as usize - 1].take() else {
                continue;
            };
            self.free.push(id);
            self.bytes -= object.bytes;
            self.recipe_bytes -= object.recipe_bytes;
            self.mapped -= u32::from(object.made.is_mapped());
            for parent in object.parents {
                if let Ok(object) = self.object_mut(parent) {
                    object.dependents -= 1;
                    left.push(parent);
                }
            }
        }
    }

    /// Notes what of a buffer is mapped.
    pub(crate) fn set_mapped(&mut self, id: Id, new: Option<Mapped>) -> Result<(), Failed> {
        let object = self.object_mut(id)?;
        let was_mapped = object.made.is_mapped();
        if let Made::Buffer(buffer) = &mut object.made {
            buffer.mapped = new;
        }
        self.mapped = self.mapped - u32::from(was_mapped) + u32::from(new.is_some());
        Ok(())
    }

    /// All objects, the older first: parents before what depends on them.
    pub(crate) fn in_order(&self) -> Vec<(Id, &Object)> {
        let mut all: Vec<(Id, &Object)> = (1..)
            .zip(&self.objects)
            .filter_map(|(id, object)| Some((id, object.as_ref()?)))
            .collect();
        all.sort_by_key(|(_, object)| object.order);
        all
    }

    fn wrong(&self, id: Id, wanted: &str) -> Failed {
        match self.object(id) {
            Ok(object) => Failed::validation(match object.made {
                Made::Invalid(_) => format!("the {wanted} is invalid: making it had failed"),
                _ => format!("{} is no {wanted}", object.describe()),
            }),
            Err(failed) => failed,
        }
    }
}

macro_rules! lookups {
    ($($name:ident: $variant:ident($text:literal) -> $type:ty;)*) => {
        impl Table {
            $(pub(crate) fn $name(&self, id: Id) -> Result<&$type, Failed> {
                match self.object(id) {
                    Ok(Object { made: Made::$variant(made, ..), .. }) => Ok(made),
                    _ => Err(self.wrong(id, $text)),
                }
            })*
        }
    };
}

lookups! {
    buffer: Buffer("buffer") -> Buffer;
    texture: Texture("texture") -> Texture;
    view: TextureView("texture view") -> TextureView;
    sampler: Sampler("sampler") -> wgpu::Sampler;
    query_set: QuerySet("query set") -> QuerySet;
    shader_module: ShaderModule("shader module") -> wgpu::ShaderModule;
    bind_group_layout: BindGroupLayout("bind group layout") -> wgpu::BindGroupLayout;
    pipeline_layout: PipelineLayout("pipeline layout") -> wgpu::PipelineLayout;
    bind_group: BindGroup("bind group") -> BindGroup;
    compute_pipeline: ComputePipeline("compute pipeline") -> wgpu::ComputePipeline;
    render_pipeline: RenderPipeline("render pipeline") -> wgpu::RenderPipeline;
    render_bundle: RenderBundle("render bundle") -> Vec<Command>;
}

/// Spreads handles with a secret, so that a guest cannot choose ones that fall together.
#[derive(Clone, Copy)]
struct Seed(u64);

impl Seed {
    fn new() -> Self {
        Self(RandomState::new().hash_one(0_u32) | 1)
    }
}

impl BuildHasher for Seed {
    type Hasher = Spread;

    fn build_hasher(&self) -> Spread {
        Spread {
            seed: self.0,
            hash: 0,
        }
    }
}

struct Spread {
    seed: u64,
    hash: u64,
}

impl Hasher for Spread {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32(u32::from(*byte));
        }
    }

    fn write_u32(&mut self, value: u32) {
        let product = u128::from(self.hash ^ u64::from(value)) * u128::from(self.seed);
        let bytes = product.to_le_bytes();
        let (low, high) = bytes.split_at(8);
        let half = |half: &[u8]| {
            half.iter()
                .rev()
                .fold(0, |all, byte| all << 8 | u64::from(*byte))
        };
        self.hash = half(low) ^ half(high);
    }

    fn finish(&self) -> u64 {
        self.hash
    }
}
