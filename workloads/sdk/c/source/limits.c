#include "limits.h"

#include <string.h>

/* In the order of the encoding, which is that of WGPULimits, with what every device has. */
#define FOR_EACH_LIMIT(WORD, LONG) \
    WORD(maxTextureDimension1D, 8192) \
    WORD(maxTextureDimension2D, 8192) \
    WORD(maxTextureDimension3D, 2048) \
    WORD(maxTextureArrayLayers, 256) \
    WORD(maxBindGroups, 4) \
    WORD(maxBindGroupsPlusVertexBuffers, 24) \
    WORD(maxBindingsPerBindGroup, 1000) \
    WORD(maxDynamicUniformBuffersPerPipelineLayout, 8) \
    WORD(maxDynamicStorageBuffersPerPipelineLayout, 4) \
    WORD(maxSampledTexturesPerShaderStage, 16) \
    WORD(maxSamplersPerShaderStage, 16) \
    WORD(maxStorageBuffersPerShaderStage, 8) \
    WORD(maxStorageTexturesPerShaderStage, 4) \
    WORD(maxUniformBuffersPerShaderStage, 12) \
    LONG(maxUniformBufferBindingSize, 64 << 10) \
    LONG(maxStorageBufferBindingSize, 128 << 20) \
    WORD(minUniformBufferOffsetAlignment, 256) \
    WORD(minStorageBufferOffsetAlignment, 256) \
    WORD(maxVertexBuffers, 8) \
    LONG(maxBufferSize, 256 << 20) \
    WORD(maxVertexAttributes, 16) \
    WORD(maxVertexBufferArrayStride, 2048) \
    WORD(maxInterStageShaderVariables, 16) \
    WORD(maxColorAttachments, 8) \
    WORD(maxColorAttachmentBytesPerSample, 32) \
    WORD(maxComputeWorkgroupStorageSize, 16384) \
    WORD(maxComputeInvocationsPerWorkgroup, 256) \
    WORD(maxComputeWorkgroupSizeX, 256) \
    WORD(maxComputeWorkgroupSizeY, 256) \
    WORD(maxComputeWorkgroupSizeZ, 64) \
    WORD(maxComputeWorkgroupsPerDimension, 65535)

static const WGPULimits none = WGPU_LIMITS_INIT;

void take_limits(struct reader *from, WGPULimits *limits) {
    *limits = none;
    limits->maxImmediateSize = 0;
#define WORD(name, least) limits->name = take_word(from);
#define LONG(name, least) limits->name = take_long(from);
    FOR_EACH_LIMIT(WORD, LONG)
#undef WORD
#undef LONG
}

void put_limits(struct bytes *to, const WGPULimits *limits) {
#define WORD(name, least) put_word(to, limits->name);
#define LONG(name, least) put_long(to, limits->name);
    FOR_EACH_LIMIT(WORD, LONG)
#undef WORD
#undef LONG
}

WGPUStatus copy_limits(const WGPULimits *from, WGPULimits *to) {
    WGPUChainedStruct *next = to->nextInChain;
    if (next && (next->sType != WGPUSType_CompatibilityModeLimits || next->next)) return WGPUStatus_Error;
    *to = *from;
    to->nextInChain = next;
    if (next) {
        WGPUCompatibilityModeLimits *by_stage = (WGPUCompatibilityModeLimits *)(void *)next;
        by_stage->maxStorageBuffersInVertexStage = from->maxStorageBuffersPerShaderStage;
        by_stage->maxStorageBuffersInFragmentStage = from->maxStorageBuffersPerShaderStage;
        by_stage->maxStorageTexturesInVertexStage = from->maxStorageTexturesPerShaderStage;
        by_stage->maxStorageTexturesInFragmentStage = from->maxStorageTexturesPerShaderStage;
    }
    return WGPUStatus_Success;
}

/* Alignments are better when they are smaller, everything else when it is greater. */
static bool is_better(const char *name, uint64_t asked, uint64_t least) {
    return strncmp(name, "min", 3) == 0 ? asked < least : asked > least;
}

WGPULimits requested_limits(const WGPULimits *asked) {
    WGPULimits limits = none;
    if (!asked) asked = &none;
    limits.maxImmediateSize = asked->maxImmediateSize == WGPU_LIMIT_U32_UNDEFINED ? 0 : asked->maxImmediateSize;
#define REQUEST(name, least, undefined) \
    limits.name = asked->name != (undefined) && is_better(#name, asked->name, least) ? asked->name : (least);
#define WORD(name, least) REQUEST(name, least, WGPU_LIMIT_U32_UNDEFINED)
#define LONG(name, least) REQUEST(name, least, WGPU_LIMIT_U64_UNDEFINED)
    FOR_EACH_LIMIT(WORD, LONG)
#undef WORD
#undef LONG
    return limits;
}
