/* The queue: what is handed over to the host, and when it is done. */
#include "recording.h"

#include <stdlib.h>
#include <string.h>

enum { LONGEST_STREAM = 64 << 20 };

void wgpuQueueAddRef(WGPUQueue queue) { retain(&queue->device->object); }

void wgpuQueueRelease(WGPUQueue queue) {
    if (queue) release(&queue->device->object);
}

void wgpuQueueSetLabel(WGPUQueue queue, WGPUStringView label) {
    (void)queue;
    (void)label;
}

/* --- Submissions ------------------------------------------------------------------------------ */

static void submit(WGPUDevice device, const struct bytes *stream) {
    if (stream->length == 0 || device->closed) return;
    int64_t result = gpu_submit(stream->data, stream->length, SUBMIT_RUN);
    if (result < 0) {
        raise_status(device, (uint32_t)-result);
    } else {
        device->submitted = (uint64_t)result;
    }
}

static bool is_valid(WGPUDevice device, size_t count, WGPUCommandBuffer const *buffers) {
    for (size_t i = 0; i < count; i++) {
        const char *reason = buffers[i]->recording.error;
        if (reason || buffers[i]->submitted) {
            raise_error(device, WGPUErrorType_Validation, reason ? reason : "the command buffer was submitted before");
            return false;
        }
        for (size_t j = 0; j < i; j++) {
            if (buffers[i] != buffers[j]) continue;
            raise_error(device, WGPUErrorType_Validation, "a command buffer is submitted twice");
            return false;
        }
    }
    return true;
}

static void append(struct bytes *to, const struct bytes *stream) {
    memcpy(extend(to, stream->length / 4), stream->data, stream->length);
}

/* All of them or none is taken, as long as they fit into one stream. */
static void submit_all(WGPUDevice device, size_t count, WGPUCommandBuffer const *buffers) {
    if (count == 1) {
        submit(device, &buffers[0]->recording.stream);
        return;
    }
    struct bytes stream = {0};
    for (size_t i = 0; i < count; i++) {
        const struct bytes *next = &buffers[i]->recording.stream;
        if (stream.length + next->length > LONGEST_STREAM) {
            submit(device, &stream);
            stream.length = 0;
        }
        append(&stream, next);
    }
    submit(device, &stream);
    free(stream.data);
}

void wgpuQueueSubmit(WGPUQueue queue, size_t count, WGPUCommandBuffer const *buffers) {
    WGPUDevice device = queue->device;
    if (is_valid(device, count, buffers)) submit_all(device, count, buffers);
    for (size_t i = 0; i < count; i++) {
        buffers[i]->submitted = true;
        let_go(&buffers[i]->recording);
    }
}

static void deliver_work_done(struct event *event) {
    WGPUDevice device = (WGPUDevice)(void *)event->object;
    bool lost = device->closed;
    WGPUQueueWorkDoneStatus status = lost ? WGPUQueueWorkDoneStatus_Error : WGPUQueueWorkDoneStatus_Success;
    CALL(event, WGPUQueueWorkDoneCallback, status, text_of(lost ? "the device is lost" : NULL));
}

WGPUFuture wgpuQueueOnSubmittedWorkDone(WGPUQueue queue, WGPUQueueWorkDoneCallbackInfo info) {
    WGPUDevice device = queue->device;
    return schedule(NEW_EVENT(info, deliver_work_done, device), device->submitted);
}

/* --- Writes ----------------------------------------------------------------------------------- */

void wgpuQueueWriteBuffer(WGPUQueue queue, WGPUBuffer buffer, uint64_t offset, void const *data, size_t size) {
    WGPUDevice device = queue->device;
    if (!device->closed) raise_status(device, gpu_write(handle_of(buffer), offset, data, size));
}

void wgpuQueueWriteTexture(WGPUQueue queue, WGPUTexelCopyTextureInfo const *to, void const *data, size_t data_size,
                           WGPUTexelCopyBufferLayout const *layout, WGPUExtent3D const *size) {
    WGPUDevice device = queue->device;
    if (device->closed) return;
    struct bytes descriptor = begin_descriptor(KIND_TEXTURE_WRITE);
    put_texture_texels(&descriptor, handle_of(to->texture), to);
    put_texel_layout(&descriptor, layout);
    put_extent(&descriptor, size);
    end_descriptor(&descriptor);
    raise_status(device, gpu_write_texture(descriptor.data, descriptor.length, data, data_size));
    free(descriptor.data);
}
