/* The one adapter that the host has for the job. Its features and limits are those that the job may use. */
#include "limits.h"
#include "object.h"

#include <stdlib.h>
#include <string.h>

REFERENCES(Adapter)

static void free_adapter(struct object *object) {
    WGPUAdapter adapter = (WGPUAdapter)(void *)object;
    wgpuAdapterInfoFreeMembers(adapter->info);
    wgpuSupportedFeaturesFreeMembers(adapter->features);
}

static void take_info(struct reader *from, WGPUAdapterInfo *info) {
    info->vendor = take_text(from);
    info->architecture = take_text(from);
    info->device = take_text(from);
    info->description = take_text(from);
    info->backendType = (WGPUBackendType)take_word(from);
    info->adapterType = (WGPUAdapterType)take_word(from);
    info->vendorID = take_word(from);
    info->deviceID = take_word(from);
    info->subgroupMinSize = take_word(from);
    info->subgroupMaxSize = take_word(from);
}

/* With the one that every adapter has in front. */
static void take_features(struct reader *from, WGPUSupportedFeatures *features) {
    size_t count = take_word(from), known = 0;
    if (count > from->left / 4) count = from->left / 4;
    WGPUFeatureName *list = allocate((count + 1) * sizeof *list);
    list[known++] = WGPUFeatureName_CoreFeaturesAndLimits;
    for (size_t i = 0; i < count; i++) list[known++] = (WGPUFeatureName)take_word(from);
    *features = (WGPUSupportedFeatures){known, list};
}

static WGPUAdapter find_adapter(void) {
    size_t length = gpu_adapter(NULL, 0);
    if (length == 0) return NULL;
    WGPUAdapter adapter = new_object(NULL, sizeof *adapter, free_adapter);
    uint8_t *record = allocate(length);
    gpu_adapter(record, length);
    struct reader from = {record, length};
    take_info(&from, &adapter->info);
    take_features(&from, &adapter->features);
    take_limits(&from, &adapter->limits);
    free(record);
    return adapter;
}

static const char *why_not(WGPUAdapter adapter, const WGPURequestAdapterOptions *options) {
    if (!adapter) return "the host has no GPU for this job";
    if (!options) return NULL;
    if (options->forceFallbackAdapter && adapter->info.adapterType != WGPUAdapterType_CPU) {
        return "the host's adapter is no fallback adapter";
    }
    bool any = options->backendType == WGPUBackendType_Undefined;
    return any || options->backendType == adapter->info.backendType ? NULL : "the host's adapter has another backend";
}

static void deliver_adapter(struct event *event) {
    WGPUStringView message = text_of(event->message);
    CALL(event, WGPURequestAdapterCallback, (WGPURequestAdapterStatus)event->status, event->result, message);
}

WGPUFuture wgpuInstanceRequestAdapter(WGPUInstance instance, WGPURequestAdapterOptions const *options,
                                      WGPURequestAdapterCallbackInfo info) {
    struct event *event = NEW_EVENT(info, deliver_adapter, instance);
    WGPUAdapter adapter = find_adapter();
    const char *reason = why_not(adapter, options);
    event->status = reason ? WGPURequestAdapterStatus_Unavailable : WGPURequestAdapterStatus_Success;
    if (reason) {
        release((struct object *)adapter);
        event->message = copy_text(text_of(reason));
    } else {
        event->result = adapter;
    }
    return schedule(event, 0);
}

static WGPUStringView copy_view(WGPUStringView text) { return (WGPUStringView){copy_text(text), text.length}; }

WGPUStatus wgpuAdapterGetInfo(WGPUAdapter adapter, WGPUAdapterInfo *to) {
    if (to->nextInChain) return WGPUStatus_Error;
    *to = adapter->info;
    to->vendor = copy_view(adapter->info.vendor);
    to->architecture = copy_view(adapter->info.architecture);
    to->device = copy_view(adapter->info.device);
    to->description = copy_view(adapter->info.description);
    return WGPUStatus_Success;
}

void wgpuAdapterInfoFreeMembers(WGPUAdapterInfo info) {
    free((void *)info.vendor.data);
    free((void *)info.architecture.data);
    free((void *)info.device.data);
    free((void *)info.description.data);
}

WGPUStatus wgpuAdapterGetLimits(WGPUAdapter adapter, WGPULimits *limits) {
    return copy_limits(&adapter->limits, limits);
}

void copy_features(const WGPUSupportedFeatures *from, WGPUSupportedFeatures *to) {
    size_t size = from->featureCount * sizeof *from->features;
    WGPUFeatureName *copy = allocate(size);
    memcpy(copy, from->features, size);
    *to = (WGPUSupportedFeatures){from->featureCount, copy};
}

bool has_feature(const WGPUSupportedFeatures *features, WGPUFeatureName feature) {
    for (size_t i = 0; i < features->featureCount; i++) {
        if (features->features[i] == feature) return true;
    }
    return false;
}

void wgpuAdapterGetFeatures(WGPUAdapter adapter, WGPUSupportedFeatures *to) { copy_features(&adapter->features, to); }

WGPUBool wgpuAdapterHasFeature(WGPUAdapter adapter, WGPUFeatureName feature) {
    return has_feature(&adapter->features, feature);
}

void wgpuSupportedFeaturesFreeMembers(WGPUSupportedFeatures features) { free((void *)features.features); }
