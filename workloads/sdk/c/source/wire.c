#include "wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DESCRIPTOR_VERSION = 1, LONGEST_LABEL = 1024 };

void *allocate(size_t size) {
    void *memory = calloc(1, size ? size : 1);
    if (!memory) {
        fputs("webgpu: out of memory\n", stderr);
        abort();
    }
    return memory;
}

uint32_t *extend(struct bytes *to, size_t words) {
    size_t length = to->length + words * sizeof(uint32_t);
    if (length > to->capacity) {
        size_t capacity = to->capacity ? to->capacity : 64;
        while (capacity < length) capacity *= 2;
        uint8_t *data = realloc(to->data, capacity);
        if (!data) {
            fputs("webgpu: out of memory\n", stderr);
            abort();
        }
        to->data = data;
        to->capacity = capacity;
    }
    uint32_t *room = (uint32_t *)(void *)(to->data + to->length);
    to->length = length;
    return room;
}

void put_word(struct bytes *to, uint32_t word) { *extend(to, 1) = word; }

void set_long(uint32_t *words, uint64_t value) {
    words[0] = (uint32_t)value;
    words[1] = (uint32_t)(value >> 32);
}

void put_long(struct bytes *to, uint64_t value) { set_long(extend(to, 2), value); }

void put_float(struct bytes *to, float value) { memcpy(extend(to, 1), &value, sizeof value); }

void put_double(struct bytes *to, double value) { memcpy(extend(to, 2), &value, sizeof value); }

void put_bool(struct bytes *to, WGPUBool value) { put_word(to, value != 0); }

void put_value(struct bytes *to, uint32_t value) {
    if (value == 0) to->refused = true;
    put_word(to, value);
}

void put_flags(struct bytes *to, WGPUFlags flags, uint32_t all) {
    if (flags & ~(WGPUFlags)all) to->refused = true;
    put_word(to, (uint32_t)flags);
}

static void put_characters(struct bytes *to, const char *characters, size_t length) {
    size_t words = (length + 3) / 4;
    put_word(to, (uint32_t)length);
    if (words == 0) return;
    uint32_t *room = extend(to, words);
    room[words - 1] = 0;
    memcpy(room, characters, length);
}

void put_text(struct bytes *to, WGPUStringView text) { put_characters(to, text.data, text_length(text)); }

void put_label(struct bytes *to, WGPUStringView label) {
    size_t length = text_length(label);
    if (length > LONGEST_LABEL) {
        length = LONGEST_LABEL;
        while (length && ((uint8_t)label.data[length] & 0xc0) == 0x80) length--; /* not within a character */
    }
    put_characters(to, label.data, length);
}

void put_extent(struct bytes *to, const WGPUExtent3D *size) {
    put_word(to, size->width);
    put_word(to, size->height);
    put_word(to, size->depthOrArrayLayers);
}

void put_texel_layout(struct bytes *to, const WGPUTexelCopyBufferLayout *layout) {
    put_long(to, layout->offset);
    put_word(to, layout->bytesPerRow);
    put_word(to, layout->rowsPerImage);
}

void put_texture_texels(struct bytes *to, uint32_t texture, const WGPUTexelCopyTextureInfo *texels) {
    put_word(to, texture);
    put_word(to, texels->mipLevel);
    put_word(to, texels->origin.x);
    put_word(to, texels->origin.y);
    put_word(to, texels->origin.z);
    put_word(to, or_default(texels->aspect, WGPUTextureAspect_All));
}

struct bytes begin_descriptor(uint16_t kind) {
    struct bytes descriptor = {0};
    put_word(&descriptor, DESCRIPTOR_VERSION | (uint32_t)kind << 16);
    put_word(&descriptor, 0);
    return descriptor;
}

void end_descriptor(struct bytes *descriptor) {
    uint32_t length = (uint32_t)(descriptor->length - 8);
    memcpy(descriptor->data + 4, &length, sizeof length);
}

size_t begin_command(struct bytes *stream, uint16_t opcode) {
    size_t at = stream->length;
    put_word(stream, opcode);
    return at;
}

void end_command(struct bytes *stream, size_t at) {
    uint32_t words = (uint32_t)((stream->length - at) / 4), first;
    memcpy(&first, stream->data + at, sizeof first);
    first |= words << 16;
    memcpy(stream->data + at, &first, sizeof first);
}

uint32_t *put_command(struct bytes *stream, uint16_t opcode, uint16_t words) {
    uint32_t *room = extend(stream, words + 1u);
    room[0] = opcode | (words + 1u) << 16;
    return room + 1;
}

uint32_t take_word(struct reader *from) {
    uint32_t word = 0;
    if (from->left < sizeof word) {
        from->left = 0;
        return 0;
    }
    memcpy(&word, from->at, sizeof word);
    from->at += sizeof word;
    from->left -= sizeof word;
    return word;
}

uint64_t take_long(struct reader *from) {
    uint64_t low = take_word(from);
    return low | (uint64_t)take_word(from) << 32;
}

WGPUStringView take_text(struct reader *from) {
    size_t length = take_word(from), padded = (length + 3) & ~(size_t)3;
    if (padded < length || padded > from->left) length = padded = from->left = 0;
    WGPUStringView text = {(const char *)from->at, length};
    from->at += padded;
    from->left -= padded;
    return (WGPUStringView){copy_text(text), length};
}

size_t text_length(WGPUStringView text) {
    if (!text.data) return 0;
    return text.length == WGPU_STRLEN ? strlen(text.data) : text.length;
}

char *copy_text(WGPUStringView text) {
    size_t length = text_length(text);
    char *copy = allocate(length + 1);
    if (length) memcpy(copy, text.data, length);
    return copy;
}

WGPUStringView text_of(const char *text) { return (WGPUStringView){text, text ? strlen(text) : 0}; }
