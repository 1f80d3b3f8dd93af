//! Memories behave like arrays of bytes, and images like copies of them, however writes are
//! tracked.

#![expect(clippy::print_stdout, reason = "what is skipped is said aloud")]

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use proptest::prelude::*;
use wherry_memory::{CHUNK_SIZE, Changed, Error, Image, Memory, Tracking};

const WASM_PAGE: usize = 1 << 16;
const RESERVED: usize = 160 * WASM_PAGE;
/// Some memories grow beyond what is reserved.
const LARGEST: usize = 200 * WASM_PAGE;

/// Those that work here; what does not is said aloud.
fn trackings() -> Vec<Tracking> {
    let all = [
        Tracking::WriteProtect,
        Tracking::PrivatePages,
        Tracking::Pagemap,
        Tracking::Compare,
    ];
    let (work, fail): (Vec<_>, Vec<_>) = all.into_iter().partition(|tracking| tracking.works());
    for tracking in fail {
        println!("SKIPPED: {tracking} does not work on this machine");
    }
    work
}

#[derive(Clone, Debug)]
enum Step {
    Write {
        at: usize,
        length: usize,
        byte: u8,
    },
    Read {
        at: usize,
    },
    Grow {
        pages: usize,
    },
    Freeze {
        keep: bool,
    },
    Restore {
        pages: usize,
        writes: Vec<(usize, u8)>,
    },
    /// Another memory takes its place.
    Replace {
        pages: usize,
    },
    /// Loses what is known, as a freeze that fails does.
    Forget,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    // Few different places, so that steps meet.
    let place = || {
        (0..20usize, 0..3 * 4096usize).prop_map(|(place, offset)| place * 9 * CHUNK_SIZE + offset)
    };
    let step = prop_oneof![
        8 => (place(), 1..3 * CHUNK_SIZE, 0..3u8)
            .prop_map(|(at, length, byte)| Step::Write { at, length, byte }),
        4 => (place(), 1..100usize, 0..3u8)
            .prop_map(|(at, length, byte)| Step::Write { at, length, byte }),
        2 => place().prop_map(|at| Step::Read { at }),
        2 => (0..40usize).prop_map(|pages| Step::Grow { pages }),
        6 => any::<bool>().prop_map(|keep| Step::Freeze { keep }),
        1 => (1..100usize, prop::collection::vec((place(), 0..3u8), 0..6))
            .prop_map(|(pages, writes)| Step::Restore { pages, writes }),
        1 => (0..100usize).prop_map(|pages| Step::Replace { pages }),
        1 => Just(Step::Forget),
    ];
    prop::collection::vec(step, 1..40)
}

/// A memory, and what should be in it.
struct Modelled {
    memory: Memory,
    tracking: Tracking,
    bytes: Vec<u8>,
    /// What it was when it was last frozen, if a freeze can know.
    base: Option<Vec<u8>>,
    /// Chunks that were written since.
    written: BTreeSet<u32>,
    /// The last image and what it should show.
    image: Option<(Image, Vec<u8>)>,
    /// Whether the memory still needs what that image shows.
    image_in_use: bool,
}

impl Modelled {
    fn new(pages: usize, tracking: Tracking) -> Self {
        let mut memory = Memory::new(pages * WASM_PAGE, RESERVED, WASM_PAGE).expect("memory");
        memory.track_by(tracking);
        Modelled {
            memory,
            tracking,
            bytes: vec![0; pages * WASM_PAGE],
            base: None,
            written: BTreeSet::new(),
            image: None,
            image_in_use: false,
        }
    }

    #[expect(unsafe_code, reason = "what a program would do")]
    fn live(&mut self) -> &mut [u8] {
        // SAFETY: it is as long as the memory, and borrowed with it.
        unsafe { std::slice::from_raw_parts_mut(self.memory.as_ptr(), self.memory.len()) }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Write { at, length, byte } => {
                let end = (at + length).min(self.bytes.len());
                let range = at.min(end)..end;
                self.live()[range.clone()].fill(byte);
                self.bytes[range.clone()].fill(byte);
                self.written
                    .extend(range.map(|at| u32::try_from(at / CHUNK_SIZE).expect("few chunks")));
            }
            Step::Read { at } => {
                let expected = self.bytes.get(at).copied();
                assert_eq!(self.live().get(at).copied(), expected);
            }
            Step::Grow { pages } => {
                let length = (self.bytes.len() + pages * WASM_PAGE).min(LARGEST);
                let moves = length > self.memory.capacity();
                self.memory.grow_to(length).expect("there is memory");
                self.bytes.resize(length, 0);
                if moves {
                    self.base = None;
                    self.image_in_use = false;
                }
            }
            Step::Freeze { keep } => self.freeze(keep),
            Step::Restore { pages, writes } => self.restore(pages * WASM_PAGE, &writes),
            Step::Replace { pages } => self.replace(pages),
            Step::Forget => {
                self.memory.track_by(self.tracking);
                self.base = None;
            }
        }
    }

    fn freeze(&mut self, keep: bool) {
        if let Some((image, expected)) = self.image.take() {
            assert!(image.bytes() == expected, "the image changed");
            if self.image_in_use {
                assert!(matches!(self.memory.freeze(), Err(Error::ImageInUse)));
            }
        }
        let frozen = self.memory.freeze().expect("it can be frozen");
        self.check_image(&frozen.image);
        match (&self.base, frozen.changed) {
            (None, Changed::Everything) => {}
            (Some(base), Changed::Chunks(chunks)) => self.check_changes(base, &chunks),
            (base, changed) => panic!("{changed:?}, but known: {}", base.is_some()),
        }
        assert_eq!(self.memory.tracking(), Some(self.tracking));
        self.base = Some(self.bytes.clone());
        self.written.clear();
        self.image_in_use = true;
        if keep {
            self.image = Some((frozen.image, self.bytes.clone()));
        }
    }

    fn restore(&mut self, length: usize, writes: &[(usize, u8)]) {
        let mut content = vec![0; length];
        let fill = |content: &mut [u8]| {
            for &(at, byte) in writes.iter().filter(|(at, _)| *at < length) {
                content[at] = byte;
            }
        };
        fill(&mut content);
        let filled = self.memory.restore::<Error>(length, |content| {
            fill(content);
            Ok(())
        });
        filled.expect("it can be restored");
        self.image_in_use = false;
        self.base = Some(content.clone());
        self.bytes = content;
        self.written.clear();
    }

    fn replace(&mut self, pages: usize) {
        let mut other = Memory::new(pages * WASM_PAGE, RESERVED, WASM_PAGE).expect("memory");
        other.track_by(self.tracking);
        let same_capacity = self.memory.capacity() == RESERVED;
        other
            .replace_by(&mut self.memory)
            .expect("it can be replaced");
        self.memory = other;
        if !same_capacity {
            self.base = None;
            self.image_in_use = false;
        }
    }

    fn check_image(&self, image: &Image) {
        let chunks = image.bytes().chunks(CHUNK_SIZE);
        assert_eq!(chunks.len(), image.chunk_count() as usize);
        let data: Vec<_> = image.data_chunks().collect();
        assert!(data.is_sorted_by(|one, next| one < next));
        for (index, chunk) in (0..).zip(chunks) {
            assert_eq!(image.has_data(index), data.binary_search(&index).is_ok());
            assert!(image.has_data(index) || chunk.iter().all(|&byte| byte == 0));
            assert!(image.chunk(index) == chunk);
        }
        assert!(image.bytes() == self.bytes, "the image is another");
    }

    fn check_changes(&self, base: &[u8], chunks: &[u32]) {
        assert!(chunks.is_sorted_by(|one, next| one < next));
        let mut base = base.to_vec();
        base.resize(self.bytes.len(), 0);
        let differs = |&chunk: &u32| {
            let range = chunk as usize * CHUNK_SIZE..(chunk as usize + 1) * CHUNK_SIZE;
            base[range.clone()] != self.bytes[range]
        };
        let count = u32::try_from(base.len() / CHUNK_SIZE).expect("few chunks");
        let expected: Vec<_> = (0..count).filter(differs).collect();
        assert_eq!(chunks, expected);
        assert!(chunks.iter().all(|chunk| self.written.contains(chunk)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn behaves_like_bytes(pages in 0..100usize, steps in steps()) {
        for tracking in trackings() {
            let mut modelled = Modelled::new(pages, tracking);
            for step in &steps {
                modelled.take(step.clone());
            }
            modelled.freeze(false);
            let expected = modelled.bytes.clone();
            prop_assert!(modelled.live() == expected, "the memory is another");
        }
    }
}

/// A thread writes all the time; the image stays what it was.
#[test]
fn an_image_does_not_change() {
    for tracking in trackings() {
        let mut modelled = Modelled::new(64, tracking);
        modelled.take(Step::Write {
            at: 0,
            length: 64 * WASM_PAGE,
            byte: 1,
        });
        modelled.freeze(false);
        modelled.take(Step::Write {
            at: WASM_PAGE,
            length: 2 * WASM_PAGE,
            byte: 2,
        });
        let frozen = modelled.memory.freeze().expect("it can be frozen");
        let (started, stop) = (AtomicBool::new(false), AtomicBool::new(false));
        #[expect(unsafe_code, reason = "what a program would do")]
        // SAFETY: bytes and atomic bytes have the same layout, and all access is atomic.
        let cells = unsafe {
            std::slice::from_raw_parts(
                modelled.memory.as_ptr().cast::<AtomicU8>(),
                modelled.memory.len(),
            )
        };
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    for cell in cells.iter().step_by(512) {
                        cell.fetch_add(1, Ordering::Relaxed);
                    }
                    started.store(true, Ordering::Release);
                }
            });
            while !started.load(Ordering::Acquire) {
                std::thread::yield_now();
            }
            for _ in 0..20 {
                assert!(
                    frozen.image.bytes() == modelled.bytes,
                    "{tracking}: the image changed"
                );
            }
            stop.store(true, Ordering::Relaxed);
        });
    }
}

/// What is behind the end cannot be accessed, whatever happened to the memory.
#[test]
fn guards_stay() {
    for tracking in trackings() {
        let mut modelled = Modelled::new(3, tracking);
        check_guards(&modelled.memory);
        let write = Step::Write {
            at: 0,
            length: 3 * WASM_PAGE,
            byte: 1,
        };
        for step in [
            write,
            Step::Freeze { keep: false },
            Step::Grow { pages: 1 },
            Step::Grow { pages: 60 },
            Step::Freeze { keep: false },
            Step::Restore {
                pages: 2,
                writes: vec![(5, 1)],
            },
            Step::Grow { pages: 1 },
            Step::Restore {
                pages: 80,
                writes: vec![(79 * WASM_PAGE, 1)],
            },
            Step::Grow { pages: 100 },
        ] {
            modelled.take(step);
            check_guards(&modelled.memory);
        }
    }
}

/// Compares with what the kernel says about the process's mappings.
fn check_guards(memory: &Memory) {
    let Ok(maps) = std::fs::read_to_string("/proc/self/maps") else {
        println!("SKIPPED: there is no /proc/self/maps");
        return;
    };
    let start = memory.as_ptr() as usize;
    let end = start + memory.len();
    let whole = start - WASM_PAGE..start + memory.capacity() + WASM_PAGE;
    let mut covered = whole.start;
    for line in maps.lines() {
        let (addresses, rest) = line.split_once(' ').expect("addresses");
        let rights = rest.split(' ').next().expect("rights");
        let (first, last) = addresses.split_once('-').expect("two addresses");
        let address = |digits| usize::from_str_radix(digits, 16).expect("a number");
        let (first, last) = (address(first), address(last));
        let (first, last) = (first.max(whole.start), last.min(whole.end));
        if first >= last {
            continue;
        }
        assert_eq!(first, covered, "nothing is unmapped");
        let accessible = (start..end).contains(&first);
        assert_eq!(rights, if accessible { "rw-p" } else { "---p" }, "{line}");
        assert!(last <= end || !accessible, "{line}");
        covered = last;
    }
    assert_eq!(covered, whole.end);
}

/// The kernel writes for the program, as a read from a file does.
#[test]
fn writes_of_the_kernel_count() {
    for tracking in trackings() {
        let mut modelled = Modelled::new(64, tracking);
        modelled.take(Step::Write {
            at: 0,
            length: 64 * WASM_PAGE,
            byte: 1,
        });
        for _ in 0..2 {
            modelled.freeze(false);
            let range = 5 * WASM_PAGE + 7..6 * WASM_PAGE + 8;
            let mut zeros = std::fs::File::open("/dev/zero").expect("it is there");
            std::io::Read::read_exact(&mut zeros, &mut modelled.live()[range.clone()])
                .expect("zeros");
            modelled.bytes[range].fill(0);
            let changed = modelled.memory.freeze().expect("it can be frozen").changed;
            assert_eq!(changed, Changed::Chunks(vec![5, 6]), "{tracking}");
            modelled.base = Some(modelled.bytes.clone());
            modelled.take(Step::Write {
                at: 5 * WASM_PAGE,
                length: 2 * WASM_PAGE,
                byte: 3,
            });
        }
        modelled.freeze(false);
    }
}
