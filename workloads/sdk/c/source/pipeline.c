/* Shader modules, and the pipelines that run them. The host makes them at once: what is asked for with a callback is there
 * when the call returns. */
#include "object.h"

#include <stdlib.h>

OBJECT(ShaderModule)
OBJECT(ComputePipeline)
OBJECT(RenderPipeline)

enum { CHANNELS = 0xf };

/* --- Shader modules --------------------------------------------------------------------------- */

WGPUShaderModule wgpuDeviceCreateShaderModule(WGPUDevice device, WGPUShaderModuleDescriptor const *asked) {
    const WGPUChainedStruct *source = asked->nextInChain;
    if (!source || source->sType != WGPUSType_ShaderSourceWGSL) return create_invalid(device, "shaders are written in WGSL");
    struct bytes descriptor = begin_descriptor(KIND_SHADER_MODULE);
    put_text(&descriptor, asked->label);
    put_text(&descriptor, ((const WGPUShaderSourceWGSL *)(const void *)source)->code);
    return create_plain(device, KIND_SHADER_MODULE, &descriptor);
}

static void take_message(struct reader *from, WGPUCompilationMessage *message) {
    *message = (WGPUCompilationMessage)WGPU_COMPILATION_MESSAGE_INIT;
    message->type = (WGPUCompilationMessageType)take_word(from);
    message->lineNum = take_word(from);
    message->linePos = take_word(from);
    message->offset = take_word(from);
    message->length = take_word(from);
    message->message = take_text(from);
}

static void deliver_messages(struct event *event) {
    size_t length = gpu_messages(handle_of(event->object), NULL, 0);
    uint8_t *record = allocate(length);
    struct reader from = {record, gpu_messages(handle_of(event->object), record, length)};
    size_t count = take_word(&from);
    if (count > from.left / 24) count = from.left / 24; /* the least that a message takes */
    WGPUCompilationMessage *messages = allocate(count * sizeof *messages);
    for (size_t i = 0; i < count; i++) take_message(&from, &messages[i]);
    WGPUCompilationInfo info = {NULL, count, messages};
    CALL(event, WGPUCompilationInfoCallback, WGPUCompilationInfoRequestStatus_Success, &info);
    for (size_t i = 0; i < count; i++) free((void *)messages[i].message.data);
    free(messages);
    free(record);
}

WGPUFuture wgpuShaderModuleGetCompilationInfo(WGPUShaderModule module, WGPUCompilationInfoCallbackInfo info) {
    return schedule(NEW_EVENT(info, deliver_messages, module), 0);
}

/* --- Stages ----------------------------------------------------------------------------------- */

static void put_stage(struct bytes *to, WGPUShaderModule module, WGPUStringView entry_point, size_t count,
                      const WGPUConstantEntry *constants) {
    put_word(to, handle_of(module));
    put_text(to, entry_point);
    put_word(to, (uint32_t)count);
    for (size_t i = 0; i < count; i++) {
        put_text(to, constants[i].key);
        put_double(to, constants[i].value);
    }
}

/* --- Compute ---------------------------------------------------------------------------------- */

static struct bytes compute_descriptor(const WGPUComputePipelineDescriptor *asked) {
    struct bytes descriptor = begin_descriptor(KIND_COMPUTE_PIPELINE);
    const WGPUComputeState *stage = &asked->compute;
    put_text(&descriptor, asked->label);
    put_word(&descriptor, handle_of(asked->layout));
    put_stage(&descriptor, stage->module, stage->entryPoint, stage->constantCount, stage->constants);
    return descriptor;
}

WGPUComputePipeline wgpuDeviceCreateComputePipeline(WGPUDevice device, WGPUComputePipelineDescriptor const *asked) {
    struct bytes descriptor = compute_descriptor(asked);
    return create_plain(device, KIND_COMPUTE_PIPELINE, &descriptor);
}

/* --- Render ----------------------------------------------------------------------------------- */

static void put_vertex_buffer(struct bytes *to, const WGPUVertexBufferLayout *buffer) {
    bool used = buffer->stepMode != WGPUVertexStepMode_Undefined || buffer->attributeCount > 0;
    put_bool(to, used);
    if (!used) return;
    put_word(to, or_default(buffer->stepMode, WGPUVertexStepMode_Vertex));
    put_long(to, buffer->arrayStride);
    put_word(to, (uint32_t)buffer->attributeCount);
    for (size_t i = 0; i < buffer->attributeCount; i++) {
        put_value(to, buffer->attributes[i].format);
        put_long(to, buffer->attributes[i].offset);
        put_word(to, buffer->attributes[i].shaderLocation);
    }
}

static void put_vertex(struct bytes *to, const WGPUVertexState *vertex) {
    put_stage(to, vertex->module, vertex->entryPoint, vertex->constantCount, vertex->constants);
    put_word(to, (uint32_t)vertex->bufferCount);
    for (size_t i = 0; i < vertex->bufferCount; i++) put_vertex_buffer(to, &vertex->buffers[i]);
}

static void put_primitive(struct bytes *to, const WGPUPrimitiveState *primitive) {
    put_word(to, or_default(primitive->topology, WGPUPrimitiveTopology_TriangleList));
    put_word(to, primitive->stripIndexFormat);
    put_word(to, or_default(primitive->frontFace, WGPUFrontFace_CCW));
    put_word(to, or_default(primitive->cullMode, WGPUCullMode_None));
    put_bool(to, primitive->unclippedDepth);
}

static void put_stencil_face(struct bytes *to, const WGPUStencilFaceState *face) {
    put_word(to, or_default(face->compare, WGPUCompareFunction_Always));
    put_word(to, or_default(face->failOp, WGPUStencilOperation_Keep));
    put_word(to, or_default(face->depthFailOp, WGPUStencilOperation_Keep));
    put_word(to, or_default(face->passOp, WGPUStencilOperation_Keep));
}

static void put_depth_stencil(struct bytes *to, const WGPUDepthStencilState *state) {
    put_bool(to, state != NULL);
    if (!state) return;
    put_value(to, state->format);
    put_bool(to, state->depthWriteEnabled == WGPUOptionalBool_True);
    put_word(to, state->depthCompare);
    put_stencil_face(to, &state->stencilFront);
    put_stencil_face(to, &state->stencilBack);
    put_word(to, state->stencilReadMask);
    put_word(to, state->stencilWriteMask);
    put_word(to, (uint32_t)state->depthBias);
    put_float(to, state->depthBiasSlopeScale);
    put_float(to, state->depthBiasClamp);
}

static void put_blend_component(struct bytes *to, const WGPUBlendComponent *component) {
    put_word(to, or_default(component->operation, WGPUBlendOperation_Add));
    put_word(to, or_default(component->srcFactor, WGPUBlendFactor_One));
    put_word(to, or_default(component->dstFactor, WGPUBlendFactor_Zero));
}

static void put_target(struct bytes *to, const WGPUColorTargetState *target) {
    bool used = target->format != WGPUTextureFormat_Undefined;
    put_bool(to, used);
    if (!used) return;
    put_word(to, target->format);
    put_bool(to, target->blend != NULL);
    if (target->blend) {
        put_blend_component(to, &target->blend->color);
        put_blend_component(to, &target->blend->alpha);
    }
    put_flags(to, target->writeMask, CHANNELS);
}

static void put_fragment(struct bytes *to, const WGPUFragmentState *fragment) {
    put_bool(to, fragment != NULL);
    if (!fragment) return;
    put_stage(to, fragment->module, fragment->entryPoint, fragment->constantCount, fragment->constants);
    put_word(to, (uint32_t)fragment->targetCount);
    for (size_t i = 0; i < fragment->targetCount; i++) put_target(to, &fragment->targets[i]);
}

static struct bytes render_descriptor(const WGPURenderPipelineDescriptor *asked) {
    struct bytes descriptor = begin_descriptor(KIND_RENDER_PIPELINE);
    put_text(&descriptor, asked->label);
    put_word(&descriptor, handle_of(asked->layout));
    put_vertex(&descriptor, &asked->vertex);
    put_primitive(&descriptor, &asked->primitive);
    put_depth_stencil(&descriptor, asked->depthStencil);
    put_word(&descriptor, asked->multisample.count);
    put_word(&descriptor, asked->multisample.mask);
    put_bool(&descriptor, asked->multisample.alphaToCoverageEnabled);
    put_fragment(&descriptor, asked->fragment);
    return descriptor;
}

WGPURenderPipeline wgpuDeviceCreateRenderPipeline(WGPUDevice device, WGPURenderPipelineDescriptor const *asked) {
    struct bytes descriptor = render_descriptor(asked);
    return create_plain(device, KIND_RENDER_PIPELINE, &descriptor);
}

/* --- With a callback -------------------------------------------------------------------------- */

static void deliver_compute(struct event *event) {
    WGPUStringView message = text_of(event->message);
    WGPUCreatePipelineAsyncStatus status = (WGPUCreatePipelineAsyncStatus)event->status;
    CALL(event, WGPUCreateComputePipelineAsyncCallback, status, event->result, message);
}

static void deliver_render(struct event *event) {
    WGPUStringView message = text_of(event->message);
    WGPUCreatePipelineAsyncStatus status = (WGPUCreatePipelineAsyncStatus)event->status;
    CALL(event, WGPUCreateRenderPipelineAsyncCallback, status, event->result, message);
}

/* Errors are the event's, and come to no error scope. */
static void create_for(struct event *event, WGPUDevice device, uint32_t kind, struct bytes *descriptor) {
    struct object *pipeline = new_object(device, sizeof *pipeline, NULL);
    pipeline->handle = new_handle();
    end_descriptor(descriptor);
    uint32_t status = GPU_VALIDATION;
    if (descriptor->refused) {
        event->message = copy_text(text_of("the descriptor lacks a value, or has flags that do not exist"));
    } else if (device->closed) {
        status = GPU_OK; /* a lost device makes objects that nothing can be done with */
    } else if ((status = gpu_create(kind, pipeline->handle, descriptor->data, descriptor->length)) != GPU_OK) {
        event->message = failure_message();
    }
    if (status == GPU_OK) {
        event->status = WGPUCreatePipelineAsyncStatus_Success;
        event->result = pipeline;
    } else {
        bool invalid = status == GPU_VALIDATION;
        event->status = invalid ? WGPUCreatePipelineAsyncStatus_ValidationError : WGPUCreatePipelineAsyncStatus_InternalError;
        release(pipeline);
    }
    free(descriptor->data);
}

WGPUFuture wgpuDeviceCreateComputePipelineAsync(WGPUDevice device, WGPUComputePipelineDescriptor const *asked,
                                                WGPUCreateComputePipelineAsyncCallbackInfo info) {
    struct event *event = NEW_EVENT(info, deliver_compute, device);
    struct bytes descriptor = compute_descriptor(asked);
    create_for(event, device, KIND_COMPUTE_PIPELINE, &descriptor);
    return schedule(event, 0);
}

WGPUFuture wgpuDeviceCreateRenderPipelineAsync(WGPUDevice device, WGPURenderPipelineDescriptor const *asked,
                                               WGPUCreateRenderPipelineAsyncCallbackInfo info) {
    struct event *event = NEW_EVENT(info, deliver_render, device);
    struct bytes descriptor = render_descriptor(asked);
    create_for(event, device, KIND_RENDER_PIPELINE, &descriptor);
    return schedule(event, 0);
}

/* --- The layouts that they have --------------------------------------------------------------- */

static WGPUBindGroupLayout layout_of(const struct object *pipeline, uint32_t index) {
    struct bytes descriptor = begin_descriptor(KIND_PIPELINE_BIND_GROUP_LAYOUT);
    put_word(&descriptor, pipeline->handle);
    put_word(&descriptor, index);
    return create_plain(pipeline->device, KIND_PIPELINE_BIND_GROUP_LAYOUT, &descriptor);
}

WGPUBindGroupLayout wgpuComputePipelineGetBindGroupLayout(WGPUComputePipeline pipeline, uint32_t index) {
    return layout_of(&pipeline->object, index);
}

WGPUBindGroupLayout wgpuRenderPipelineGetBindGroupLayout(WGPURenderPipeline pipeline, uint32_t index) {
    return layout_of(&pipeline->object, index);
}
