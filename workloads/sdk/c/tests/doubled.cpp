// doubled: numbers are doubled on the GPU, and once more, through webgpu_cpp.h as programs for browsers use it.
#include <webgpu/webgpu_cpp.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

namespace {

constexpr uint64_t forever = UINT64_MAX;

constexpr char shader[] = R"(
    @group(0) @binding(0) var<storage, read_write> numbers: array<u32>;
    @compute @workgroup_size(64)
    fn double(@builtin(global_invocation_id) id: vec3u) {
        if (id.x < arrayLength(&numbers)) { numbers[id.x] *= 2u; }
    }
)";

[[noreturn]] void fail(wgpu::StringView message) {
    std::string text{std::string_view(message)};
    std::fprintf(stderr, "doubled: %s\n", text.c_str());
    std::exit(1);
}

wgpu::Device open_device(wgpu::Instance const& instance) {
    wgpu::Adapter adapter;
    instance.WaitAny(instance.RequestAdapter(nullptr, wgpu::CallbackMode::WaitAnyOnly,
                                             [&](wgpu::RequestAdapterStatus status, wgpu::Adapter found, wgpu::StringView message) {
                                                 if (status != wgpu::RequestAdapterStatus::Success) fail(message);
                                                 adapter = found;
                                             }),
                     forever);
    wgpu::DeviceDescriptor descriptor;
    descriptor.label = "doubling";
    descriptor.SetUncapturedErrorCallback(
        [](wgpu::Device const&, wgpu::ErrorType, wgpu::StringView message) { fail(message); });
    wgpu::Device device;
    instance.WaitAny(adapter.RequestDevice(&descriptor, wgpu::CallbackMode::WaitAnyOnly,
                                           [](wgpu::RequestDeviceStatus status, wgpu::Device opened, wgpu::StringView message, wgpu::Device* to) {
                                               if (status != wgpu::RequestDeviceStatus::Success) fail(message);
                                               *to = std::move(opened);
                                           },
                                           &device),
                     forever);
    return device;
}

wgpu::ComputePipeline make_pipeline(wgpu::Device const& device) {
    wgpu::ShaderSourceWGSL source;
    source.code = shader;
    wgpu::ShaderModuleDescriptor code;
    code.nextInChain = &source;
    wgpu::ComputePipelineDescriptor descriptor;
    descriptor.compute.module = device.CreateShaderModule(&code);
    return device.CreateComputePipeline(&descriptor);
}

wgpu::BindGroup bind(wgpu::Device const& device, wgpu::ComputePipeline const& pipeline, wgpu::Buffer const& numbers) {
    wgpu::BindGroupEntry entry;
    entry.buffer = numbers;
    wgpu::BindGroupDescriptor descriptor;
    descriptor.layout = pipeline.GetBindGroupLayout(0);
    descriptor.entryCount = 1;
    descriptor.entries = &entry;
    return device.CreateBindGroup(&descriptor);
}

wgpu::Buffer make_buffer(wgpu::Device const& device, uint64_t size, wgpu::BufferUsage usage) {
    wgpu::BufferDescriptor descriptor;
    descriptor.size = size;
    descriptor.usage = usage;
    return device.CreateBuffer(&descriptor);
}

// The device tells of an error only in the scope that is open.
bool is_refused(wgpu::Instance const& instance, wgpu::Device const& device) {
    device.PushErrorScope(wgpu::ErrorFilter::Validation);
    make_buffer(device, 16, wgpu::BufferUsage::MapRead | wgpu::BufferUsage::MapWrite);
    bool refused = false;
    instance.WaitAny(device.PopErrorScope(wgpu::CallbackMode::AllowProcessEvents,
                                          [&](wgpu::PopErrorScopeStatus, wgpu::ErrorType type, wgpu::StringView) {
                                              refused = type == wgpu::ErrorType::Validation;
                                          }),
                     forever);
    return refused;
}

}  // namespace

int main() {
    wgpu::InstanceFeatureName waits = wgpu::InstanceFeatureName::TimedWaitAny;
    wgpu::InstanceDescriptor with_waits;
    with_waits.requiredFeatureCount = 1;
    with_waits.requiredFeatures = &waits;
    wgpu::Instance instance = wgpu::CreateInstance(&with_waits);
    wgpu::Device device = open_device(instance);

    std::vector<uint32_t> numbers(1000);
    for (uint32_t i = 0; i < numbers.size(); i++) numbers[i] = i;
    uint64_t size = numbers.size() * sizeof(uint32_t);
    using Usage = wgpu::BufferUsage;
    wgpu::Buffer buffer = make_buffer(device, size, Usage::Storage | Usage::CopySrc | Usage::CopyDst);
    wgpu::Buffer staging = make_buffer(device, size, Usage::MapRead | Usage::CopyDst);
    device.GetQueue().WriteBuffer(buffer, 0, numbers.data(), size);

    wgpu::ComputePipeline pipeline = make_pipeline(device);
    wgpu::CommandEncoder encoder = device.CreateCommandEncoder();
    wgpu::ComputePassEncoder pass = encoder.BeginComputePass();
    pass.SetPipeline(pipeline);
    pass.SetBindGroup(0, bind(device, pipeline, buffer));
    pass.DispatchWorkgroups(16);
    pass.DispatchWorkgroups(16);
    pass.End();
    encoder.CopyBufferToBuffer(buffer, 0, staging, 0, size);
    wgpu::CommandBuffer commands = encoder.Finish();
    device.GetQueue().Submit(1, &commands);

    instance.WaitAny(staging.MapAsync(wgpu::MapMode::Read, 0, size, wgpu::CallbackMode::WaitAnyOnly,
                                      [](wgpu::MapAsyncStatus status, wgpu::StringView message) {
                                          if (status != wgpu::MapAsyncStatus::Success) fail(message);
                                      }),
                     forever);
    auto const* result = static_cast<uint32_t const*>(staging.GetConstMappedRange());
    uint64_t sum = 0;
    for (uint32_t i = 0; i < numbers.size(); i++) {
        if (result[i] != 4 * i) fail("a number is wrong");
        sum += result[i];
    }
    staging.Unmap();
    std::printf("the sum is %llu\n", static_cast<unsigned long long>(sum));
    std::printf("a buffer that is mapped both ways is refused: %s\n", is_refused(instance, device) ? "yes" : "no");
}
