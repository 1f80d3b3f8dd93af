/* Compute passes. */
#include "recording.h"

OBJECT(ComputePassEncoder)

WGPUComputePassEncoder wgpuCommandEncoderBeginComputePass(WGPUCommandEncoder encoder,
                                                          WGPUComputePassDescriptor const *asked) {
    struct recording *recording;
    WGPUComputePassEncoder pass = begin_pass(encoder, sizeof *pass, &recording);
    if (!recording) return pass;
    size_t at = begin_command(&recording->stream, BEGIN_COMPUTE_PASS);
    put_label(&recording->stream, asked ? asked->label : (WGPUStringView){0});
    put_timestamp_writes(recording, asked ? asked->timestampWrites : NULL);
    end_command(&recording->stream, at);
    return pass;
}

void wgpuComputePassEncoderEnd(WGPUComputePassEncoder pass) { end_pass(&pass->pass, END_COMPUTE_PASS); }

void wgpuComputePassEncoderSetPipeline(WGPUComputePassEncoder pass, WGPUComputePipeline pipeline) {
    struct recording *recording = recording_of(&pass->pass);
    if (!recording) return;
    uint32_t handle = use(recording, pipeline);
    record(recording, SET_COMPUTE_PIPELINE, 1)[0] = handle;
}

void wgpuComputePassEncoderSetBindGroup(WGPUComputePassEncoder pass, uint32_t index, WGPUBindGroup group, size_t count,
                                        uint32_t const *offsets) {
    struct recording *recording = recording_of(&pass->pass);
    if (recording) record_bind_group(recording, index, group, count, offsets);
}

void wgpuComputePassEncoderSetImmediates(WGPUComputePassEncoder pass, uint32_t offset, void const *data, size_t size) {
    (void)offset;
    (void)data;
    struct recording *recording = recording_of(&pass->pass);
    if (recording && size) refuse(recording, "the host has no immediates");
}

void wgpuComputePassEncoderDispatchWorkgroups(WGPUComputePassEncoder pass, uint32_t x, uint32_t y, uint32_t z) {
    struct recording *recording = recording_of(&pass->pass);
    if (!recording) return;
    uint32_t *words = record(recording, DISPATCH_WORKGROUPS, 3);
    words[0] = x;
    words[1] = y;
    words[2] = z;
}

void wgpuComputePassEncoderDispatchWorkgroupsIndirect(WGPUComputePassEncoder pass, WGPUBuffer buffer, uint64_t offset) {
    struct recording *recording = recording_of(&pass->pass);
    if (!recording) return;
    uint32_t *words = record(recording, DISPATCH_WORKGROUPS_INDIRECT, 3);
    words[0] = use(recording, buffer);
    set_long(words + 1, offset);
}

void wgpuComputePassEncoderPushDebugGroup(WGPUComputePassEncoder pass, WGPUStringView label) {
    struct recording *recording = recording_of(&pass->pass);
    if (recording) record_text(recording, PUSH_DEBUG_GROUP, label);
}

void wgpuComputePassEncoderPopDebugGroup(WGPUComputePassEncoder pass) {
    struct recording *recording = recording_of(&pass->pass);
    if (recording) record(recording, POP_DEBUG_GROUP, 0);
}

void wgpuComputePassEncoderInsertDebugMarker(WGPUComputePassEncoder pass, WGPUStringView label) {
    struct recording *recording = recording_of(&pass->pass);
    if (recording) record_text(recording, INSERT_DEBUG_MARKER, label);
}
