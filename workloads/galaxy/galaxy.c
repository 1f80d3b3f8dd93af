/* galaxy [BODIES [STEPS]]: gravity between bodies of a disk, every one with every other, on the GPU through webgpu.h. At
 * the end the same is computed on the processor in double precision, and the two are compared. */
#include <webgpu/webgpu.h>

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORKGROUP = 64, STEPS_AT_ONCE = 4 };
#define STEP 0.002
#define SOFTENING 0.05

/* As the shader has it: position and mass, velocity. */
struct body {
    float x, y, z, mass, vx, vy, vz, unused;
};

static const char shader[] =
    "struct Body { position: vec4f, velocity: vec4f }\n"
    "@group(0) @binding(0) var<storage, read> now: array<Body>;\n"
    "@group(0) @binding(1) var<storage, read_write> next: array<Body>;\n"
    "override step: f32;\n"
    "override softening: f32;\n"
    "var<workgroup> tile: array<vec4f, 64>;\n"
    "\n"
    "@compute @workgroup_size(64)\n"
    "fn advance(@builtin(global_invocation_id) id: vec3u, @builtin(local_invocation_index) local: u32) {\n"
    "    let body = now[id.x];\n"
    "    var pull = vec3f();\n"
    "    for (var start = 0u; start < arrayLength(&now); start += 64u) {\n"
    "        tile[local] = now[start + local].position;\n"
    "        workgroupBarrier();\n"
    "        for (var i = 0u; i < 64u; i++) {\n"
    "            let way = tile[i].xyz - body.position.xyz;\n"
    "            let square = dot(way, way) + softening * softening;\n"
    "            pull += way * (tile[i].w / (square * sqrt(square)));\n"
    "        }\n"
    "        workgroupBarrier();\n"
    "    }\n"
    "    let velocity = body.velocity.xyz + pull * step;\n"
    "    next[id.x].velocity = vec4f(velocity, 0);\n"
    "    next[id.x].position = vec4f(body.position.xyz + velocity * step, body.position.w);\n"
    "}\n";

static void fail(const char *what, WGPUStringView why) {
    fprintf(stderr, "galaxy: %s", what);
    if (why.length && why.data) fprintf(stderr, ": %.*s", (int)why.length, why.data);
    fputc('\n', stderr);
    exit(1);
}

static void *need(void *memory) {
    if (!memory) fail("out of memory", (WGPUStringView){0});
    return memory;
}

/* --- The bodies ------------------------------------------------------------------------------- */

/* xorshift64: the same disk in every run. From 0 to 1. */
static double next_random(void) {
    static uint64_t state = 88172645463325252u;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (double)(state >> 11) / 9007199254740992.0;
}

/* A disk around a heavy centre, each body on about a circle. */
static void arrange(struct body *bodies, uint32_t count) {
    bodies[0] = (struct body){.mass = 1};
    for (uint32_t i = 1; i < count; i++) {
        double radius = 0.2 + next_random(), angle = 2 * M_PI * next_random(), speed = sqrt(1 / radius);
        bodies[i] = (struct body){
            .x = (float)(radius * cos(angle)),
            .y = (float)(radius * sin(angle)),
            .z = (float)(0.02 * (next_random() - 0.5)),
            .mass = (float)(0.1 / count),
            .vx = (float)(-speed * sin(angle)),
            .vy = (float)(speed * cos(angle)),
        };
    }
}

/* --- On the processor ------------------------------------------------------------------------- */

struct exact {
    double x, y, z, mass, vx, vy, vz;
};

static void pull(struct exact *body, const struct exact *bodies, uint32_t count) {
    double px = 0, py = 0, pz = 0;
    for (uint32_t i = 0; i < count; i++) {
        double x = bodies[i].x - body->x, y = bodies[i].y - body->y, z = bodies[i].z - body->z;
        double square = x * x + y * y + z * z + SOFTENING * SOFTENING;
        double strength = bodies[i].mass / (square * sqrt(square));
        px += x * strength;
        py += y * strength;
        pz += z * strength;
    }
    body->vx += px * STEP;
    body->vy += py * STEP;
    body->vz += pz * STEP;
}

static void advance(struct exact *bodies, uint32_t count, uint32_t steps) {
    while (steps--) {
        for (uint32_t i = 0; i < count; i++) pull(&bodies[i], bodies, count);
        for (uint32_t i = 0; i < count; i++) {
            bodies[i].x += bodies[i].vx * STEP;
            bodies[i].y += bodies[i].vy * STEP;
            bodies[i].z += bodies[i].vz * STEP;
        }
    }
}

/* How far a body is from where it should be, at the most. */
static double compare(const struct body *first, const struct body *last, uint32_t count, uint32_t steps) {
    struct exact *bodies = need(calloc(count, sizeof *bodies));
    for (uint32_t i = 0; i < count; i++) {
        const struct body *b = &first[i];
        bodies[i] = (struct exact){b->x, b->y, b->z, b->mass, b->vx, b->vy, b->vz};
    }
    advance(bodies, count, steps);
    double farthest = 0;
    for (uint32_t i = 0; i < count; i++) {
        double x = last[i].x - bodies[i].x, y = last[i].y - bodies[i].y, z = last[i].z - bodies[i].z;
        double distance = sqrt(x * x + y * y + z * z);
        if (!(distance <= farthest)) farthest = distance; /* what is not a number counts as far */
    }
    free(bodies);
    return farthest;
}

/* --- On the GPU ------------------------------------------------------------------------------- */

static WGPUInstance instance;
static WGPUDevice device;
static WGPUQueue queue;

static void await(WGPUFuture future) {
    WGPUFutureWaitInfo wait = {future, WGPU_FALSE};
    if (wgpuInstanceWaitAny(instance, 1, &wait, UINT64_MAX) != WGPUWaitStatus_Success) fail("waiting failed", (WGPUStringView){0});
}

static void have_adapter(WGPURequestAdapterStatus status, WGPUAdapter adapter, WGPUStringView message, void *to, void *unused) {
    (void)unused;
    if (status != WGPURequestAdapterStatus_Success) fail("there is no adapter", message);
    *(WGPUAdapter *)to = adapter;
}

static void have_device(WGPURequestDeviceStatus status, WGPUDevice opened, WGPUStringView message, void *to, void *unused) {
    (void)unused;
    if (status != WGPURequestDeviceStatus_Success) fail("there is no device", message);
    *(WGPUDevice *)to = opened;
}

static void have_map(WGPUMapAsyncStatus status, WGPUStringView message, void *unused1, void *unused2) {
    (void)unused1;
    (void)unused2;
    if (status != WGPUMapAsyncStatus_Success) fail("a buffer cannot be mapped", message);
}

static void have_error(WGPUDevice const *of, WGPUErrorType type, WGPUStringView message, void *unused1, void *unused2) {
    (void)of;
    (void)type;
    (void)unused1;
    (void)unused2;
    fail("the GPU refuses", message);
}

static void open_device(void) {
    WGPUInstanceFeatureName feature = WGPUInstanceFeatureName_TimedWaitAny;
    WGPUInstanceDescriptor with_waits = WGPU_INSTANCE_DESCRIPTOR_INIT;
    with_waits.requiredFeatureCount = 1;
    with_waits.requiredFeatures = &feature;
    instance = wgpuCreateInstance(&with_waits);
    if (!instance) fail("there is no WebGPU", (WGPUStringView){0});

    WGPUAdapter adapter = NULL;
    WGPURequestAdapterCallbackInfo for_adapter = {NULL, WGPUCallbackMode_WaitAnyOnly, have_adapter, &adapter, NULL};
    await(wgpuInstanceRequestAdapter(instance, NULL, for_adapter));

    WGPUDeviceDescriptor descriptor = WGPU_DEVICE_DESCRIPTOR_INIT;
    descriptor.uncapturedErrorCallbackInfo.callback = have_error;
    WGPURequestDeviceCallbackInfo for_device = {NULL, WGPUCallbackMode_WaitAnyOnly, have_device, &device, NULL};
    await(wgpuAdapterRequestDevice(adapter, &descriptor, for_device));
    wgpuAdapterRelease(adapter);
    queue = wgpuDeviceGetQueue(device);
}

static WGPUComputePipeline make_pipeline(void) {
    WGPUShaderSourceWGSL source = WGPU_SHADER_SOURCE_WGSL_INIT;
    source.code = (WGPUStringView){shader, WGPU_STRLEN};
    WGPUShaderModuleDescriptor code = WGPU_SHADER_MODULE_DESCRIPTOR_INIT;
    code.nextInChain = &source.chain;
    WGPUShaderModule module = wgpuDeviceCreateShaderModule(device, &code);

    WGPUConstantEntry constants[2] = {WGPU_CONSTANT_ENTRY_INIT, WGPU_CONSTANT_ENTRY_INIT};
    constants[0].key = (WGPUStringView){"step", WGPU_STRLEN};
    constants[0].value = STEP;
    constants[1].key = (WGPUStringView){"softening", WGPU_STRLEN};
    constants[1].value = SOFTENING;
    WGPUComputePipelineDescriptor descriptor = WGPU_COMPUTE_PIPELINE_DESCRIPTOR_INIT;
    descriptor.compute.module = module;
    descriptor.compute.entryPoint = (WGPUStringView){"advance", WGPU_STRLEN};
    descriptor.compute.constantCount = 2;
    descriptor.compute.constants = constants;
    WGPUComputePipeline pipeline = wgpuDeviceCreateComputePipeline(device, &descriptor);
    wgpuShaderModuleRelease(module);
    return pipeline;
}

static WGPUBuffer make_buffer(size_t size, WGPUBufferUsage usage) {
    WGPUBufferDescriptor descriptor = WGPU_BUFFER_DESCRIPTOR_INIT;
    descriptor.size = size;
    descriptor.usage = usage;
    return wgpuDeviceCreateBuffer(device, &descriptor);
}

static WGPUBindGroup bind(WGPUComputePipeline pipeline, WGPUBuffer now, WGPUBuffer next) {
    WGPUBindGroupEntry entries[2] = {WGPU_BIND_GROUP_ENTRY_INIT, WGPU_BIND_GROUP_ENTRY_INIT};
    entries[0].buffer = now;
    entries[1].binding = 1;
    entries[1].buffer = next;
    WGPUBindGroupDescriptor descriptor = WGPU_BIND_GROUP_DESCRIPTOR_INIT;
    descriptor.layout = wgpuComputePipelineGetBindGroupLayout(pipeline, 0);
    descriptor.entryCount = 2;
    descriptor.entries = entries;
    WGPUBindGroup group = wgpuDeviceCreateBindGroup(device, &descriptor);
    wgpuBindGroupLayoutRelease(descriptor.layout);
    return group;
}

static void submit(WGPUCommandEncoder encoder) {
    WGPUCommandBuffer commands = wgpuCommandEncoderFinish(encoder, NULL);
    wgpuQueueSubmit(queue, 1, &commands);
    wgpuCommandBufferRelease(commands);
    wgpuCommandEncoderRelease(encoder);
}

static void read_back(WGPUBuffer from, void *to, size_t size) {
    WGPUBuffer staging = make_buffer(size, WGPUBufferUsage_MapRead | WGPUBufferUsage_CopyDst);
    WGPUCommandEncoder encoder = wgpuDeviceCreateCommandEncoder(device, NULL);
    wgpuCommandEncoderCopyBufferToBuffer(encoder, from, 0, staging, 0, size);
    submit(encoder);
    WGPUBufferMapCallbackInfo for_map = {NULL, WGPUCallbackMode_WaitAnyOnly, have_map, NULL, NULL};
    await(wgpuBufferMapAsync(staging, WGPUMapMode_Read, 0, size, for_map));
    memcpy(to, wgpuBufferGetConstMappedRange(staging, 0, size), size);
    wgpuBufferUnmap(staging);
    wgpuBufferRelease(staging);
}

/* A pass for each step: each needs what all bodies came to in the one before. */
static void run(struct body *bodies, uint32_t count, uint32_t steps) {
    size_t size = count * sizeof *bodies;
    WGPUComputePipeline pipeline = make_pipeline();
    WGPUBufferUsage usage = WGPUBufferUsage_Storage | WGPUBufferUsage_CopySrc | WGPUBufferUsage_CopyDst;
    WGPUBuffer buffers[2] = {make_buffer(size, usage), make_buffer(size, usage)};
    WGPUBindGroup groups[2] = {bind(pipeline, buffers[0], buffers[1]), bind(pipeline, buffers[1], buffers[0])};
    wgpuQueueWriteBuffer(queue, buffers[0], 0, bodies, size);

    for (uint32_t done = 0; done < steps;) {
        WGPUCommandEncoder encoder = wgpuDeviceCreateCommandEncoder(device, NULL);
        for (uint32_t i = 0; i < STEPS_AT_ONCE && done < steps; i++, done++) {
            WGPUComputePassEncoder pass = wgpuCommandEncoderBeginComputePass(encoder, NULL);
            wgpuComputePassEncoderSetPipeline(pass, pipeline);
            wgpuComputePassEncoderSetBindGroup(pass, 0, groups[done % 2], 0, NULL);
            wgpuComputePassEncoderDispatchWorkgroups(pass, count / WORKGROUP, 1, 1);
            wgpuComputePassEncoderEnd(pass);
            wgpuComputePassEncoderRelease(pass);
        }
        submit(encoder);
        WGPUQueueWorkDoneCallbackInfo nobody = {NULL, WGPUCallbackMode_WaitAnyOnly, NULL, NULL, NULL};
        await(wgpuQueueOnSubmittedWorkDone(queue, nobody));
        printf("step %u of %u\n", done, steps);
        fflush(stdout);
    }
    read_back(buffers[steps % 2], bodies, size);

    for (int i = 0; i < 2; i++) {
        wgpuBindGroupRelease(groups[i]);
        wgpuBufferRelease(buffers[i]);
    }
    wgpuComputePipelineRelease(pipeline);
}

/* --- The program ------------------------------------------------------------------------------ */

static uint32_t number(const char *text, uint32_t most) {
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    if (*end || value == 0 || value > most) {
        fprintf(stderr, "usage: galaxy [BODIES [STEPS]]\n");
        exit(2);
    }
    return (uint32_t)value;
}

int main(int argc, char **argv) {
    uint32_t count = argc > 1 ? number(argv[1], 65536) : 1024, steps = argc > 2 ? number(argv[2], 1000000) : 40;
    count = (count + WORKGROUP - 1) / WORKGROUP * WORKGROUP;
    size_t size = count * sizeof(struct body);
    struct body *first = need(calloc(1, size)), *last = need(malloc(size));
    arrange(first, count);
    memcpy(last, first, size);

    open_device();
    run(last, count, steps);
    wgpuQueueRelease(queue);
    wgpuDeviceRelease(device);
    wgpuInstanceRelease(instance);

    printf("%u bodies, %u steps of %g\n", count, steps, STEP);
    double farthest = compare(first, last, count, steps);
    const double tolerance = 1e-4;
    printf("every body is within %g of where the processor has it: %s\n", tolerance, farthest <= tolerance ? "yes" : "no");
    if (!(farthest <= tolerance)) fprintf(stderr, "galaxy: one is off by %g\n", farthest);
    return farthest <= tolerance ? 0 : 1;
}
