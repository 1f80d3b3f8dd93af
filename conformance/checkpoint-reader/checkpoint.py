"""The checkpoint format: sections, their fields, and the content of chunks.

Written from docs/checkpoint-format.md alone, to prove that the page is enough: it shares no
code with Wherry. It verifies everything that the page asks a reader to verify, and raises
`Refused` for what is no checkpoint. `read.py` shows what is found.
"""

import hashlib

MAGIC = b"WHERRYCP"
HEADER, ENTRY, INDEX_ENTRY, PAGE, MAX_STORED = 64, 56, 72, 1 << 16, 65824
MANDATORY, IDENTITY = 1, 2
MIB = 1 << 20

# kind: name, flags, largest length, whether every checkpoint has it
KINDS = {
    1: ("workload", 3, 4096, True),
    2: ("execution", 3, 256 * MIB, True),
    3: ("memories", 3, 64 * MIB, True),
    4: ("wasi", 3, 64 * MIB, True),
    5: ("settings", 1, 16 * MIB, True),
    6: ("accounting", 1, 4096, True),
    7: ("lineage", 1, 4096, True),
    8: ("chunk index", 1, 256 * MIB, True),
    9: ("chunks", 1, 1 << 64, True),
    10: ("bases", 1, 4096, False),
    11: ("profile", 3, 4096, False),
    12: ("encryption", 1, 4096, False),
    14: ("usage", 0, 4096, False),
    13: ("gpu", 3, 256 * MIB, False),
    15: ("gpu use", 1, 4096, False),
}
CHUNK_INDEX, CHUNKS, ENCRYPTION = 8, 9, 12


class Refused(Exception):
    """The file is no checkpoint that this reader reads."""


def sha256(content):
    return hashlib.sha256(content).digest()


def check(condition, reason):
    if not condition:
        raise Refused(reason)


def number(content, start, size):
    return int.from_bytes(content[start : start + size], "little")


# --- the file ---------------------------------------------------------------


class File:
    """The header, the section table, and the sections with their digests checked."""

    def __init__(self, content):
        check(len(content) >= HEADER, "it ends in the header")
        check(content[:8] == MAGIC, "it is no checkpoint")
        version = number(content, 8, 4)
        check(version == 1, f"its format version is {version}")
        check(number(content, 12, 4) == 0, "bytes 12 to 15 are not zero")
        offset, length = number(content, 16, 8), number(content, 24, 8)
        check(length <= 64 * ENTRY and length % ENTRY == 0, "the section table has a wrong length")
        check(offset >= HEADER and offset + length == len(content), "the section table is not at the end")
        table = content[offset:]
        check(sha256(table) == content[32:64], "the section table has another digest")
        self.content, self.digest = content, sha256(table)
        self.entries = [
            {
                "kind": number(table, at, 4),
                "flags": number(table, at + 4, 4),
                "offset": number(table, at + 8, 8),
                "length": number(table, at + 16, 8),
                "digest": table[at + 24 : at + ENTRY],
            }
            for at in range(0, length, ENTRY)
        ]
        self.check_kinds()
        self.check_places(offset)
        check(self.entry(ENCRYPTION) is None, "it is encrypted, and this reader has no keys")
        for entry in self.entries:
            kind = entry["kind"]
            expected = bytes(32) if kind == CHUNKS else sha256(self.bytes(entry))
            check(kind not in KINDS or entry["digest"] == expected, f"section {kind} has another digest")

    def check_kinds(self):
        kinds = [entry["kind"] for entry in self.entries]
        check(kinds == sorted(set(kinds)), "the kinds do not ascend")
        for entry in self.entries:
            kind, flags = entry["kind"], entry["flags"]
            if kind not in KINDS:
                check(flags == 0, f"section {kind} is unknown and must be understood")
                continue
            name, expected, limit, _ = KINDS[kind]
            check(flags == expected, f"section {name} has the flags {flags}")
            check(entry["length"] <= limit, f"section {name} is too large")
        missing = [KINDS[kind][0] for kind in KINDS if KINDS[kind][3] and kind not in kinds]
        check(not missing, f"sections are missing: {missing}")

    def check_places(self, table):
        end = HEADER
        for entry in sorted(self.entries, key=lambda entry: (entry["offset"], entry["length"])):
            check(entry["offset"] == end, "sections overlap or leave a gap")
            end += entry["length"]
        check(end == table, "the sections do not reach the section table")

    def bytes(self, entry):
        return self.content[entry["offset"] : entry["offset"] + entry["length"]]

    def entry(self, kind):
        return next((entry for entry in self.entries if entry["kind"] == kind), None)

    def state_digest(self):
        state = b"wherry state 1\0"
        for entry in self.entries:
            if entry["flags"] & IDENTITY:
                state += entry["kind"].to_bytes(4, "little") + entry["length"].to_bytes(8, "little")
                state += entry["digest"]
        return sha256(state)


# --- postcard ---------------------------------------------------------------
#
# A decoder takes a `Section` and returns a value. A value has one encoding, which the
# decoders make sure of where they could accept another one.


class Section:
    def __init__(self, name, content):
        self.name, self.content, self.at = name, content, 0

    def take(self, length):
        check(self.at + length <= len(self.content), f"section {self.name} ends too early")
        self.at += length
        return self.content[self.at - length : self.at]


def unsigned(bits):
    def decode(section):
        value = shift = 0
        while True:
            byte = section.take(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
            shift += 7
        check(value < 1 << bits, f"section {section.name} has a number that is too large")
        check(byte or not shift, f"section {section.name} has a number with padding")
        return value

    return decode


u16, u32, u64, u128 = unsigned(16), unsigned(32), unsigned(64), unsigned(128)


def boolean(section):
    byte = section.take(1)[0]
    check(byte < 2, f"section {section.name} has a bool that is none")
    return byte == 1


def digest(section):
    return section.take(32)


def string(section):
    return text(section, section.take(u64(section)))


def text(section, content):
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise Refused(f"section {section.name} has a text that is not UTF-8")


def byte_string(section):
    return section.take(u64(section))


def option(decode):
    return lambda section: decode(section) if boolean(section) else None


def sequence(decode):
    return lambda section: [decode(section) for _ in range(u64(section))]


def pair(first, second):
    return lambda section: (first(section), second(section))


def mapping(key, value):
    def decode(section):
        items = sequence(pair(key, value))(section)
        keys = [key for key, _ in items]
        check(all(a < b for a, b in zip(keys, keys[1:])), f"section {section.name} has a map out of order")
        return items

    return decode


def struct(**fields):
    return lambda section: {name: decode(section) for name, decode in fields.items()}


def variants(*decoders):
    """Each is a name and a decoder of the variant's fields, or None."""

    def decode(section):
        which = u32(section)
        check(which < len(decoders), f"section {section.name} has variant {which} of {len(decoders)}")
        name, fields = decoders[which]
        return (name, fields(section) if fields else None)

    return decode


def unit(_):
    return None


# --- the sections -----------------------------------------------------------

WORKLOAD = struct(module=digest, manifest=option(digest), instrumentation=u32)

VALUE = variants(
    ("i32", u32),
    ("i64", u64),
    ("f32", u32),
    ("f64", u64),
    ("v128", u128),
    ("funcref", option(u32)),
    ("externref", unit),
)
SLOT = variants(("local", u32), ("operand", u32))
FRAME = struct(function=u32, offset=u32, values=sequence(pair(SLOT, VALUE)))
EXECUTION = struct(
    phase=variants(("start", None), ("main", None)),
    frames=sequence(FRAME),
    globals=sequence(pair(u32, VALUE)),
    tables=sequence(sequence(option(u32))),
    dropped_data=sequence(u32),
    dropped_elements=sequence(u32),
)

RUN = struct(first=u64, pages=sequence(digest))
MEMORIES = sequence(struct(pages=u64, maximum=option(u64), runs=sequence(RUN)))

LIMITS = struct(memory_bytes=option(u64), wall_ns=option(u64), cpu_ns=option(u64))
SETTINGS = struct(
    args=sequence(string),
    env=sequence(pair(string, string)),
    mounts=sequence(struct(guest=string, read_only=boolean)),
    limits=LIMITS,
)
ACCOUNTING = struct(wall_ns=u64, cpu_ns=u64)
LINEAGE = struct(sequence=u64, parent=option(digest))
BASES = sequence(digest)
PROFILE = struct(version=u32, position=u64, start_time=u64, memory_bytes=option(u64))
USAGE = struct(
    quota=struct(
        scratch_bytes=option(u64),
        files=option(u64),
        output_bytes=option(u64),
        log_bytes=option(u64),
    ),
    stdout_bytes=u64,
    stderr_bytes=u64,
    lent_bytes=u64,
    lent_files=u64,
    read_bytes=u64,
    written_bytes=u64,
)

BLOB = struct(len=u64, digests=sequence(digest))
FILE_ID = struct(dev=u64, ino=u64)
LOCATION = variants(("path", struct(mount=u32, path=byte_string)), ("orphan", u32))
OPEN_FILE = struct(
    location=LOCATION, id=FILE_ID, read=boolean, write=boolean, position=option(pair(u64, u64))
)
OPEN_DIRECTORY = struct(
    location=LOCATION, id=FILE_ID, preopened=boolean, listing=option(sequence(byte_string))
)
OBJECT = variants(
    ("stdin", option(u64)),
    ("stdout", None),
    ("stderr", None),
    ("file", OPEN_FILE),
    ("directory", OPEN_DIRECTORY),
)
CONTENT = variants(("directory", None), ("file", BLOB), ("link", byte_string), ("symlink", byte_string))
WASI = struct(
    args=sequence(byte_string),
    env=sequence(pair(byte_string, byte_string)),
    mounts=sequence(struct(guest=string, read_only=boolean, scratch=boolean, dev=u64)),
    descriptors=mapping(u32, struct(rights=u64, inheriting=u64, flags=u16, object=OBJECT)),
    orphans=sequence(struct(mount=u32, path=byte_string, atime=u64, mtime=u64, content=option(BLOB))),
    scratch=mapping(byte_string, struct(id=FILE_ID, atime=u64, mtime=u64, content=CONTENT)),
    clocks=struct(monotonic=u64, cpu=u64),
    random=struct(seed=digest, position=u128),
    pending_poll=option(struct(subscriptions=byte_string, started=u64)),
)

# How objects are made is in the encoding of gpu-host/ABI.md.
GPU_CONTENT = variants(("zero", None), ("bytes", BLOB), ("destroyed", None))
GPU_MAPPED = struct(writes=boolean, start=u64, end=u64)
GPU_OBJECT = variants(
    ("plain", struct(kind=u32, descriptor=byte_string)),
    ("buffer", struct(descriptor=byte_string, mapped=option(GPU_MAPPED), content=GPU_CONTENT)),
    ("texture", struct(descriptor=byte_string, content=GPU_CONTENT)),
    ("query set", struct(descriptor=byte_string, destroyed=boolean, results=sequence(pair(u32, u64)))),
    ("invalid", byte_string),
)
GPU_DEVICE = struct(
    descriptor=byte_string,
    lost=option(string),
    submitted=u64,
    objects=sequence(struct(handle=u32, made=GPU_OBJECT)),
)
GPU = struct(profile=byte_string, error=byte_string, device=option(GPU_DEVICE))

DECODERS = {
    1: WORKLOAD,
    2: EXECUTION,
    3: MEMORIES,
    4: WASI,
    5: SETTINGS,
    6: ACCOUNTING,
    7: LINEAGE,
    10: BASES,
    11: PROFILE,
    14: USAGE,
    13: GPU,
    15: u64,
}


def decoded(file):
    values = {}
    for kind, decode in DECODERS.items():
        name, entry = KINDS[kind][0], file.entry(kind)
        if entry is None:
            values[name] = None
            continue
        section = Section(name, file.bytes(entry))
        values[name] = decode(section)
        check(section.at == len(section.content), f"bytes follow in section {name}")
    check((values["gpu"] is None) == (values["gpu use"] is None), "there is one of gpu and gpu use")
    return values


# --- content ----------------------------------------------------------------


def decompressor():
    try:
        from compression import zstd  # Python 3.14

        return zstd.decompress
    except ImportError:
        import zstandard

        return lambda content: zstandard.ZstdDecompressor().decompress(content, max_output_size=PAGE)


class Chunks:
    """The content of the chunks of a checkpoint and of the files that it builds on, by digest."""

    def __init__(self, files):
        self.content = {}
        for file in files:
            self.add(file)

    def add(self, file):
        index, chunks = file.bytes(file.entry(CHUNK_INDEX)), file.bytes(file.entry(CHUNKS))
        check(len(index) % INDEX_ENTRY == 0, "the chunk index is no whole number of entries")
        own, at, decompress = set(), 0, decompressor()
        for entry in range(0, len(index), INDEX_ENTRY):
            name, stored_digest = index[entry : entry + 32], index[entry + 32 : entry + 64]
            stored, length = number(index, entry + 64, 4), number(index, entry + 68, 4)
            check(name not in own, "a chunk is there twice")
            check(length <= PAGE and stored <= MAX_STORED, "a chunk is too long")
            check(at + stored <= len(chunks), "the chunk index does not describe the chunks")
            content = chunks[at : at + stored]
            check(sha256(content) == stored_digest, "a chunk has another digest")
            if stored != length:
                content = decompress(content)
            check(len(content) == length, "a chunk has another length")
            check(sha256(content) == name, "the content of a chunk has another digest")
            own.add(name)
            self.content[name], at = content, at + stored
        check(at == len(chunks), "the chunk index does not describe the chunks")

    def get(self, name):
        check(name in self.content, f"chunk {name.hex()} is missing")
        return self.content[name]

    def memory(self, memory):
        """Its pages, checked to be written in the only way there is."""
        pages, free = [], 0
        for run in memory["runs"]:
            first = run["first"]
            check(run["pages"] and first >= free, "the runs of a memory are not in order")
            pages += [bytes(PAGE)] * (first - len(pages))
            for name in run["pages"]:
                page = self.get(name)
                check(len(page) == PAGE, "a page has another length")
                check(page.count(0) != PAGE, "a page of zeros is stored")
                pages.append(page)
            free = len(pages) + 1
        check(len(pages) <= memory["pages"], "a page lies beyond its memory")
        return b"".join(pages + [bytes(PAGE)] * (memory["pages"] - len(pages)))

    def blob(self, blob):
        chunks = [self.get(name) for name in blob["digests"]]
        check(all(len(chunk) == PAGE for chunk in chunks[:-1]), "a chunk in a file is short")
        content = b"".join(chunks)
        check(len(content) == blob["len"], "a file has another length")
        return content


def bases_of(wanted, others):
    """The files that a delta builds on, from among others."""
    files = {file.digest: file for file in map(File, others)}
    check(wanted is None or 0 < len(set(wanted)) == len(wanted) <= 32, "the bases are not 1 to 32 different files")
    wanted = wanted or []
    missing = [name.hex() for name in wanted if name not in files]
    check(not missing, f"it builds on files that are not here: {missing}")
    return [files[name] for name in wanted]
