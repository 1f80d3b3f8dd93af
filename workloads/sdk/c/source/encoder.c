/* Command encoders and the command buffers that they end as, with what is recorded outside of passes. */
#include "recording.h"

OBJECT(CommandEncoder)
OBJECT(CommandBuffer)

enum state { OPEN, LOCKED /* by a pass */, FINISHED };

struct WGPUCommandEncoderImpl {
    struct object object;
    struct recording recording;
    enum state state;
};

static void free_encoder(struct object *object) { end_recording(&((WGPUCommandEncoder)(void *)object)->recording); }

static void free_command_buffer(struct object *object) {
    end_recording(&((WGPUCommandBuffer)(void *)object)->recording);
}

WGPUCommandEncoder wgpuDeviceCreateCommandEncoder(WGPUDevice device, WGPUCommandEncoderDescriptor const *asked) {
    WGPUCommandEncoder encoder = new_object(device, sizeof *encoder, free_encoder);
    begin_recording(&encoder->recording);
    record_text(&encoder->recording, BEGIN_COMMAND_BUFFER, asked ? asked->label : (WGPUStringView){0});
    return encoder;
}

/* Where the encoder records; NULL if it cannot. */
static struct recording *recording_in(WGPUCommandEncoder encoder) {
    switch (encoder->state) {
    case OPEN: return &encoder->recording;
    case LOCKED: refuse(&encoder->recording, "a pass of the command encoder is open"); return NULL;
    default:
        raise_error(encoder->object.device, WGPUErrorType_Validation, "the command encoder is finished");
        return NULL;
    }
}

/* Whether the host would take it is asked only where somebody listens: else submitting it tells. */
static void check(WGPUDevice device, struct recording *recording) {
    if (recording->error) {
        raise_error(device, WGPUErrorType_Validation, recording->error);
    } else if (has_error_scope(device) && !device->closed) {
        int64_t result = gpu_submit(recording->stream.data, recording->stream.length, SUBMIT_CHECK);
        if (result < 0) {
            raise_status(device, (uint32_t)-result);
            refuse(recording, "the command buffer is invalid");
        }
    }
}

WGPUCommandBuffer wgpuCommandEncoderFinish(WGPUCommandEncoder encoder, WGPUCommandBufferDescriptor const *asked) {
    (void)asked;
    WGPUDevice device = encoder->object.device;
    WGPUCommandBuffer buffer = new_object(device, sizeof *buffer, free_command_buffer);
    struct recording *recording = recording_in(encoder);
    if (encoder->state == FINISHED) {
        refuse(&buffer->recording, "the command buffer is invalid");
        return buffer;
    }
    encoder->state = FINISHED;
    if (!recording) refuse(&encoder->recording, "a pass of the command encoder is open");
    if (encoder->recording.stream.refused) refuse(&encoder->recording, "a command lacks a value that it needs");
    buffer->recording = encoder->recording;
    begin_recording(&encoder->recording);
    check(device, &buffer->recording);
    return buffer;
}

/* --- Passes ----------------------------------------------------------------------------------- */

static void free_pass(struct object *object) { release(&((struct pass *)(void *)object)->encoder->object); }

void *begin_pass(WGPUCommandEncoder encoder, size_t size, struct recording **recording) {
    struct pass *pass = new_object(encoder->object.device, size, free_pass);
    pass->encoder = encoder;
    retain(&encoder->object);
    *recording = recording_in(encoder);
    pass->ended = !*recording;
    if (*recording) encoder->state = LOCKED;
    return pass;
}

struct recording *recording_of(struct pass *pass) {
    if (!pass->ended) return &pass->encoder->recording;
    raise_error(pass->object.device, WGPUErrorType_Validation, "the pass has ended");
    return NULL;
}

void end_pass(struct pass *pass, enum command command) {
    struct recording *recording = recording_of(pass);
    if (!recording) return;
    record(recording, command, 0);
    pass->ended = true;
    if (pass->encoder->state == LOCKED) pass->encoder->state = OPEN;
}

/* --- Commands --------------------------------------------------------------------------------- */

void wgpuCommandEncoderCopyBufferToBuffer(WGPUCommandEncoder encoder, WGPUBuffer source, uint64_t source_offset,
                                          WGPUBuffer destination, uint64_t destination_offset, uint64_t size) {
    struct recording *recording = recording_in(encoder);
    if (!recording) return;
    uint32_t *words = record(recording, COPY_BUFFER_TO_BUFFER, 8);
    words[0] = use(recording, source);
    set_long(words + 1, source_offset);
    words[3] = use(recording, destination);
    set_long(words + 4, destination_offset);
    set_long(words + 6, size);
}

void wgpuCommandEncoderClearBuffer(WGPUCommandEncoder encoder, WGPUBuffer buffer, uint64_t offset, uint64_t size) {
    struct recording *recording = recording_in(encoder);
    if (!recording) return;
    uint32_t *words = record(recording, CLEAR_BUFFER, 5);
    words[0] = use(recording, buffer);
    set_long(words + 1, offset);
    set_long(words + 3, size);
}

void wgpuCommandEncoderResolveQuerySet(WGPUCommandEncoder encoder, WGPUQuerySet set, uint32_t first, uint32_t count,
                                       WGPUBuffer destination, uint64_t offset) {
    struct recording *recording = recording_in(encoder);
    if (!recording) return;
    uint32_t *words = record(recording, RESOLVE_QUERY_SET, 6);
    words[0] = use(recording, set);
    words[1] = first;
    words[2] = count;
    words[3] = use(recording, destination);
    set_long(words + 4, offset);
}

static void use_buffer_texels(struct recording *recording, const WGPUTexelCopyBufferInfo *texels) {
    put_word(&recording->stream, use(recording, texels->buffer));
    put_texel_layout(&recording->stream, &texels->layout);
}

static void use_texture_texels(struct recording *recording, const WGPUTexelCopyTextureInfo *texels) {
    put_texture_texels(&recording->stream, use(recording, texels->texture), texels);
}

void wgpuCommandEncoderCopyBufferToTexture(WGPUCommandEncoder encoder, WGPUTexelCopyBufferInfo const *source,
                                           WGPUTexelCopyTextureInfo const *destination, WGPUExtent3D const *size) {
    struct recording *recording = recording_in(encoder);
    if (!recording) return;
    size_t at = begin_command(&recording->stream, COPY_BUFFER_TO_TEXTURE);
    use_buffer_texels(recording, source);
    use_texture_texels(recording, destination);
    put_extent(&recording->stream, size);
    end_command(&recording->stream, at);
}

void wgpuCommandEncoderCopyTextureToBuffer(WGPUCommandEncoder encoder, WGPUTexelCopyTextureInfo const *source,
                                           WGPUTexelCopyBufferInfo const *destination, WGPUExtent3D const *size) {
    struct recording *recording = recording_in(encoder);
    if (!recording) return;
    size_t at = begin_command(&recording->stream, COPY_TEXTURE_TO_BUFFER);
    use_texture_texels(recording, source);
    use_buffer_texels(recording, destination);
    put_extent(&recording->stream, size);
    end_command(&recording->stream, at);
}

void wgpuCommandEncoderCopyTextureToTexture(WGPUCommandEncoder encoder, WGPUTexelCopyTextureInfo const *source,
                                            WGPUTexelCopyTextureInfo const *destination, WGPUExtent3D const *size) {
    struct recording *recording = recording_in(encoder);
    if (!recording) return;
    size_t at = begin_command(&recording->stream, COPY_TEXTURE_TO_TEXTURE);
    use_texture_texels(recording, source);
    use_texture_texels(recording, destination);
    put_extent(&recording->stream, size);
    end_command(&recording->stream, at);
}

void wgpuCommandEncoderWriteTimestamp(WGPUCommandEncoder encoder, WGPUQuerySet set, uint32_t index) {
    (void)set;
    (void)index;
    struct recording *recording = recording_in(encoder);
    if (recording) refuse(recording, "timestamps are written at the beginning and end of passes, as the standard has it");
}

void wgpuCommandEncoderPushDebugGroup(WGPUCommandEncoder encoder, WGPUStringView label) {
    struct recording *recording = recording_in(encoder);
    if (recording) record_text(recording, PUSH_DEBUG_GROUP, label);
}

void wgpuCommandEncoderPopDebugGroup(WGPUCommandEncoder encoder) {
    struct recording *recording = recording_in(encoder);
    if (recording) record(recording, POP_DEBUG_GROUP, 0);
}

void wgpuCommandEncoderInsertDebugMarker(WGPUCommandEncoder encoder, WGPUStringView label) {
    struct recording *recording = recording_in(encoder);
    if (recording) record_text(recording, INSERT_DEBUG_MARKER, label);
}
