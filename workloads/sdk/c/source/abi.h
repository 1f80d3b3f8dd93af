/* The functions of the host, as `gpu-host/ABI.md` has them. Each returns a status, 0 if it did what was asked, unless it
 * says otherwise. */
#ifndef WHERRY_ABI_H
#define WHERRY_ABI_H

#include <stddef.h>
#include <stdint.h>

#ifdef __wasm__
#define HOST(name) __attribute__((import_module("wherry_gpu"), import_name(#name)))
#else
#define HOST(name)
#endif

enum { ABI_VERSION = 1 };

enum gpu_status {
    GPU_OK = 0,
    GPU_VALIDATION = 1,
    GPU_OUT_OF_MEMORY = 2,
    GPU_INTERNAL = 3,
    GPU_DEVICE_LOST = 4,
    GPU_TIMEOUT = 5,
};

enum gpu_kind {
    KIND_BUFFER = 1,
    KIND_TEXTURE = 2,
    KIND_TEXTURE_VIEW = 3,
    KIND_SAMPLER = 4,
    KIND_QUERY_SET = 5,
    KIND_SHADER_MODULE = 6,
    KIND_BIND_GROUP_LAYOUT = 7,
    KIND_PIPELINE_BIND_GROUP_LAYOUT = 8,
    KIND_PIPELINE_LAYOUT = 9,
    KIND_BIND_GROUP = 10,
    KIND_COMPUTE_PIPELINE = 11,
    KIND_RENDER_PIPELINE = 12,
    KIND_RENDER_BUNDLE = 13,
    /* Of descriptors that describe no object. */
    KIND_DEVICE = 100,
    KIND_TEXTURE_WRITE = 101,
};

enum gpu_submit_mode { SUBMIT_RUN = 1, SUBMIT_CHECK = 2 };

HOST(version) uint32_t gpu_version(void);
/* Returns the length of the record, which is written if it fits; 0 if there is no adapter. */
HOST(adapter) size_t gpu_adapter(uint8_t *to, size_t capacity);
HOST(open) uint32_t gpu_open(const uint8_t *descriptor, size_t length);
HOST(close) void gpu_close(void);
HOST(create) uint32_t gpu_create(uint32_t kind, uint32_t handle, const uint8_t *descriptor, size_t length);
HOST(destroy) uint32_t gpu_destroy(uint32_t handle);
HOST(drop) void gpu_drop(uint32_t handle);
HOST(write) uint32_t gpu_write(uint32_t buffer, uint64_t offset, const void *from, size_t length);
HOST(read) uint32_t gpu_read(uint32_t buffer, uint64_t offset, void *to, size_t length);
HOST(write_texture)
uint32_t gpu_write_texture(const uint8_t *descriptor, size_t descriptor_length, const void *from, size_t length);
HOST(map) uint32_t gpu_map(uint32_t buffer, uint32_t mode, uint64_t offset, uint64_t size);
HOST(unmap) uint32_t gpu_unmap(uint32_t buffer);
/* Returns the number of the submission, from 1; or a status, negated. */
HOST(submit) int64_t gpu_submit(const uint8_t *stream, size_t length, uint32_t mode);
/* Waits for a submission and all before it; GPU_TIMEOUT if that takes longer. */
HOST(wait) uint32_t gpu_wait(uint64_t submission, uint64_t nanoseconds);
/* Returns the length of the record about the last failure, which is written if it fits. */
HOST(error) size_t gpu_error(uint8_t *to, size_t capacity);
/* Returns the length of the record, which is written if it fits; 0 if that is no shader module. */
HOST(messages) size_t gpu_messages(uint32_t module, uint8_t *to, size_t capacity);

#endif
