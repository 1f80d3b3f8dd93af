#include "recording.h"

#include <stdlib.h>

enum { MOST_WORDS = UINT16_MAX };

void begin_recording(struct recording *recording) {
    static uint64_t last;
    *recording = (struct recording){.number = ++last};
}

void let_go(struct recording *recording) {
    for (size_t i = 0; i < recording->held_count; i++) {
        if (recording->held[i]->held_by == recording->number) recording->held[i]->held_by = 0;
        release(recording->held[i]);
    }
    free(recording->held);
    recording->held = NULL;
    recording->held_count = recording->held_capacity = 0;
}

void end_recording(struct recording *recording) {
    let_go(recording);
    free(recording->stream.data);
    recording->stream = (struct bytes){0};
}

void refuse(struct recording *recording, const char *reason) {
    if (!recording->error) recording->error = reason;
}

/* What is used over and over is held once; twice if another recording has used it in between. */
uint32_t use(struct recording *recording, const void *of) {
    struct object *object = (struct object *)of;
    if (!object) return 0;
    if (object->held_by != recording->number) {
        if (recording->held_count == recording->held_capacity) {
            recording->held_capacity = recording->held_capacity ? 2 * recording->held_capacity : 16;
            recording->held = realloc(recording->held, recording->held_capacity * sizeof *recording->held);
            if (!recording->held) abort();
        }
        retain(object);
        object->held_by = recording->number;
        recording->held[recording->held_count++] = object;
    }
    return object->handle;
}

uint32_t *record(struct recording *recording, enum command command, uint16_t words) {
    recording->commands++;
    return put_command(&recording->stream, command, words);
}

void record_text(struct recording *recording, enum command command, WGPUStringView text) {
    size_t at = begin_command(&recording->stream, command);
    put_label(&recording->stream, text);
    end_command(&recording->stream, at);
    recording->commands++;
}

void record_bind_group(struct recording *recording, uint32_t index, WGPUBindGroup group, size_t count,
                       const uint32_t *offsets) {
    if (count > MOST_WORDS - 4) {
        refuse(recording, "there are more dynamic offsets than any bind group has");
        return;
    }
    uint32_t handle = use(recording, group);
    uint32_t *words = record(recording, SET_BIND_GROUP, (uint16_t)(3 + count));
    words[0] = index;
    words[1] = handle;
    words[2] = (uint32_t)count;
    for (size_t i = 0; i < count; i++) words[3 + i] = offsets[i];
}

void put_timestamp_writes(struct recording *recording, const WGPUPassTimestampWrites *writes) {
    put_bool(&recording->stream, writes != NULL);
    if (!writes) return;
    put_word(&recording->stream, use(recording, writes->querySet));
    put_word(&recording->stream, writes->beginningOfPassWriteIndex);
    put_word(&recording->stream, writes->endOfPassWriteIndex);
}
