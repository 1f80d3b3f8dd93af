#!/usr/bin/env python3
"""Reads a checkpoint, verifies all of it, and prints it as JSON.

A file that is refused gets one line on standard error and exit code 65. Needs Python 3.9 and
a zstd: the package `zstandard`, or Python 3.14.

    read.py CHECKPOINT [BASE...]
"""

import json
import sys

from checkpoint import KINDS, Chunks, File, Refused, bases_of, check, decoded, sha256


def sha(content):
    return None if content is None else f"sha256:{content.hex()}"


def shown(value):
    """A value of WebAssembly: its type, and its bits in hexadecimal."""
    name, bits = value
    if name in ("funcref", "externref"):
        return {"type": name, "function": bits}
    width = {"i32": 8, "f32": 8, "i64": 16, "f64": 16, "v128": 32}[name]
    return {"type": name, "bits": f"{bits:#0{width + 2}x}"}


def shown_frame(frame):
    slots = {"local": [], "operand": []}
    for (slot, index), value in frame["values"]:
        slots[slot].append({"index": index, **shown(value)})
    return {
        "function": frame["function"],
        "offset": frame["offset"],
        "locals": slots["local"],
        "operands": slots["operand"],
    }


def shown_memory(memory, chunks):
    return {
        "pages": memory["pages"],
        "maximum": memory["maximum"],
        "nonzero_pages": sum(len(run["pages"]) for run in memory["runs"]),
        "runs": [[run["first"], len(run["pages"])] for run in memory["runs"]],
        "content": sha(sha256(chunks.memory(memory))),
    }


def path(content):
    return content.decode("utf-8", "surrogateescape")


def shown_location(location):
    name, where = location
    return {"orphan": where} if name == "orphan" else {"mount": where["mount"], "path": path(where["path"])}


def shown_object(item):
    kind, fields = item
    if kind == "stdin":
        return {"kind": kind, "position": fields}
    if kind in ("stdout", "stderr"):
        return {"kind": kind}
    shown = {**fields, "kind": kind, "location": shown_location(fields["location"])}
    if kind == "directory" and fields["listing"] is not None:
        shown["listing"] = [path(name) for name in fields["listing"]]
    return shown


def shown_content(content, chunks):
    kind, what = content
    if kind == "file":
        return {"kind": kind, "len": what["len"], "content": sha(sha256(chunks.blob(what)))}
    return {"kind": kind} if what is None else {"kind": kind, "target": path(what)}


def shown_wasi(wasi, chunks):
    scratch = [mount for mount in wasi["mounts"] if mount["scratch"]]
    check(len(scratch) <= 1, "there are several scratch directories")
    pending = wasi["pending_poll"]
    return {
        "args": [path(arg) for arg in wasi["args"]],
        "env": [[path(name), path(value)] for name, value in wasi["env"]],
        "directories": wasi["mounts"],
        "descriptors": [
            {
                "fd": fd,
                "rights": open_file["rights"],
                "inheriting": open_file["inheriting"],
                "flags": open_file["flags"],
                **shown_object(open_file["object"]),
            }
            for fd, open_file in wasi["descriptors"]
        ],
        "orphans": [
            {
                **orphan,
                "path": path(orphan["path"]),
                "content": orphan["content"] and sha(sha256(chunks.blob(orphan["content"]))),
            }
            for orphan in wasi["orphans"]
        ],
        "scratch": [
            {
                "path": path(name),
                "id": node["id"],
                "atime": node["atime"],
                "mtime": node["mtime"],
                **shown_content(node["content"], chunks),
            }
            for name, node in wasi["scratch"]
        ],
        "clocks": {"monotonic_ns": wasi["clocks"]["monotonic"], "cpu_ns": wasi["clocks"]["cpu"]},
        "random": {"seed": wasi["random"]["seed"].hex(), "position": wasi["random"]["position"]},
        "pending_poll": pending
        and {"subscriptions": pending["subscriptions"].hex(), "started": pending["started"]},
    }


def shown_gpu_object(number, saved, chunks):
    kind, fields = saved["made"]
    shown = {"object": number, "handle": saved["handle"], "is": kind}
    if kind == "invalid":
        return shown
    shown["descriptor"] = fields["descriptor"].hex()
    if kind == "plain":
        shown["kind"] = fields["kind"]
    if kind == "query set":
        shown["results"] = [list(result) for result in fields["results"]]
    if kind in ("buffer", "texture"):
        state, content = fields["content"]
        shown["content"] = sha(sha256(chunks.blob(content))) if state == "bytes" else state
    if kind == "buffer":
        shown["mapped"] = fields["mapped"]
    return shown


def shown_gpu(gpu, used, chunks):
    """Nothing, for a job that uses none."""
    if gpu is None:
        return {}
    device = gpu["device"]
    return {
        "gpu": {
            "used_ns": used,
            "profile": gpu["profile"].hex(),
            "error": gpu["error"].hex(),
            "device": device
            and {
                "descriptor": device["descriptor"].hex(),
                "lost": device["lost"],
                "submitted": device["submitted"],
                "objects": [
                    shown_gpu_object(number, saved, chunks)
                    for number, saved in enumerate(device["objects"], 1)
                ],
            },
        }
    }


def as_json(content, others=()):
    file = File(content)
    sections = decoded(file)
    chunks = Chunks([file, *bases_of(sections["bases"], others)])
    execution, workload, lineage = sections["execution"], sections["workload"], sections["lineage"]
    return {
        "state_digest": sha(file.state_digest()),
        "file_bytes": len(content),
        "workload": {
            "module": sha(workload["module"]),
            "manifest": sha(workload["manifest"]),
            "instrumentation": workload["instrumentation"],
        },
        "sequence": lineage["sequence"],
        "parent": sha(lineage["parent"]),
        "phase": {"start": "start function", "main": "_start"}[execution["phase"][0]],
        "frames": [shown_frame(frame) for frame in execution["frames"]],
        "memories": [shown_memory(memory, chunks) for memory in sections["memories"]],
        "globals": [{"index": index, **shown(value)} for index, value in execution["globals"]],
        "tables": [
            {"elements": len(table), "null": table.count(None), "functions": table}
            for table in execution["tables"]
        ],
        "dropped_data_segments": execution["dropped_data"],
        "dropped_element_segments": execution["dropped_elements"],
        "settings": sections["settings"],
        "wasi": shown_wasi(sections["wasi"], chunks),
        "accounting": sections["accounting"],
        "profile": sections["profile"],
        **({"usage": sections["usage"]} if sections["usage"] else {}),
        **shown_gpu(sections["gpu"], sections["gpu use"], chunks),
        "file_digest": sha(file.digest),
        "bases": [sha(name) for name in sections["bases"] or []],
        "sections": [
            {
                "name": KINDS.get(entry["kind"], (str(entry["kind"]),))[0],
                "bytes": entry["length"],
                "digest": entry["digest"].hex(),
            }
            for entry in file.entries
        ],
    }


def content_of(path):
    with open(path, "rb") as file:
        return file.read()


def main():
    if len(sys.argv) < 2:
        sys.exit("usage: read.py CHECKPOINT [BASE...]")
    content, *others = map(content_of, sys.argv[1:])
    try:
        value = as_json(content, others)
    except Refused as refused:
        print(f"{sys.argv[1]}: {refused}", file=sys.stderr)
        sys.exit(65)
    json.dump(value, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
