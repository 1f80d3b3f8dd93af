//! A job's state on its way to a file: captured while the program is stopped, written while it
//! may run on.

use std::collections::BTreeSet;
use std::io::{Seek, Write};

use wherry_memory::{Changed, Image};
use wherry_snapshot::{Base, Contents, Memory, Summary, Writer};

use crate::Error;
use crate::instance::Instance;

/// Whether a checkpoint stands on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// It does.
    Full,
    /// It may build on the one that the job was told to build on, if that saves enough.
    Delta,
}

/// The state of a job at one moment. The files that the job has are in the checkpoint already;
/// the memories are written by [`Capture::write`], from any thread, while the job runs on.
/// Until that is done, or this is dropped, the job cannot be captured again.
pub struct Capture<W: Write + Seek> {
    pub(crate) number: u64,
    pub(crate) writer: Writer<W>,
    pub(crate) memories: Vec<CapturedMemory>,
    /// The checkpoint that this one builds on.
    pub(crate) base: Option<Base>,
    /// Without the memories.
    pub(crate) contents: Contents,
    /// How the memories were watched.
    pub(crate) tracking: Option<String>,
}

/// A memory as it was at that moment.
pub(crate) struct FrozenMemory {
    image: Image,
    maximum: Option<u64>,
    /// The pages that are not as in the base, or without one not zero.
    changed: Vec<u64>,
}

/// The memories at that moment, and the checkpoint to build on. One that the system cannot set
/// aside has to be stored before the program runs on; then there is no base.
pub(crate) struct Held {
    pub(crate) memories: Vec<Option<FrozenMemory>>,
    pub(crate) base: Option<Base>,
}

/// A memory that is captured.
pub(crate) enum CapturedMemory {
    Frozen(FrozenMemory),
    Stored(Memory),
}

/// A checkpoint that was written.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// What was written.
    pub summary: Summary,
    /// Its number among those of the job.
    pub sequence: u64,
    pub(crate) number: u64,
    pub(crate) base: Base,
}

impl<W: Write + Seek> Capture<W> {
    /// Whether it stands on its own.
    #[must_use]
    pub fn extent(&self) -> Extent {
        match self.base {
            Some(_) => Extent::Delta,
            None => Extent::Full,
        }
    }

    /// Its number among those of the job.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.contents.lineage.sequence
    }

    /// How the pages were found that had changed, if the job has a memory.
    #[must_use]
    pub fn tracking(&self) -> Option<&str> {
        self.tracking.as_deref()
    }

    /// Writes the memories and completes the file. Tell the job afterwards, with
    /// [`Job::written`](crate::Job::written).
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write(self) -> Result<Checkpoint, Error> {
        let Capture {
            number,
            mut writer,
            memories,
            base,
            mut contents,
            ..
        } = self;
        let before = base.as_ref().map_or(&[][..], Base::memories);
        for (index, memory) in memories.into_iter().enumerate() {
            contents.memories.push(match memory {
                CapturedMemory::Frozen(memory) => {
                    let (content, maximum) = (memory.image.bytes(), memory.maximum);
                    let before = before.get(index);
                    writer.changed_memory(content, maximum, before, &memory.changed)?
                }
                CapturedMemory::Stored(memory) => memory,
            });
        }
        let written = writer.finish(&contents)?;
        Ok(Checkpoint {
            summary: written.summary,
            sequence: contents.lineage.sequence,
            number,
            base: written.base,
        })
    }
}

/// What the next checkpoint can build on, and what has changed since.
#[derive(Default)]
pub(crate) struct History {
    base: Option<Base>,
    /// The pages of each memory that were written between the base and the last capture.
    changed: Vec<BTreeSet<u64>>,
    /// How many captures there were.
    pub(crate) captures: u64,
}

impl History {
    /// Builds on `base` from now on: the memories are what they are there.
    pub(crate) fn build_on(&mut self, base: Base) {
        self.base = Some(base);
        self.changed.clear();
    }

    /// Builds on the last capture, if this is the checkpoint that was made of it.
    pub(crate) fn written(&mut self, checkpoint: &Checkpoint) {
        if checkpoint.number == self.captures {
            self.build_on(checkpoint.base.clone());
        }
    }

    /// Sets the memories aside where the system can do that, and says which checkpoint to
    /// build on to store them.
    pub(crate) fn freeze(&mut self, instance: &Instance, extent: Extent) -> Result<Held, Error> {
        let mut images = Vec::new();
        self.changed
            .resize_with(instance.linear.len(), BTreeSet::new);
        for (linear, changed) in instance.linear.iter().zip(&mut self.changed) {
            let frozen = match linear.lock().freeze() {
                Err(error @ wherry_memory::Error::ImageInUse) => return Err(error.into()),
                frozen => frozen.ok(),
            };
            match frozen.as_ref().map(|frozen| &frozen.changed) {
                Some(Changed::Chunks(chunks)) => {
                    changed.extend(chunks.iter().map(|chunk| u64::from(*chunk)));
                }
                Some(Changed::Everything) | None => self.base = None,
            }
            images.push(frozen.map(|frozen| frozen.image));
        }
        self.captures += 1;
        let base = self.base.clone();
        let base = base.filter(|base| extent == Extent::Delta && self.is_worth_it(base, &images));
        let memories = instance.handles.memories.iter().zip(images).enumerate();
        let memories = memories.map(|(index, (memory, image))| {
            let image = image?;
            Some(FrozenMemory {
                changed: match &base {
                    Some(_) => self.changed[index].iter().copied().collect(),
                    None => image.data_chunks().map(u64::from).collect(),
                },
                maximum: memory.ty(&instance.store).maximum(),
                image,
            })
        });
        Ok(Held {
            memories: memories.collect(),
            base,
        })
    }

    /// Whether a delta is small enough, and its base fit for one more.
    fn is_worth_it(&self, base: &Base, images: &[Option<Image>]) -> bool {
        let changed: usize = self.changed.iter().map(BTreeSet::len).sum();
        let images = images.iter().flatten();
        let all: usize = images.map(|image| image.data_chunks().count()).sum();
        !base.is_exhausted() && changed <= all / 2
    }
}
