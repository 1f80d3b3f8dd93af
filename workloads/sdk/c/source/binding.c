/* Bind groups, and the layouts of them and of pipelines. */
#include "object.h"

#include <stdlib.h>

OBJECT(BindGroup)
OBJECT(BindGroupLayout)
OBJECT(PipelineLayout)

enum { STAGES = 0x7 };
enum { BUFFER = 1, SAMPLER = 2, TEXTURE = 3, STORAGE_TEXTURE = 4 }; /* bindings of a layout */
enum { BUFFER_RANGE = 1, A_SAMPLER = 2, A_TEXTURE_VIEW = 3 };         /* what is bound */

/* In the binding types 0 says that another kind is bound, 1 that the default is meant. */
static uint32_t or_binding_default(uint32_t value, uint32_t instead) { return value <= 1 ? instead : value; }

static void put_buffer(struct bytes *to, const WGPUBufferBindingLayout *buffer) {
    put_word(to, BUFFER);
    put_word(to, or_binding_default(buffer->type, WGPUBufferBindingType_Uniform));
    put_bool(to, buffer->hasDynamicOffset);
    put_long(to, buffer->minBindingSize);
}

static void put_sampler(struct bytes *to, const WGPUSamplerBindingLayout *sampler) {
    put_word(to, SAMPLER);
    put_word(to, or_binding_default(sampler->type, WGPUSamplerBindingType_Filtering));
}

static uint32_t view_dimension(WGPUTextureViewDimension dimension) {
    return dimension ? dimension : WGPUTextureViewDimension_2D;
}

static void put_texture(struct bytes *to, const WGPUTextureBindingLayout *texture) {
    put_word(to, TEXTURE);
    put_word(to, or_binding_default(texture->sampleType, WGPUTextureSampleType_Float));
    put_word(to, view_dimension(texture->viewDimension));
    put_bool(to, texture->multisampled);
}

static void put_storage_texture(struct bytes *to, const WGPUStorageTextureBindingLayout *texture) {
    put_word(to, STORAGE_TEXTURE);
    put_word(to, or_binding_default(texture->access, WGPUStorageTextureAccess_WriteOnly));
    put_value(to, texture->format);
    put_word(to, view_dimension(texture->viewDimension));
}

static void put_layout_entry(struct bytes *to, const WGPUBindGroupLayoutEntry *entry) {
    put_word(to, entry->binding);
    put_flags(to, entry->visibility, STAGES);
    int kinds = (entry->buffer.type != 0) + (entry->sampler.type != 0) + (entry->texture.sampleType != 0) +
                (entry->storageTexture.access != 0);
    /* Neither arrays of bindings nor external textures are among what the host has. */
    if (kinds != 1 || entry->bindingArraySize > 1) to->refused = true;
    if (entry->buffer.type) put_buffer(to, &entry->buffer);
    if (entry->sampler.type) put_sampler(to, &entry->sampler);
    if (entry->texture.sampleType) put_texture(to, &entry->texture);
    if (entry->storageTexture.access) put_storage_texture(to, &entry->storageTexture);
}

WGPUBindGroupLayout wgpuDeviceCreateBindGroupLayout(WGPUDevice device, WGPUBindGroupLayoutDescriptor const *asked) {
    struct bytes descriptor = begin_descriptor(KIND_BIND_GROUP_LAYOUT);
    put_text(&descriptor, asked->label);
    put_word(&descriptor, (uint32_t)asked->entryCount);
    for (size_t i = 0; i < asked->entryCount; i++) put_layout_entry(&descriptor, &asked->entries[i]);
    return create_plain(device, KIND_BIND_GROUP_LAYOUT, &descriptor);
}

WGPUPipelineLayout wgpuDeviceCreatePipelineLayout(WGPUDevice device, WGPUPipelineLayoutDescriptor const *asked) {
    if (asked->immediateSize) return create_invalid(device, "the host has no immediates");
    struct bytes descriptor = begin_descriptor(KIND_PIPELINE_LAYOUT);
    put_text(&descriptor, asked->label);
    put_word(&descriptor, (uint32_t)asked->bindGroupLayoutCount);
    for (size_t i = 0; i < asked->bindGroupLayoutCount; i++) {
        put_word(&descriptor, handle_of(asked->bindGroupLayouts[i]));
    }
    return create_plain(device, KIND_PIPELINE_LAYOUT, &descriptor);
}

static void put_entry(struct bytes *to, const WGPUBindGroupEntry *entry) {
    put_word(to, entry->binding);
    if ((entry->buffer != NULL) + (entry->sampler != NULL) + (entry->textureView != NULL) != 1) to->refused = true;
    if (entry->buffer) {
        put_word(to, BUFFER_RANGE);
        put_word(to, handle_of(entry->buffer));
        put_long(to, entry->offset);
        put_long(to, entry->size);
    } else {
        put_word(to, entry->sampler ? A_SAMPLER : A_TEXTURE_VIEW);
        put_word(to, entry->sampler ? handle_of(entry->sampler) : handle_of(entry->textureView));
    }
}

WGPUBindGroup wgpuDeviceCreateBindGroup(WGPUDevice device, WGPUBindGroupDescriptor const *asked) {
    struct bytes descriptor = begin_descriptor(KIND_BIND_GROUP);
    put_text(&descriptor, asked->label);
    put_word(&descriptor, handle_of(asked->layout));
    put_word(&descriptor, (uint32_t)asked->entryCount);
    for (size_t i = 0; i < asked->entryCount; i++) put_entry(&descriptor, &asked->entries[i]);
    return create_plain(device, KIND_BIND_GROUP, &descriptor);
}
