/* Commands being recorded, in guest memory: the host sees them when they are submitted. */
#ifndef WHERRY_RECORDING_H
#define WHERRY_RECORDING_H

#include "object.h"

enum command {
    BEGIN_COMMAND_BUFFER = 1,
    PUSH_DEBUG_GROUP = 2,
    POP_DEBUG_GROUP = 3,
    INSERT_DEBUG_MARKER = 4,
    COPY_BUFFER_TO_BUFFER = 10,
    COPY_BUFFER_TO_TEXTURE = 11,
    COPY_TEXTURE_TO_BUFFER = 12,
    COPY_TEXTURE_TO_TEXTURE = 13,
    CLEAR_BUFFER = 14,
    RESOLVE_QUERY_SET = 15,
    BEGIN_COMPUTE_PASS = 20,
    END_COMPUTE_PASS = 21,
    SET_COMPUTE_PIPELINE = 22,
    DISPATCH_WORKGROUPS = 23,
    DISPATCH_WORKGROUPS_INDIRECT = 24,
    SET_BIND_GROUP = 30,
    BEGIN_RENDER_PASS = 40,
    END_RENDER_PASS = 41,
    SET_VIEWPORT = 42,
    SET_SCISSOR_RECT = 43,
    SET_BLEND_CONSTANT = 44,
    SET_STENCIL_REFERENCE = 45,
    BEGIN_OCCLUSION_QUERY = 46,
    END_OCCLUSION_QUERY = 47,
    EXECUTE_BUNDLES = 48,
    SET_RENDER_PIPELINE = 50,
    SET_VERTEX_BUFFER = 51,
    SET_INDEX_BUFFER = 52,
    DRAW = 53,
    DRAW_INDEXED = 54,
    DRAW_INDIRECT = 55,
    DRAW_INDEXED_INDIRECT = 56,
};

struct recording {
    struct bytes stream;
    uint32_t commands; /* how many are in the stream */
    uint64_t number;
    struct object **held; /* what the commands name, kept until they are submitted */
    size_t held_count, held_capacity;
    const char *error; /* the first one: told when the recording is finished */
};

void begin_recording(struct recording *recording);
void end_recording(struct recording *recording);
/* Gives back what is held; the commands stay. */
void let_go(struct recording *recording);
void refuse(struct recording *recording, const char *reason);
/* The handle of an object that a command names. */
uint32_t use(struct recording *recording, const void *object);
/* A command with so many words besides its first one: those, to be filled in. */
uint32_t *record(struct recording *recording, enum command command, uint16_t words);
/* A command that ends with a text. */
void record_text(struct recording *recording, enum command command, WGPUStringView text);
void record_bind_group(struct recording *recording, uint32_t index, WGPUBindGroup group, size_t count,
                       const uint32_t *offsets);
/* As a part of a command. */
void put_timestamp_writes(struct recording *recording, const WGPUPassTimestampWrites *writes);

struct WGPUCommandBufferImpl {
    struct object object;
    struct recording recording;
    bool submitted;
};

/* A pass records into its encoder, as long as it is open. */
struct pass {
    struct object object;
    WGPUCommandEncoder encoder;
    bool ended;
};

struct WGPUComputePassEncoderImpl {
    struct pass pass;
};

struct WGPURenderPassEncoderImpl {
    struct pass pass;
};

/* Where the pass records; NULL if it has ended, which is an error of the program. */
struct recording *recording_of(struct pass *pass);
/* Opens a pass in an encoder; returns where its first command is recorded. */
void *begin_pass(WGPUCommandEncoder encoder, size_t size, struct recording **recording);
void end_pass(struct pass *pass, enum command command);

#endif
