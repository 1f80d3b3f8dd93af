/* Functions by their names. `procs.inc` is made of webgpu.h when the library is built: a function that the header has and
 * the library lacks does not link. */
#include <webgpu/webgpu.h>

#include "wire.h"

#include <string.h>

struct proc {
    const char *name;
    WGPUProc function;
};

static const struct proc procs[] = {
#define PROC(name) {#name, (WGPUProc)name},
#include "procs.inc"
#undef PROC
};

WGPUProc wgpuGetProcAddress(WGPUStringView name) {
    size_t length = text_length(name);
    for (size_t i = 0; i < sizeof procs / sizeof *procs; i++) {
        bool same = strlen(procs[i].name) == length && memcmp(procs[i].name, name.data, length) == 0;
        if (same) return procs[i].function;
    }
    return NULL;
}
