/* Render passes and render bundles. Most commands are the same in both. */
#include "recording.h"

#include <math.h>
#include <stdlib.h>

OBJECT(RenderPassEncoder)
OBJECT(RenderBundleEncoder)
OBJECT(RenderBundle)

/* --- Render passes ---------------------------------------------------------------------------- */

static void put_color_attachment(struct recording *recording, const WGPURenderPassColorAttachment *attachment) {
    struct bytes *to = &recording->stream;
    put_bool(to, attachment->view != NULL);
    if (!attachment->view) return;
    put_word(to, use(recording, attachment->view));
    put_word(to, attachment->depthSlice);
    put_word(to, use(recording, attachment->resolveTarget));
    put_value(to, attachment->loadOp);
    put_value(to, attachment->storeOp);
    put_double(to, attachment->clearValue.r);
    put_double(to, attachment->clearValue.g);
    put_double(to, attachment->clearValue.b);
    put_double(to, attachment->clearValue.a);
}

static void put_depth_stencil_attachment(struct recording *recording,
                                         const WGPURenderPassDepthStencilAttachment *attachment) {
    struct bytes *to = &recording->stream;
    put_bool(to, attachment != NULL);
    if (!attachment) return;
    put_word(to, use(recording, attachment->view));
    put_word(to, attachment->depthLoadOp);
    put_word(to, attachment->depthStoreOp);
    /* Not given is not a number. Where it is needed the host finds that 2 is not between 0 and 1. */
    bool cleared = attachment->depthLoadOp == WGPULoadOp_Clear, given = !isnan(attachment->depthClearValue);
    put_float(to, given ? attachment->depthClearValue : cleared ? 2 : 0);
    put_bool(to, attachment->depthReadOnly);
    put_word(to, attachment->stencilLoadOp);
    put_word(to, attachment->stencilStoreOp);
    put_word(to, attachment->stencilClearValue);
    put_bool(to, attachment->stencilReadOnly);
}

WGPURenderPassEncoder wgpuCommandEncoderBeginRenderPass(WGPUCommandEncoder encoder,
                                                        WGPURenderPassDescriptor const *asked) {
    struct recording *recording;
    WGPURenderPassEncoder pass = begin_pass(encoder, sizeof *pass, &recording);
    if (!recording) return pass;
    struct bytes *to = &recording->stream;
    size_t at = begin_command(to, BEGIN_RENDER_PASS);
    put_label(to, asked->label);
    put_word(to, (uint32_t)asked->colorAttachmentCount);
    for (size_t i = 0; i < asked->colorAttachmentCount; i++) put_color_attachment(recording, &asked->colorAttachments[i]);
    put_depth_stencil_attachment(recording, asked->depthStencilAttachment);
    put_word(to, use(recording, asked->occlusionQuerySet));
    put_timestamp_writes(recording, asked->timestampWrites);
    end_command(to, at);
    return pass;
}

void wgpuRenderPassEncoderEnd(WGPURenderPassEncoder pass) { end_pass(&pass->pass, END_RENDER_PASS); }

void wgpuRenderPassEncoderSetViewport(WGPURenderPassEncoder pass, float x, float y, float width, float height,
                                      float min_depth, float max_depth) {
    struct recording *recording = recording_of(&pass->pass);
    if (!recording) return;
    size_t at = begin_command(&recording->stream, SET_VIEWPORT);
    put_float(&recording->stream, x);
    put_float(&recording->stream, y);
    put_float(&recording->stream, width);
    put_float(&recording->stream, height);
    put_float(&recording->stream, min_depth);
    put_float(&recording->stream, max_depth);
    end_command(&recording->stream, at);
}

void wgpuRenderPassEncoderSetScissorRect(WGPURenderPassEncoder pass, uint32_t x, uint32_t y, uint32_t width,
                                         uint32_t height) {
    struct recording *recording = recording_of(&pass->pass);
    if (!recording) return;
    uint32_t *words = record(recording, SET_SCISSOR_RECT, 4);
    words[0] = x;
    words[1] = y;
    words[2] = width;
    words[3] = height;
}

void wgpuRenderPassEncoderSetBlendConstant(WGPURenderPassEncoder pass, WGPUColor const *color) {
    struct recording *recording = recording_of(&pass->pass);
    if (!recording) return;
    size_t at = begin_command(&recording->stream, SET_BLEND_CONSTANT);
    put_double(&recording->stream, color->r);
    put_double(&recording->stream, color->g);
    put_double(&recording->stream, color->b);
    put_double(&recording->stream, color->a);
    end_command(&recording->stream, at);
}

void wgpuRenderPassEncoderSetStencilReference(WGPURenderPassEncoder pass, uint32_t reference) {
    struct recording *recording = recording_of(&pass->pass);
    if (recording) record(recording, SET_STENCIL_REFERENCE, 1)[0] = reference;
}

void wgpuRenderPassEncoderBeginOcclusionQuery(WGPURenderPassEncoder pass, uint32_t index) {
    struct recording *recording = recording_of(&pass->pass);
    if (recording) record(recording, BEGIN_OCCLUSION_QUERY, 1)[0] = index;
}

void wgpuRenderPassEncoderEndOcclusionQuery(WGPURenderPassEncoder pass) {
    struct recording *recording = recording_of(&pass->pass);
    if (recording) record(recording, END_OCCLUSION_QUERY, 0);
}

void wgpuRenderPassEncoderExecuteBundles(WGPURenderPassEncoder pass, size_t count, WGPURenderBundle const *bundles) {
    struct recording *recording = recording_of(&pass->pass);
    if (!recording) return;
    size_t at = begin_command(&recording->stream, EXECUTE_BUNDLES);
    if (count > UINT16_MAX - 2) {
        refuse(recording, "more bundles are executed at once than a command can name");
        count = 0;
    }
    put_word(&recording->stream, (uint32_t)count);
    for (size_t i = 0; i < count; i++) put_word(&recording->stream, use(recording, bundles[i]));
    end_command(&recording->stream, at);
}

/* --- Render bundles --------------------------------------------------------------------------- */

struct WGPURenderBundleEncoderImpl {
    struct object object;
    struct recording recording;
    struct bytes descriptor; /* what comes before the commands */
    bool finished;
};

static void free_bundle_encoder(struct object *object) {
    WGPURenderBundleEncoder encoder = (WGPURenderBundleEncoder)(void *)object;
    end_recording(&encoder->recording);
    free(encoder->descriptor.data);
}

WGPURenderBundleEncoder wgpuDeviceCreateRenderBundleEncoder(WGPUDevice device,
                                                            WGPURenderBundleEncoderDescriptor const *asked) {
    WGPURenderBundleEncoder encoder = new_object(device, sizeof *encoder, free_bundle_encoder);
    begin_recording(&encoder->recording);
    struct bytes descriptor = begin_descriptor(KIND_RENDER_BUNDLE);
    put_text(&descriptor, asked->label);
    put_word(&descriptor, (uint32_t)asked->colorFormatCount);
    for (size_t i = 0; i < asked->colorFormatCount; i++) put_word(&descriptor, asked->colorFormats[i]);
    put_word(&descriptor, asked->depthStencilFormat);
    put_word(&descriptor, asked->sampleCount);
    put_bool(&descriptor, asked->depthReadOnly);
    put_bool(&descriptor, asked->stencilReadOnly);
    encoder->descriptor = descriptor;
    return encoder;
}

static struct recording *recording_in(WGPURenderBundleEncoder encoder) {
    if (!encoder->finished) return &encoder->recording;
    raise_error(encoder->object.device, WGPUErrorType_Validation, "the render bundle encoder is finished");
    return NULL;
}

WGPURenderBundle wgpuRenderBundleEncoderFinish(WGPURenderBundleEncoder encoder,
                                               WGPURenderBundleDescriptor const *asked) {
    (void)asked;
    WGPUDevice device = encoder->object.device;
    if (!recording_in(encoder)) return new_object(device, sizeof(struct object), NULL);
    encoder->finished = true;
    if (encoder->recording.error) return create_invalid(device, encoder->recording.error);
    struct bytes *descriptor = &encoder->descriptor, *commands = &encoder->recording.stream;
    put_word(descriptor, encoder->recording.commands);
    uint32_t *words = extend(descriptor, commands->length / 4);
    for (size_t i = 0; i < commands->length / 4; i++) words[i] = ((const uint32_t *)(const void *)commands->data)[i];
    WGPURenderBundle bundle = create_plain(device, KIND_RENDER_BUNDLE, descriptor);
    *descriptor = (struct bytes){0};
    end_recording(&encoder->recording);
    return bundle;
}

/* --- What both have --------------------------------------------------------------------------- */

static void set_pipeline(struct recording *recording, WGPURenderPipeline pipeline) {
    uint32_t handle = use(recording, pipeline);
    record(recording, SET_RENDER_PIPELINE, 1)[0] = handle;
}

static void set_vertex_buffer(struct recording *recording, uint32_t slot, WGPUBuffer buffer, uint64_t offset,
                              uint64_t size) {
    uint32_t *words = record(recording, SET_VERTEX_BUFFER, 6);
    words[0] = slot;
    words[1] = use(recording, buffer);
    set_long(words + 2, buffer ? offset : 0);
    set_long(words + 4, buffer ? size : 0);
}

static void set_index_buffer(struct recording *recording, WGPUBuffer buffer, WGPUIndexFormat format, uint64_t offset,
                             uint64_t size) {
    if (!format) refuse(recording, "an index buffer has a format");
    uint32_t *words = record(recording, SET_INDEX_BUFFER, 6);
    words[0] = use(recording, buffer);
    words[1] = format;
    set_long(words + 2, offset);
    set_long(words + 4, size);
}

static void draw(struct recording *recording, uint32_t vertices, uint32_t instances, uint32_t first_vertex,
                 uint32_t first_instance) {
    uint32_t *words = record(recording, DRAW, 4);
    words[0] = vertices;
    words[1] = instances;
    words[2] = first_vertex;
    words[3] = first_instance;
}

static void draw_indexed(struct recording *recording, uint32_t indices, uint32_t instances, uint32_t first_index,
                         int32_t base_vertex, uint32_t first_instance) {
    uint32_t *words = record(recording, DRAW_INDEXED, 5);
    words[0] = indices;
    words[1] = instances;
    words[2] = first_index;
    words[3] = (uint32_t)base_vertex;
    words[4] = first_instance;
}

static void draw_indirect(struct recording *recording, enum command command, WGPUBuffer buffer, uint64_t offset) {
    uint32_t *words = record(recording, command, 3);
    words[0] = use(recording, buffer);
    set_long(words + 1, offset);
}

static void set_immediates(struct recording *recording, size_t size) {
    if (size) refuse(recording, "the host has no immediates");
}

/* The functions of `Encoder`, whose recording `where` gives, as webgpu.h has them. */
#define RENDER_COMMANDS(Encoder, where) \
    void wgpu##Encoder##SetPipeline(WGPU##Encoder encoder, WGPURenderPipeline pipeline) { \
        struct recording *recording = where; \
        if (recording) set_pipeline(recording, pipeline); \
    } \
    void wgpu##Encoder##SetBindGroup(WGPU##Encoder encoder, uint32_t index, WGPUBindGroup group, size_t count, \
                                     uint32_t const *offsets) { \
        struct recording *recording = where; \
        if (recording) record_bind_group(recording, index, group, count, offsets); \
    } \
    void wgpu##Encoder##SetVertexBuffer(WGPU##Encoder encoder, uint32_t slot, WGPUBuffer buffer, uint64_t offset, \
                                        uint64_t size) { \
        struct recording *recording = where; \
        if (recording) set_vertex_buffer(recording, slot, buffer, offset, size); \
    } \
    void wgpu##Encoder##SetIndexBuffer(WGPU##Encoder encoder, WGPUBuffer buffer, WGPUIndexFormat format, \
                                       uint64_t offset, uint64_t size) { \
        struct recording *recording = where; \
        if (recording) set_index_buffer(recording, buffer, format, offset, size); \
    } \
    void wgpu##Encoder##SetImmediates(WGPU##Encoder encoder, uint32_t offset, void const *data, size_t size) { \
        (void)offset; \
        (void)data; \
        struct recording *recording = where; \
        if (recording) set_immediates(recording, size); \
    } \
    void wgpu##Encoder##Draw(WGPU##Encoder encoder, uint32_t vertices, uint32_t instances, uint32_t first_vertex, \
                             uint32_t first_instance) { \
        struct recording *recording = where; \
        if (recording) draw(recording, vertices, instances, first_vertex, first_instance); \
    } \
    void wgpu##Encoder##DrawIndexed(WGPU##Encoder encoder, uint32_t indices, uint32_t instances, uint32_t first_index, \
                                    int32_t base_vertex, uint32_t first_instance) { \
        struct recording *recording = where; \
        if (recording) draw_indexed(recording, indices, instances, first_index, base_vertex, first_instance); \
    } \
    void wgpu##Encoder##DrawIndirect(WGPU##Encoder encoder, WGPUBuffer buffer, uint64_t offset) { \
        struct recording *recording = where; \
        if (recording) draw_indirect(recording, DRAW_INDIRECT, buffer, offset); \
    } \
    void wgpu##Encoder##DrawIndexedIndirect(WGPU##Encoder encoder, WGPUBuffer buffer, uint64_t offset) { \
        struct recording *recording = where; \
        if (recording) draw_indirect(recording, DRAW_INDEXED_INDIRECT, buffer, offset); \
    } \
    void wgpu##Encoder##PushDebugGroup(WGPU##Encoder encoder, WGPUStringView label) { \
        struct recording *recording = where; \
        if (recording) record_text(recording, PUSH_DEBUG_GROUP, label); \
    } \
    void wgpu##Encoder##PopDebugGroup(WGPU##Encoder encoder) { \
        struct recording *recording = where; \
        if (recording) record(recording, POP_DEBUG_GROUP, 0); \
    } \
    void wgpu##Encoder##InsertDebugMarker(WGPU##Encoder encoder, WGPUStringView label) { \
        struct recording *recording = where; \
        if (recording) record_text(recording, INSERT_DEBUG_MARKER, label); \
    }

RENDER_COMMANDS(RenderPassEncoder, recording_of(&encoder->pass))
RENDER_COMMANDS(RenderBundleEncoder, recording_in(encoder))
