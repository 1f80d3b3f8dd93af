/* Encoding of descriptors and command streams in words of four bytes, and decoding of what the host tells. */
#ifndef WHERRY_WIRE_H
#define WHERRY_WIRE_H

#include <stdbool.h>
#include <webgpu/webgpu.h>

struct bytes {
    uint8_t *data;
    size_t length, capacity;
    bool refused; /* something in it has no encoding: the host would end the job */
};

/* Memory that is never refused: without it the program ends with a message, as it would by a trap. */
void *allocate(size_t size);

/* Room for so many words at the end. */
uint32_t *extend(struct bytes *to, size_t words);

void put_word(struct bytes *to, uint32_t word);
void put_long(struct bytes *to, uint64_t value);
void put_float(struct bytes *to, float value);
void put_double(struct bytes *to, double value);
/* 0 or 1: any other truth would be refused. */
void put_bool(struct bytes *to, WGPUBool value);
/* A value that must be given: 0 is refused. */
void put_value(struct bytes *to, uint32_t value);
/* Some of the flags `all`: others are refused. */
void put_flags(struct bytes *to, WGPUFlags flags, uint32_t all);
void put_text(struct bytes *to, WGPUStringView text);
/* At most as much of a label as fits into any command. */
void put_label(struct bytes *to, WGPUStringView label);

/* Parts of descriptors and commands alike. */
void put_extent(struct bytes *to, const WGPUExtent3D *size);
void put_texel_layout(struct bytes *to, const WGPUTexelCopyBufferLayout *layout);
void put_texture_texels(struct bytes *to, uint32_t texture, const WGPUTexelCopyTextureInfo *texels);

/* What an enumeration's "undefined", which is 0, stands for. */
static inline uint32_t or_default(uint32_t value, uint32_t instead) { return value ? value : instead; }

struct bytes begin_descriptor(uint16_t kind);
void end_descriptor(struct bytes *descriptor);

/* A command's first word, to be completed when its end is known; returns where it is. */
size_t begin_command(struct bytes *stream, uint16_t opcode);
void end_command(struct bytes *stream, size_t at);
/* A command with so many words besides its first one: those, to be filled in. */
uint32_t *put_command(struct bytes *stream, uint16_t opcode, uint16_t words);
/* As two words, the lower first. */
void set_long(uint32_t *words, uint64_t value);

struct reader {
    const uint8_t *at;
    size_t left;
};

/* What is beyond the end reads as zero: the host is trusted, but may be newer. */
uint32_t take_word(struct reader *from);
uint64_t take_long(struct reader *from);
/* A copy that is ended by a zero byte, to be freed. */
WGPUStringView take_text(struct reader *from);

size_t text_length(WGPUStringView text);
/* A copy that is ended by a zero byte, to be freed; never NULL. */
char *copy_text(WGPUStringView text);
WGPUStringView text_of(const char *text);

#endif
