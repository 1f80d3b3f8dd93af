/* Buffers. What is mapped is a copy in the program's memory: it is read when the mapping is done, and what the program may
 * have written is written back when it ends. */
#include "object.h"

#include <stdlib.h>
#include <string.h>

OBJECT(Buffer)

enum { USAGES = 0x3ff };

struct WGPUBufferImpl {
    struct object object;
    uint64_t size;
    WGPUBufferUsage usage;
    WGPUBufferMapState state;
    WGPUMapMode mode;
    uint64_t offset; /* of the mapped range */
    size_t length;
    uint8_t *range;
    size_t written_from, written_to; /* within the range: what the program has a pointer to write to */
    struct event *map_event; /* while it is pending */
};

static void free_buffer(struct object *object) { free(((WGPUBuffer)(void *)object)->range); }

static bool is_mappable(WGPUBuffer buffer, uint64_t offset, uint64_t size) {
    return offset % 8 == 0 && size % 4 == 0 && offset <= buffer->size && size <= buffer->size - offset;
}

/* False if there is no memory for the range. */
static bool begin_mapping(WGPUBuffer buffer, WGPUMapMode mode, uint64_t offset, uint64_t length) {
    if (length > SIZE_MAX || !(buffer->range = calloc(1, length ? (size_t)length : 1))) return false;
    buffer->state = WGPUBufferMapState_Mapped;
    buffer->mode = mode;
    buffer->offset = offset;
    buffer->length = (size_t)length;
    buffer->written_from = (size_t)length;
    buffer->written_to = 0;
    return true;
}

static void end_mapping(WGPUBuffer buffer) {
    free(buffer->range);
    buffer->range = NULL;
    buffer->state = WGPUBufferMapState_Unmapped;
}

WGPUBuffer wgpuDeviceCreateBuffer(WGPUDevice device, WGPUBufferDescriptor const *asked) {
    WGPUBuffer buffer = new_object(device, sizeof *buffer, free_buffer);
    buffer->size = asked->size;
    buffer->usage = asked->usage;
    buffer->state = WGPUBufferMapState_Unmapped;
    struct bytes descriptor = begin_descriptor(KIND_BUFFER);
    put_text(&descriptor, asked->label);
    put_long(&descriptor, asked->size);
    put_flags(&descriptor, asked->usage, USAGES);
    put_bool(&descriptor, asked->mappedAtCreation);
    create(buffer, KIND_BUFFER, &descriptor);
    if (asked->mappedAtCreation && !begin_mapping(buffer, WGPUMapMode_Write, 0, asked->size)) {
        release(&buffer->object);
        return NULL;
    }
    return buffer;
}

uint64_t wgpuBufferGetSize(WGPUBuffer buffer) { return buffer->size; }

WGPUBufferUsage wgpuBufferGetUsage(WGPUBuffer buffer) { return buffer->usage; }

WGPUBufferMapState wgpuBufferGetMapState(WGPUBuffer buffer) { return buffer->state; }

/* --- Mapping ---------------------------------------------------------------------------------- */

/* What the event of a mapping has as its `result`; its `type` is the mode. */
struct wish {
    uint64_t offset, length;
};

static WGPUMapAsyncStatus fill_mapping(WGPUBuffer buffer, WGPUMapMode mode, const struct wish *wish) {
    WGPUDevice device = buffer->object.device;
    uint32_t handle = buffer->object.handle;
    if (begin_mapping(buffer, mode, wish->offset, wish->length)) {
        uint32_t status = gpu_read(handle, wish->offset, buffer->range, buffer->length);
        if (status == GPU_OK) return WGPUMapAsyncStatus_Success;
        end_mapping(buffer);
        raise_status(device, status);
    } else {
        gpu_unmap(handle);
        raise_error(device, WGPUErrorType_OutOfMemory, "there is no memory for the mapped range");
    }
    return WGPUMapAsyncStatus_Error;
}

static void deliver_map(struct event *event) {
    WGPUBuffer buffer = (WGPUBuffer)(void *)event->object;
    if (buffer->map_event == event) {
        buffer->map_event = NULL;
        buffer->state = WGPUBufferMapState_Unmapped;
        if (buffer->object.device->closed) {
            event->status = WGPUMapAsyncStatus_Aborted;
            event->message = copy_text(text_of("the device is lost"));
        } else {
            event->status = fill_mapping(buffer, event->type, event->result);
        }
    }
    free(event->result);
    CALL(event, WGPUBufferMapCallback, (WGPUMapAsyncStatus)event->status, text_of(event->message));
}

static const char *why_not(WGPUBuffer buffer, WGPUMapMode mode, uint64_t offset, uint64_t size) {
    if (mode != WGPUMapMode_Read && mode != WGPUMapMode_Write) return "a buffer is mapped either to read or to write";
    if (buffer->state != WGPUBufferMapState_Unmapped) return "the buffer is mapped already";
    if (!is_mappable(buffer, offset, size)) return "the range cannot be mapped: it is not within the buffer, or not aligned";
    return NULL;
}

WGPUFuture wgpuBufferMapAsync(WGPUBuffer buffer, WGPUMapMode mode, size_t offset, size_t size,
                              WGPUBufferMapCallbackInfo info) {
    WGPUDevice device = buffer->object.device;
    struct event *event = NEW_EVENT(info, deliver_map, buffer);
    uint64_t length = size == WGPU_WHOLE_MAP_SIZE && offset <= buffer->size ? buffer->size - offset : size;
    const char *reason = why_not(buffer, mode, offset, length);
    uint32_t status = GPU_DEVICE_LOST;
    if (reason) {
        raise_error(device, WGPUErrorType_Validation, reason);
    } else if (!device->closed) {
        status = gpu_map(buffer->object.handle, (uint32_t)mode, offset, length);
        raise_status(device, status);
    }
    if (reason || status != GPU_OK) {
        event->status = device->closed ? WGPUMapAsyncStatus_Aborted : WGPUMapAsyncStatus_Error;
        event->message = copy_text(text_of(reason ? reason : "the buffer cannot be mapped"));
        return schedule(event, 0);
    }
    struct wish *wish = allocate(sizeof *wish);
    *wish = (struct wish){offset, length};
    event->type = (uint32_t)mode;
    event->result = wish;
    buffer->map_event = event;
    buffer->state = WGPUBufferMapState_Pending;
    return schedule(event, device->submitted);
}

/* What is asked of a part of the mapped range: where it begins, or NULL. */
static uint8_t *part(WGPUBuffer buffer, size_t offset, size_t *size, size_t alignment) {
    if (buffer->state != WGPUBufferMapState_Mapped || offset < buffer->offset) return NULL;
    uint64_t at = offset - buffer->offset;
    if (at > buffer->length || offset % alignment) return NULL;
    if (*size == WGPU_WHOLE_MAP_SIZE) *size = buffer->length - (size_t)at;
    if (*size % 4 || *size > buffer->length - at) return NULL;
    return buffer->range + at;
}

static void note_written(WGPUBuffer buffer, const uint8_t *from, size_t size) {
    size_t at = (size_t)(from - buffer->range);
    if (at < buffer->written_from) buffer->written_from = at;
    if (at + size > buffer->written_to) buffer->written_to = at + size;
}

void const *wgpuBufferGetConstMappedRange(WGPUBuffer buffer, size_t offset, size_t size) {
    return part(buffer, offset, &size, 8);
}

void *wgpuBufferGetMappedRange(WGPUBuffer buffer, size_t offset, size_t size) {
    uint8_t *from = buffer->mode == WGPUMapMode_Write ? part(buffer, offset, &size, 8) : NULL;
    if (from) note_written(buffer, from, size);
    return from;
}

WGPUStatus wgpuBufferReadMappedRange(WGPUBuffer buffer, size_t offset, void *data, size_t size) {
    const uint8_t *from = part(buffer, offset, &size, 4);
    if (!from) return WGPUStatus_Error;
    memcpy(data, from, size);
    return WGPUStatus_Success;
}

WGPUStatus wgpuBufferWriteMappedRange(WGPUBuffer buffer, size_t offset, void const *data, size_t size) {
    uint8_t *to = buffer->mode == WGPUMapMode_Write ? part(buffer, offset, &size, 4) : NULL;
    if (!to) return WGPUStatus_Error;
    memcpy(to, data, size);
    note_written(buffer, to, size);
    return WGPUStatus_Success;
}

/* A mapping that is pending will not be. */
static void abort_mapping(WGPUBuffer buffer, const char *reason) {
    struct event *event = buffer->map_event;
    buffer->map_event = NULL;
    buffer->state = WGPUBufferMapState_Unmapped;
    event->status = WGPUMapAsyncStatus_Aborted;
    event->message = copy_text(text_of(reason));
    happen(event);
}

static void write_back(WGPUBuffer buffer) {
    if (buffer->written_from >= buffer->written_to) return;
    uint64_t offset = buffer->offset + buffer->written_from;
    size_t length = buffer->written_to - buffer->written_from;
    uint32_t status = gpu_write(buffer->object.handle, offset, buffer->range + buffer->written_from, length);
    raise_status(buffer->object.device, status);
}

void wgpuBufferUnmap(WGPUBuffer buffer) {
    if (buffer->state == WGPUBufferMapState_Unmapped) return;
    bool closed = buffer->object.device->closed;
    if (buffer->state == WGPUBufferMapState_Pending) {
        abort_mapping(buffer, "the buffer was unmapped");
    } else {
        if (!closed) write_back(buffer);
        end_mapping(buffer);
    }
    if (!closed) raise_status(buffer->object.device, gpu_unmap(buffer->object.handle));
}

void wgpuBufferDestroy(WGPUBuffer buffer) {
    if (buffer->state == WGPUBufferMapState_Pending) abort_mapping(buffer, "the buffer was destroyed");
    end_mapping(buffer);
    WGPUDevice device = buffer->object.device;
    if (!device->closed) raise_status(device, gpu_destroy(buffer->object.handle));
}
