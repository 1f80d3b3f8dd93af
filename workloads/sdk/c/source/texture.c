/* Textures with their views, samplers, and query sets. */
#include "object.h"

OBJECT(Texture)
OBJECT(TextureView)
OBJECT(Sampler)
OBJECT(QuerySet)

enum { USAGES = 0x1f };

struct WGPUTextureImpl {
    struct object object;
    WGPUTextureUsage usage;
    WGPUTextureDimension dimension;
    WGPUExtent3D size;
    WGPUTextureFormat format;
    uint32_t mip_level_count, sample_count;
    WGPUTextureViewDimension binding_dimension;
};

struct WGPUQuerySetImpl {
    struct object object;
    WGPUQueryType type;
    uint32_t count;
};

/* --- Textures --------------------------------------------------------------------------------- */

static WGPUTextureViewDimension binding_dimension(const WGPUTextureDescriptor *asked) {
    for (const WGPUChainedStruct *next = asked->nextInChain; next; next = next->next) {
        if (next->sType != WGPUSType_TextureBindingViewDimension) continue;
        const WGPUTextureBindingViewDimension *given = (const void *)next;
        if (given->textureBindingViewDimension) return given->textureBindingViewDimension;
    }
    switch (asked->dimension) {
    case WGPUTextureDimension_1D: return WGPUTextureViewDimension_1D;
    case WGPUTextureDimension_3D: return WGPUTextureViewDimension_3D;
    default: return asked->size.depthOrArrayLayers > 1 ? WGPUTextureViewDimension_2DArray : WGPUTextureViewDimension_2D;
    }
}

WGPUTexture wgpuDeviceCreateTexture(WGPUDevice device, WGPUTextureDescriptor const *asked) {
    WGPUTexture texture = new_object(device, sizeof *texture, NULL);
    texture->usage = asked->usage;
    texture->dimension = or_default(asked->dimension, WGPUTextureDimension_2D);
    texture->size = asked->size;
    texture->format = asked->format;
    texture->mip_level_count = asked->mipLevelCount;
    texture->sample_count = asked->sampleCount;
    texture->binding_dimension = binding_dimension(asked);

    struct bytes descriptor = begin_descriptor(KIND_TEXTURE);
    put_text(&descriptor, asked->label);
    put_extent(&descriptor, &asked->size);
    put_word(&descriptor, asked->mipLevelCount);
    put_word(&descriptor, asked->sampleCount);
    put_value(&descriptor, texture->dimension);
    put_value(&descriptor, asked->format);
    put_flags(&descriptor, asked->usage, USAGES);
    put_word(&descriptor, (uint32_t)asked->viewFormatCount);
    for (size_t i = 0; i < asked->viewFormatCount; i++) put_value(&descriptor, asked->viewFormats[i]);
    create(texture, KIND_TEXTURE, &descriptor);
    return texture;
}

void wgpuTextureDestroy(WGPUTexture texture) {
    WGPUDevice device = texture->object.device;
    if (!device->closed) raise_status(device, gpu_destroy(texture->object.handle));
}

uint32_t wgpuTextureGetWidth(WGPUTexture texture) { return texture->size.width; }
uint32_t wgpuTextureGetHeight(WGPUTexture texture) { return texture->size.height; }
uint32_t wgpuTextureGetDepthOrArrayLayers(WGPUTexture texture) { return texture->size.depthOrArrayLayers; }
uint32_t wgpuTextureGetMipLevelCount(WGPUTexture texture) { return texture->mip_level_count; }
uint32_t wgpuTextureGetSampleCount(WGPUTexture texture) { return texture->sample_count; }
WGPUTextureDimension wgpuTextureGetDimension(WGPUTexture texture) { return texture->dimension; }
WGPUTextureFormat wgpuTextureGetFormat(WGPUTexture texture) { return texture->format; }
WGPUTextureUsage wgpuTextureGetUsage(WGPUTexture texture) { return texture->usage; }
WGPUTextureViewDimension wgpuTextureGetTextureBindingViewDimension(WGPUTexture texture) {
    return texture->binding_dimension;
}

/* --- Views ------------------------------------------------------------------------------------ */

static const WGPUTextureViewDescriptor whole_view = WGPU_TEXTURE_VIEW_DESCRIPTOR_INIT;

static bool is_or_default(WGPUComponentSwizzle given, WGPUComponentSwizzle component) {
    return given == WGPUComponentSwizzle_Undefined || given == component;
}

static bool swizzles(const WGPUTextureViewDescriptor *asked) {
    for (const WGPUChainedStruct *next = asked->nextInChain; next; next = next->next) {
        if (next->sType != WGPUSType_TextureComponentSwizzleDescriptor) continue;
        const WGPUTextureComponentSwizzle *given = &((const WGPUTextureComponentSwizzleDescriptor *)(const void *)next)->swizzle;
        bool identity = is_or_default(given->r, WGPUComponentSwizzle_R) && is_or_default(given->g, WGPUComponentSwizzle_G) &&
                        is_or_default(given->b, WGPUComponentSwizzle_B) && is_or_default(given->a, WGPUComponentSwizzle_A);
        if (!identity) return true;
    }
    return false;
}

WGPUTextureView wgpuTextureCreateView(WGPUTexture texture, WGPUTextureViewDescriptor const *asked) {
    WGPUDevice device = texture->object.device;
    if (!asked) asked = &whole_view;
    if (swizzles(asked)) return create_invalid(device, "a view of a texture cannot exchange its components here");
    struct bytes descriptor = begin_descriptor(KIND_TEXTURE_VIEW);
    put_text(&descriptor, asked->label);
    put_word(&descriptor, texture->object.handle);
    put_word(&descriptor, asked->format);
    put_word(&descriptor, asked->dimension);
    put_flags(&descriptor, asked->usage, USAGES);
    put_word(&descriptor, or_default(asked->aspect, WGPUTextureAspect_All));
    put_word(&descriptor, asked->baseMipLevel);
    put_word(&descriptor, asked->mipLevelCount);
    put_word(&descriptor, asked->baseArrayLayer);
    put_word(&descriptor, asked->arrayLayerCount);
    return create_plain(device, KIND_TEXTURE_VIEW, &descriptor);
}

/* --- Samplers --------------------------------------------------------------------------------- */

static const WGPUSamplerDescriptor least_sampler = WGPU_SAMPLER_DESCRIPTOR_INIT;

WGPUSampler wgpuDeviceCreateSampler(WGPUDevice device, WGPUSamplerDescriptor const *asked) {
    if (!asked) asked = &least_sampler;
    struct bytes descriptor = begin_descriptor(KIND_SAMPLER);
    put_text(&descriptor, asked->label);
    put_word(&descriptor, or_default(asked->addressModeU, WGPUAddressMode_ClampToEdge));
    put_word(&descriptor, or_default(asked->addressModeV, WGPUAddressMode_ClampToEdge));
    put_word(&descriptor, or_default(asked->addressModeW, WGPUAddressMode_ClampToEdge));
    put_word(&descriptor, or_default(asked->magFilter, WGPUFilterMode_Nearest));
    put_word(&descriptor, or_default(asked->minFilter, WGPUFilterMode_Nearest));
    put_word(&descriptor, or_default(asked->mipmapFilter, WGPUMipmapFilterMode_Nearest));
    put_float(&descriptor, asked->lodMinClamp);
    put_float(&descriptor, asked->lodMaxClamp);
    put_word(&descriptor, asked->compare);
    put_word(&descriptor, asked->maxAnisotropy);
    return create_plain(device, KIND_SAMPLER, &descriptor);
}

/* --- Query sets ------------------------------------------------------------------------------- */

WGPUQuerySet wgpuDeviceCreateQuerySet(WGPUDevice device, WGPUQuerySetDescriptor const *asked) {
    WGPUQuerySet set = new_object(device, sizeof *set, NULL);
    set->type = asked->type;
    set->count = asked->count;
    struct bytes descriptor = begin_descriptor(KIND_QUERY_SET);
    put_text(&descriptor, asked->label);
    put_value(&descriptor, asked->type);
    put_word(&descriptor, asked->count);
    create(set, KIND_QUERY_SET, &descriptor);
    return set;
}

void wgpuQuerySetDestroy(WGPUQuerySet set) {
    WGPUDevice device = set->object.device;
    if (!device->closed) raise_status(device, gpu_destroy(set->object.handle));
}

uint32_t wgpuQuerySetGetCount(WGPUQuerySet set) { return set->count; }
WGPUQueryType wgpuQuerySetGetType(WGPUQuerySet set) { return set->type; }
