/* vectors DIRECTORY: holds the library's encoding, and its decoding of what a host tells, against the vectors of the
 * interface. It is its own host: one that notes what it is given. */
#include "../source/recording.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *directory;
static int failures;

/* --- Vectors ---------------------------------------------------------------------------------- */

/* The bytes of NAME.hex, which has digits and white space. */
static struct bytes vector(const char *name) {
    char path[1024];
    snprintf(path, sizeof path, "%s/%s.hex", directory, name);
    FILE *file = fopen(path, "r");
    if (!file) {
        fprintf(stderr, "vectors: %s cannot be read\n", path);
        exit(1);
    }
    struct bytes bytes = {0};
    unsigned byte;
    while (fscanf(file, "%2x", &byte) == 1) {
        bytes.data = realloc(bytes.data, bytes.length + 1);
        if (!bytes.data) abort();
        bytes.data[bytes.length++] = (uint8_t)byte;
    }
    fclose(file);
    return bytes;
}

static void report(const char *name, bool same) {
    printf("%s %s\n", same ? "ok" : "DIFFERS", name);
    failures += !same;
}

/* --- The host --------------------------------------------------------------------------------- */

static struct bytes given; /* the last descriptor or stream */

static void note(const uint8_t *data, size_t length) {
    free(given.data);
    given.data = malloc(length);
    if (!given.data) abort();
    memcpy(given.data, data, length);
    given.length = length;
}

static void expect(const char *name) {
    struct bytes wanted = vector(name);
    report(name, given.length == wanted.length && memcmp(given.data, wanted.data, wanted.length) == 0);
    free(wanted.data);
}

static size_t tell(const char *name, uint8_t *to, size_t capacity) {
    struct bytes record = vector(name);
    if (record.length <= capacity) memcpy(to, record.data, record.length);
    free(record.data);
    return record.length;
}

uint32_t gpu_version(void) { return ABI_VERSION; }
size_t gpu_adapter(uint8_t *to, size_t capacity) { return tell("record_adapter", to, capacity); }
size_t gpu_error(uint8_t *to, size_t capacity) { return tell("record_error", to, capacity); }
size_t gpu_messages(uint32_t module, uint8_t *to, size_t capacity) {
    (void)module;
    return tell("record_messages", to, capacity);
}

uint32_t gpu_open(const uint8_t *descriptor, size_t length) {
    note(descriptor, length);
    return GPU_OK;
}

uint32_t gpu_create(uint32_t kind, uint32_t handle, const uint8_t *descriptor, size_t length) {
    (void)handle;
    uint16_t header[2];
    memcpy(header, descriptor, sizeof header);
    if (header[1] != kind) failures++;
    note(descriptor, length);
    return GPU_OK;
}

uint32_t gpu_write_texture(const uint8_t *descriptor, size_t descriptor_length, const void *from, size_t length) {
    (void)from;
    (void)length;
    note(descriptor, descriptor_length);
    return GPU_OK;
}

static bool refuses;

int64_t gpu_submit(const uint8_t *stream, size_t length, uint32_t mode) {
    note(stream, length);
    if (refuses) return -GPU_VALIDATION;
    return mode == SUBMIT_RUN;
}

void gpu_close(void) {}
void gpu_drop(uint32_t handle) { (void)handle; }
uint32_t gpu_destroy(uint32_t handle) { return handle ? GPU_OK : GPU_VALIDATION; }
uint32_t gpu_unmap(uint32_t buffer) { return buffer ? GPU_OK : GPU_VALIDATION; }
uint32_t gpu_wait(uint64_t submission, uint64_t nanoseconds) {
    static uint64_t done; /* work is done when it is waited for */
    if (nanoseconds > 0) done = submission;
    return submission <= done ? GPU_OK : GPU_TIMEOUT;
}
uint32_t gpu_map(uint32_t buffer, uint32_t mode, uint64_t offset, uint64_t size) {
    (void)offset;
    (void)size;
    return buffer && mode ? GPU_OK : GPU_VALIDATION;
}
uint32_t gpu_read(uint32_t buffer, uint64_t offset, void *to, size_t length) {
    (void)offset;
    memset(to, 7, length);
    return buffer ? GPU_OK : GPU_VALIDATION;
}
uint32_t gpu_write(uint32_t buffer, uint64_t offset, const void *from, size_t length) {
    (void)offset;
    note(from, length);
    return buffer ? GPU_OK : GPU_VALIDATION;
}

/* --- The program ------------------------------------------------------------------------------ */

static WGPUInstance instance;
static WGPUDevice device;

static WGPUStringView text(const char *text) { return (WGPUStringView){text, WGPU_STRLEN}; }

/* An object that the host is to know by this handle. None is given back: their handles are not the library's. */
static void *named(uint32_t handle) {
    struct object *object = new_object(device, 256, NULL);
    object->handle = handle;
    return object;
}

static void keep_adapter(WGPURequestAdapterStatus status, WGPUAdapter adapter, WGPUStringView message, void *to, void *unused) {
    (void)status;
    (void)message;
    (void)unused;
    *(WGPUAdapter *)to = adapter;
}

static void keep_device(WGPURequestDeviceStatus status, WGPUDevice opened, WGPUStringView message, void *to, void *unused) {
    (void)status;
    (void)message;
    (void)unused;
    *(WGPUDevice *)to = opened;
}

static bool same_text(WGPUStringView a, const char *b) { return a.length == strlen(b) && memcmp(a.data, b, a.length) == 0; }

static void adapter_and_device(void) {
    WGPUAdapter adapter = NULL;
    WGPURequestAdapterCallbackInfo for_adapter = {NULL, WGPUCallbackMode_AllowSpontaneous, keep_adapter, &adapter, NULL};
    wgpuInstanceRequestAdapter(instance, NULL, for_adapter);
    WGPUAdapterInfo info = WGPU_ADAPTER_INFO_INIT;
    WGPULimits limits = WGPU_LIMITS_INIT;
    wgpuAdapterGetInfo(adapter, &info);
    wgpuAdapterGetLimits(adapter, &limits);
    report("record_adapter", same_text(info.device, "llvmpipe") && info.adapterType == WGPUAdapterType_CPU &&
                                 info.vendorID == 65541 && info.subgroupMaxSize == 128 &&
                                 wgpuAdapterHasFeature(adapter, WGPUFeatureName_ShaderF16) &&
                                 !wgpuAdapterHasFeature(adapter, WGPUFeatureName_Subgroups) &&
                                 limits.maxComputeWorkgroupsPerDimension == 65535);
    wgpuAdapterInfoFreeMembers(info);

    WGPUFeatureName features[] = {WGPUFeatureName_ShaderF16, WGPUFeatureName_TimestampQuery, WGPUFeatureName_ShaderF16};
    WGPULimits asked = WGPU_LIMITS_INIT;
    asked.maxBufferSize = 4294967296;
    asked.maxBindGroups = 2; /* less than every device has */
    WGPUDeviceDescriptor descriptor = WGPU_DEVICE_DESCRIPTOR_INIT;
    descriptor.label = text("mine");
    descriptor.requiredFeatureCount = 3;
    descriptor.requiredFeatures = features;
    descriptor.requiredLimits = &asked;
    WGPURequestDeviceCallbackInfo for_device = {NULL, WGPUCallbackMode_AllowSpontaneous, keep_device, &device, NULL};
    wgpuAdapterRequestDevice(adapter, &descriptor, for_device);
    expect("device");
    wgpuAdapterRelease(adapter);
}

static void resources(void) {
    WGPUBufferDescriptor buffer = WGPU_BUFFER_DESCRIPTOR_INIT;
    buffer.label = text("positions");
    buffer.size = 4294967312;
    buffer.usage = WGPUBufferUsage_Storage | WGPUBufferUsage_CopyDst;
    buffer.mappedAtCreation = WGPU_TRUE;
    bool mapped = wgpuDeviceCreateBuffer(device, &buffer);
    expect("buffer");
    report("buffer that does not fit into memory", mapped == (SIZE_MAX > UINT32_MAX));

    WGPUTextureFormat srgb = WGPUTextureFormat_RGBA8UnormSrgb;
    WGPUTextureDescriptor texture = WGPU_TEXTURE_DESCRIPTOR_INIT;
    texture.size = (WGPUExtent3D){640, 480, 6};
    texture.mipLevelCount = 3;
    texture.format = WGPUTextureFormat_RGBA8Unorm;
    texture.usage = WGPUTextureUsage_TextureBinding | WGPUTextureUsage_RenderAttachment;
    texture.viewFormatCount = 1;
    texture.viewFormats = &srgb;
    wgpuTextureRelease(wgpuDeviceCreateTexture(device, &texture));
    expect("texture");

    WGPUTextureViewDescriptor view = WGPU_TEXTURE_VIEW_DESCRIPTOR_INIT;
    view.label = text("face");
    view.format = srgb;
    view.usage = WGPUTextureUsage_TextureBinding;
    view.baseMipLevel = 1;
    view.baseArrayLayer = 2;
    view.arrayLayerCount = 1;
    wgpuTextureViewRelease(wgpuTextureCreateView(named(12), &view));
    expect("texture_view");

    WGPUSamplerDescriptor sampler = WGPU_SAMPLER_DESCRIPTOR_INIT;
    sampler.label = text("shadow");
    sampler.addressModeV = WGPUAddressMode_Repeat;
    sampler.addressModeW = WGPUAddressMode_MirrorRepeat;
    sampler.magFilter = WGPUFilterMode_Linear;
    sampler.mipmapFilter = WGPUMipmapFilterMode_Linear;
    sampler.lodMinClamp = 0.5f;
    sampler.compare = WGPUCompareFunction_LessEqual;
    wgpuSamplerRelease(wgpuDeviceCreateSampler(device, &sampler));
    expect("sampler");

    WGPUQuerySetDescriptor set = WGPU_QUERY_SET_DESCRIPTOR_INIT;
    set.label = text("visible");
    set.type = WGPUQueryType_Occlusion;
    set.count = 16;
    wgpuQuerySetRelease(wgpuDeviceCreateQuerySet(device, &set));
    expect("query_set");

    WGPUTexelCopyTextureInfo to = {named(12), 1, {8, 4, 1}, WGPUTextureAspect_All};
    WGPUTexelCopyBufferLayout layout = {16, 2560, 480};
    WGPUExtent3D size = {640, 480, 2};
    wgpuQueueWriteTexture(wgpuDeviceGetQueue(device), &to, "", 0, &layout, &size);
    expect("texture_write");
}

static void bindings(void) {
    WGPUBindGroupLayoutEntry entries[4];
    for (int i = 0; i < 4; i++) entries[i] = (WGPUBindGroupLayoutEntry)WGPU_BIND_GROUP_LAYOUT_ENTRY_INIT;
    entries[0].visibility = WGPUShaderStage_Compute;
    entries[0].buffer.type = WGPUBufferBindingType_ReadOnlyStorage;
    entries[0].buffer.hasDynamicOffset = 7; /* any truth */
    entries[0].buffer.minBindingSize = 16;
    entries[1].binding = 1;
    entries[1].visibility = WGPUShaderStage_Vertex | WGPUShaderStage_Fragment;
    entries[1].sampler.type = WGPUSamplerBindingType_Comparison;
    entries[2].binding = 2;
    entries[2].visibility = WGPUShaderStage_Fragment;
    entries[2].texture.sampleType = WGPUTextureSampleType_Depth;
    entries[2].texture.viewDimension = WGPUTextureViewDimension_Cube;
    entries[3].binding = 5;
    entries[3].visibility = WGPUShaderStage_Compute;
    entries[3].storageTexture.access = WGPUStorageTextureAccess_Undefined; /* the default is write only */
    entries[3].storageTexture.format = WGPUTextureFormat_R32Float;
    entries[3].storageTexture.viewDimension = WGPUTextureViewDimension_2DArray;
    WGPUBindGroupLayoutDescriptor layout = WGPU_BIND_GROUP_LAYOUT_DESCRIPTOR_INIT;
    layout.label = text("all");
    layout.entryCount = 4;
    layout.entries = entries;
    wgpuBindGroupLayoutRelease(wgpuDeviceCreateBindGroupLayout(device, &layout));
    expect("bind_group_layout");

    WGPUBindGroupLayout layouts[3] = {named(7), NULL, named(8)};
    WGPUPipelineLayoutDescriptor pipeline = WGPU_PIPELINE_LAYOUT_DESCRIPTOR_INIT;
    pipeline.label = text("layout");
    pipeline.bindGroupLayoutCount = 3;
    pipeline.bindGroupLayouts = layouts;
    wgpuPipelineLayoutRelease(wgpuDeviceCreatePipelineLayout(device, &pipeline));
    expect("pipeline_layout");

    WGPUBindGroupEntry bound[3] = {WGPU_BIND_GROUP_ENTRY_INIT, WGPU_BIND_GROUP_ENTRY_INIT, WGPU_BIND_GROUP_ENTRY_INIT};
    bound[0].buffer = named(3);
    bound[0].offset = 256;
    bound[1].binding = 1;
    bound[1].sampler = named(4);
    bound[2].binding = 2;
    bound[2].textureView = named(5);
    WGPUBindGroupDescriptor group = WGPU_BIND_GROUP_DESCRIPTOR_INIT;
    group.label = text("scene");
    group.layout = named(7);
    group.entryCount = 3;
    group.entries = bound;
    wgpuBindGroupRelease(wgpuDeviceCreateBindGroup(device, &group));
    expect("bind_group");
}

static void keep_messages(WGPUCompilationInfoRequestStatus status, WGPUCompilationInfo const *info, void *unused1, void *unused2) {
    (void)status;
    (void)unused1;
    (void)unused2;
    const WGPUCompilationMessage *message = info->messages;
    report("record_messages", info->messageCount == 1 && message->type == WGPUCompilationMessageType_Error &&
                                  message->lineNum == 3 && message->linePos == 14 && message->offset == 60 &&
                                  message->length == 5 && same_text(message->message, "unknown identifier"));
}

static void shaders(void) {
    WGPUShaderSourceWGSL source = WGPU_SHADER_SOURCE_WGSL_INIT;
    source.code = text("@compute @workgroup_size(64) fn main() {}");
    WGPUShaderModuleDescriptor code = WGPU_SHADER_MODULE_DESCRIPTOR_INIT;
    code.nextInChain = &source.chain;
    code.label = text("na\xc3\xafve");
    WGPUShaderModule module = wgpuDeviceCreateShaderModule(device, &code);
    expect("shader_module");
    WGPUCompilationInfoCallbackInfo info = {NULL, WGPUCallbackMode_AllowSpontaneous, keep_messages, NULL, NULL};
    wgpuShaderModuleGetCompilationInfo(module, info);
    wgpuShaderModuleRelease(module);

    WGPUConstantEntry constants[2] = {WGPU_CONSTANT_ENTRY_INIT, WGPU_CONSTANT_ENTRY_INIT};
    constants[0].key = text("dt");
    constants[0].value = 0.125;
    constants[1].key = text("17");
    constants[1].value = -1;
    WGPUComputePipelineDescriptor compute = WGPU_COMPUTE_PIPELINE_DESCRIPTOR_INIT;
    compute.label = text("step");
    compute.compute.module = named(6);
    compute.compute.entryPoint = text("main");
    compute.compute.constantCount = 2;
    compute.compute.constants = constants;
    wgpuComputePipelineRelease(wgpuDeviceCreateComputePipeline(device, &compute));
    expect("compute_pipeline");
    wgpuBindGroupLayoutRelease(wgpuComputePipelineGetBindGroupLayout(named(9), 1));
    expect("pipeline_bind_group_layout");
}

static void render_pipelines(void) {
    WGPUVertexAttribute attribute = WGPU_VERTEX_ATTRIBUTE_INIT;
    attribute.format = WGPUVertexFormat_Float32x3;
    attribute.offset = 8;
    attribute.shaderLocation = 2;
    WGPUVertexBufferLayout buffers[2] = {WGPU_VERTEX_BUFFER_LAYOUT_INIT, WGPU_VERTEX_BUFFER_LAYOUT_INIT};
    buffers[1].stepMode = WGPUVertexStepMode_Instance;
    buffers[1].arrayStride = 24;
    buffers[1].attributeCount = 1;
    buffers[1].attributes = &attribute;
    WGPUDepthStencilState depth = WGPU_DEPTH_STENCIL_STATE_INIT;
    depth.format = WGPUTextureFormat_Depth24PlusStencil8;
    depth.depthWriteEnabled = WGPUOptionalBool_True;
    depth.depthCompare = WGPUCompareFunction_Less;
    depth.stencilFront.depthFailOp = WGPUStencilOperation_Invert;
    depth.stencilFront.passOp = WGPUStencilOperation_Replace;
    depth.stencilBack.depthFailOp = WGPUStencilOperation_Invert;
    depth.stencilBack.passOp = WGPUStencilOperation_IncrementWrap;
    depth.stencilReadMask = 255;
    depth.stencilWriteMask = 15;
    depth.depthBias = -2;
    depth.depthBiasSlopeScale = 1.5f;
    depth.depthBiasClamp = 0.25f;
    WGPUBlendState blend = WGPU_BLEND_STATE_INIT;
    blend.color.srcFactor = WGPUBlendFactor_SrcAlpha;
    blend.color.dstFactor = WGPUBlendFactor_OneMinusSrcAlpha;
    blend.alpha.operation = WGPUBlendOperation_Max;
    blend.alpha.dstFactor = WGPUBlendFactor_One;
    WGPUColorTargetState targets[2] = {WGPU_COLOR_TARGET_STATE_INIT, WGPU_COLOR_TARGET_STATE_INIT};
    targets[0].format = WGPUTextureFormat_BGRA8Unorm;
    targets[0].blend = &blend;
    targets[0].writeMask = WGPUColorWriteMask_Red | WGPUColorWriteMask_Alpha;
    WGPUFragmentState fragment = WGPU_FRAGMENT_STATE_INIT;
    fragment.module = named(6);
    fragment.targetCount = 2;
    fragment.targets = targets;
    WGPURenderPipelineDescriptor pipeline = WGPU_RENDER_PIPELINE_DESCRIPTOR_INIT;
    pipeline.label = text("draw");
    pipeline.layout = named(20);
    pipeline.vertex.module = named(6);
    pipeline.vertex.entryPoint = text("vs");
    pipeline.vertex.bufferCount = 2;
    pipeline.vertex.buffers = buffers;
    pipeline.primitive.topology = WGPUPrimitiveTopology_TriangleStrip;
    pipeline.primitive.stripIndexFormat = WGPUIndexFormat_Uint16;
    pipeline.primitive.frontFace = WGPUFrontFace_CW;
    pipeline.primitive.cullMode = WGPUCullMode_Back;
    pipeline.depthStencil = &depth;
    pipeline.multisample.count = 4;
    pipeline.multisample.alphaToCoverageEnabled = WGPU_TRUE;
    pipeline.fragment = &fragment;
    wgpuRenderPipelineRelease(wgpuDeviceCreateRenderPipeline(device, &pipeline));
    expect("render_pipeline");
}

static void bundles(void) {
    WGPUTextureFormat formats[2] = {WGPUTextureFormat_RGBA8Unorm, WGPUTextureFormat_Undefined};
    WGPURenderBundleEncoderDescriptor descriptor = WGPU_RENDER_BUNDLE_ENCODER_DESCRIPTOR_INIT;
    descriptor.label = text("trees");
    descriptor.colorFormatCount = 2;
    descriptor.colorFormats = formats;
    descriptor.depthStencilFormat = WGPUTextureFormat_Depth32Float;
    descriptor.sampleCount = 4;
    descriptor.depthReadOnly = WGPU_TRUE;
    descriptor.stencilReadOnly = WGPU_TRUE;
    WGPURenderBundleEncoder encoder = wgpuDeviceCreateRenderBundleEncoder(device, &descriptor);
    wgpuRenderBundleEncoderSetPipeline(encoder, named(30));
    wgpuRenderBundleEncoderSetBindGroup(encoder, 0, named(31), 0, NULL);
    wgpuRenderBundleEncoderDraw(encoder, 3, 100, 0, 0);
    wgpuRenderBundleRelease(wgpuRenderBundleEncoderFinish(encoder, NULL));
    wgpuRenderBundleEncoderRelease(encoder);
    expect("render_bundle");
}

static WGPUCommandEncoder encoder_named(const char *label) {
    WGPUCommandEncoderDescriptor descriptor = WGPU_COMMAND_ENCODER_DESCRIPTOR_INIT;
    descriptor.label = text(label);
    return wgpuDeviceCreateCommandEncoder(device, &descriptor);
}

static void submit(size_t count, WGPUCommandEncoder const *encoders) {
    WGPUCommandBuffer buffers[2];
    for (size_t i = 0; i < count; i++) buffers[i] = wgpuCommandEncoderFinish(encoders[i], NULL);
    wgpuQueueSubmit(wgpuDeviceGetQueue(device), count, buffers);
    for (size_t i = 0; i < count; i++) {
        wgpuCommandBufferRelease(buffers[i]);
        wgpuCommandEncoderRelease(encoders[i]);
    }
}

static void compute_stream(void) {
    WGPUCommandEncoder encoder = encoder_named("frame");
    WGPUPassTimestampWrites times = WGPU_PASS_TIMESTAMP_WRITES_INIT;
    times.querySet = named(2);
    times.beginningOfPassWriteIndex = 0;
    WGPUComputePassDescriptor descriptor = WGPU_COMPUTE_PASS_DESCRIPTOR_INIT;
    descriptor.timestampWrites = &times;
    WGPUComputePassEncoder pass = wgpuCommandEncoderBeginComputePass(encoder, &descriptor);
    wgpuComputePassEncoderPushDebugGroup(pass, text("group"));
    wgpuComputePassEncoderSetPipeline(pass, named(9));
    wgpuComputePassEncoderSetBindGroup(pass, 1, named(11), 2, (const uint32_t[]){256, 512});
    wgpuComputePassEncoderDispatchWorkgroups(pass, 64, 2, 1);
    wgpuComputePassEncoderDispatchWorkgroupsIndirect(pass, named(3), 12);
    wgpuComputePassEncoderInsertDebugMarker(pass, text("here"));
    wgpuComputePassEncoderPopDebugGroup(pass);
    wgpuComputePassEncoderEnd(pass);
    wgpuComputePassEncoderRelease(pass);
    submit(1, &encoder);
    expect("stream_compute");
}

static void copies_stream(void) {
    WGPUCommandEncoder encoders[2] = {encoder_named(""), encoder_named("second")};
    WGPUTexelCopyBufferInfo buffer = {{512, 256, WGPU_COPY_STRIDE_UNDEFINED}, named(3)};
    WGPUTexelCopyTextureInfo first = {named(12), 0, {8, 4, 1}, WGPUTextureAspect_Undefined};
    WGPUTexelCopyTextureInfo third = {named(12), 2, {8, 4, 1}, WGPUTextureAspect_All};
    WGPUTexelCopyTextureInfo other = {named(13), 1, {8, 4, 1}, WGPUTextureAspect_All};
    wgpuCommandEncoderCopyBufferToBuffer(encoders[0], named(3), 8, named(4), 4294967296, WGPU_WHOLE_SIZE);
    wgpuCommandEncoderCopyBufferToTexture(encoders[0], &buffer, &first, &(WGPUExtent3D){16, 16, 1});
    wgpuCommandEncoderCopyTextureToBuffer(encoders[0], &third, &buffer, &(WGPUExtent3D){16, 8, 1});
    wgpuCommandEncoderCopyTextureToTexture(encoders[1], &first, &other, &(WGPUExtent3D){4, 4, 4});
    wgpuCommandEncoderClearBuffer(encoders[1], named(3), 4, 16);
    wgpuCommandEncoderResolveQuerySet(encoders[1], named(2), 1, 3, named(4), 256);
    submit(2, encoders);
    expect("stream_copies");
}

static void render_stream(void) {
    WGPURenderPassColorAttachment colors[2] = {WGPU_RENDER_PASS_COLOR_ATTACHMENT_INIT, WGPU_RENDER_PASS_COLOR_ATTACHMENT_INIT};
    colors[0].view = named(40);
    colors[0].resolveTarget = named(41);
    colors[0].loadOp = WGPULoadOp_Clear;
    colors[0].storeOp = WGPUStoreOp_Discard;
    colors[0].clearValue = (WGPUColor){0.25, 0.5, 0.75, 1};
    WGPURenderPassDepthStencilAttachment depth = WGPU_RENDER_PASS_DEPTH_STENCIL_ATTACHMENT_INIT;
    depth.view = named(42);
    depth.depthLoadOp = WGPULoadOp_Load;
    depth.depthStoreOp = WGPUStoreOp_Store;
    depth.depthClearValue = 1;
    depth.stencilClearValue = 7;
    depth.stencilReadOnly = WGPU_TRUE;
    WGPURenderPassDescriptor descriptor = WGPU_RENDER_PASS_DESCRIPTOR_INIT;
    descriptor.label = text("scene");
    descriptor.colorAttachmentCount = 2;
    descriptor.colorAttachments = colors;
    descriptor.depthStencilAttachment = &depth;
    descriptor.occlusionQuerySet = named(2);
    WGPUCommandEncoder encoder = encoder_named("");
    WGPURenderPassEncoder pass = wgpuCommandEncoderBeginRenderPass(encoder, &descriptor);
    wgpuRenderPassEncoderSetViewport(pass, 0, 1, 640, 480, 0, 1);
    wgpuRenderPassEncoderSetScissorRect(pass, 1, 2, 3, 4);
    wgpuRenderPassEncoderSetBlendConstant(pass, &(WGPUColor){1, 0, 0, 0.5});
    wgpuRenderPassEncoderSetStencilReference(pass, 128);
    wgpuRenderPassEncoderSetPipeline(pass, named(30));
    wgpuRenderPassEncoderSetVertexBuffer(pass, 1, named(3), 64, WGPU_WHOLE_SIZE);
    wgpuRenderPassEncoderSetIndexBuffer(pass, named(4), WGPUIndexFormat_Uint32, 0, 1024);
    wgpuRenderPassEncoderBeginOcclusionQuery(pass, 5);
    wgpuRenderPassEncoderDraw(pass, 3, 1, 6, 2);
    wgpuRenderPassEncoderEndOcclusionQuery(pass);
    wgpuRenderPassEncoderDrawIndexed(pass, 36, 2, 12, -4, 1);
    wgpuRenderPassEncoderDrawIndirect(pass, named(3), 16);
    wgpuRenderPassEncoderDrawIndexedIndirect(pass, named(3), 32);
    wgpuRenderPassEncoderExecuteBundles(pass, 2, (WGPURenderBundle[]){named(50), named(51)});
    wgpuRenderPassEncoderEnd(pass);
    wgpuRenderPassEncoderRelease(pass);
    submit(1, &encoder);
    expect("stream_render");
}

/* --- What has no vector: the library's own part --------------------------------------------------- */

static WGPUErrorType caught;
static char caught_message[256];

static void keep_error(WGPUPopErrorScopeStatus status, WGPUErrorType type, WGPUStringView message, void *unused1, void *unused2) {
    (void)status;
    (void)unused1;
    (void)unused2;
    caught = type;
    snprintf(caught_message, sizeof caught_message, "%.*s", (int)message.length, message.data ? message.data : "");
}

static void pop(void) {
    WGPUPopErrorScopeCallbackInfo info = {NULL, WGPUCallbackMode_AllowSpontaneous, keep_error, NULL, NULL};
    wgpuDevicePopErrorScope(device, info);
}

static void errors(void) {
    wgpuDevicePushErrorScope(device, WGPUErrorFilter_Validation);
    WGPUCommandEncoder encoder = encoder_named("");
    WGPUComputePassEncoder pass = wgpuCommandEncoderBeginComputePass(encoder, NULL);
    wgpuCommandEncoderClearBuffer(encoder, named(3), 0, 4); /* while the pass is open */
    wgpuComputePassEncoderEnd(pass);
    wgpuComputePassEncoderRelease(pass);
    submit(1, &encoder);
    pop();
    report("command within an open pass", caught == WGPUErrorType_Validation);

    wgpuDevicePushErrorScope(device, WGPUErrorFilter_Validation);
    wgpuDevicePushErrorScope(device, WGPUErrorFilter_OutOfMemory);
    refuses = true;
    encoder = encoder_named("");
    submit(1, &encoder);
    refuses = false;
    pop();
    report("scope for another kind of error", caught == WGPUErrorType_NoError);
    pop();
    report("record_error", caught == WGPUErrorType_Validation && strcmp(caught_message, "no such thing") == 0);

    wgpuDevicePushErrorScope(device, WGPUErrorFilter_Validation);
    WGPUTextureDescriptor formless = WGPU_TEXTURE_DESCRIPTOR_INIT;
    wgpuTextureRelease(wgpuDeviceCreateTexture(device, &formless));
    pop();
    report("texture without a format", caught == WGPUErrorType_Validation);
}

static WGPUMapAsyncStatus mapped;

static void keep_map(WGPUMapAsyncStatus status, WGPUStringView message, void *unused1, void *unused2) {
    (void)message;
    (void)unused1;
    (void)unused2;
    mapped = status;
}

static WGPUBuffer small_buffer(void) {
    WGPUBufferDescriptor descriptor = WGPU_BUFFER_DESCRIPTOR_INIT;
    descriptor.size = 64;
    descriptor.usage = WGPUBufferUsage_MapWrite | WGPUBufferUsage_CopySrc;
    return wgpuDeviceCreateBuffer(device, &descriptor);
}

static void mappings(void) {
    WGPUBuffer buffer = small_buffer();
    WGPUBufferMapCallbackInfo info = {NULL, WGPUCallbackMode_WaitAnyOnly, keep_map, NULL, NULL};
    WGPUFutureWaitInfo wait = {wgpuBufferMapAsync(buffer, WGPUMapMode_Write, 8, 32, info), WGPU_FALSE};
    bool pending = wgpuBufferGetMapState(buffer) == WGPUBufferMapState_Pending && !wgpuBufferGetMappedRange(buffer, 8, 4);
    bool timed_out = wgpuInstanceWaitAny(instance, 1, &wait, 0) == WGPUWaitStatus_TimedOut;
    wgpuInstanceProcessEvents(instance); /* not for this event */
    bool done = mapped == 0 && wgpuInstanceWaitAny(instance, 1, &wait, UINT64_MAX) == WGPUWaitStatus_Success && wait.completed;
    report("mapping that is waited for", pending && timed_out && done && mapped == WGPUMapAsyncStatus_Success);
    bool outside = !wgpuBufferGetMappedRange(buffer, 0, 8) && !wgpuBufferGetMappedRange(buffer, 8, 36) &&
                   !wgpuBufferGetMappedRange(buffer, 12, 4);
    report("range outside of the mapping", outside);
    uint32_t *range = wgpuBufferGetMappedRange(buffer, 16, 8);
    range[0] = 1;
    range[1] = 2;
    wgpuBufferUnmap(buffer);
    report("what was written is written back", given.length == 8 && memcmp(given.data, (uint32_t[]){1, 2}, 8) == 0);

    wait.future = wgpuBufferMapAsync(buffer, WGPUMapMode_Write, 0, WGPU_WHOLE_MAP_SIZE, info);
    wgpuBufferUnmap(buffer);
    wgpuInstanceWaitAny(instance, 1, &wait, 0);
    report("mapping that is given up", mapped == WGPUMapAsyncStatus_Aborted);
    wgpuBufferRelease(buffer);
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fputs("usage: vectors DIRECTORY\n", stderr);
        return 2;
    }
    directory = argv[1];
    WGPUInstanceFeatureName feature = WGPUInstanceFeatureName_TimedWaitAny;
    WGPUInstanceDescriptor descriptor = WGPU_INSTANCE_DESCRIPTOR_INIT;
    descriptor.requiredFeatureCount = 1;
    descriptor.requiredFeatures = &feature;
    instance = wgpuCreateInstance(&descriptor);
    adapter_and_device();
    resources();
    bindings();
    shaders();
    render_pipelines();
    bundles();
    compute_stream();
    copies_stream();
    render_stream();
    errors();
    mappings();
    bool found = wgpuGetProcAddress(text("wgpuQueueSubmit")) == (WGPUProc)wgpuQueueSubmit;
    report("function by its name", found && !wgpuGetProcAddress(text("wgpuQueueSubmi")));
    return failures > 0;
}
