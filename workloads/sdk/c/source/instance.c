/* The instance, and what is asked of it at once. */
#include "object.h"

#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

REFERENCES(Instance)

static const WGPUInstanceFeatureName instance_features[] = {WGPUInstanceFeatureName_TimedWaitAny};

/* What the host's compiler of WGSL understands beyond the language's first version. */
static const WGPUWGSLLanguageFeatureName language_features[] = {
    WGPUWGSLLanguageFeatureName_ReadonlyAndReadwriteStorageTextures,
    WGPUWGSLLanguageFeatureName_Packed4x8IntegerDotProduct,
    WGPUWGSLLanguageFeatureName_PointerCompositeAccess,
};

WGPUInstance wgpuCreateInstance(WGPUInstanceDescriptor const *descriptor) {
    if (gpu_version() < ABI_VERSION) return NULL;
    bool timed_waits = false;
    for (size_t i = 0; descriptor && i < descriptor->requiredFeatureCount; i++) {
        if (!wgpuHasInstanceFeature(descriptor->requiredFeatures[i])) return NULL;
        if (descriptor->requiredFeatures[i] == WGPUInstanceFeatureName_TimedWaitAny) timed_waits = true;
    }
    WGPUInstance instance = new_object(NULL, sizeof *instance, NULL);
    instance->timed_waits = timed_waits;
    return instance;
}

WGPUBool wgpuHasInstanceFeature(WGPUInstanceFeatureName feature) {
    return feature == WGPUInstanceFeatureName_TimedWaitAny;
}

void wgpuGetInstanceFeatures(WGPUSupportedInstanceFeatures *features) {
    WGPUInstanceFeatureName *copy = allocate(sizeof instance_features);
    memcpy(copy, instance_features, sizeof instance_features);
    *features = (WGPUSupportedInstanceFeatures){COUNT(instance_features), copy};
}

void wgpuSupportedInstanceFeaturesFreeMembers(WGPUSupportedInstanceFeatures features) {
    free((void *)features.features);
}

/* As many futures as one likes can be waited for. */
WGPUStatus wgpuGetInstanceLimits(WGPUInstanceLimits *limits) {
    if (limits->nextInChain) return WGPUStatus_Error;
    limits->timedWaitAnyMaxCount = SIZE_MAX;
    return WGPUStatus_Success;
}

void wgpuInstanceGetWGSLLanguageFeatures(WGPUInstance instance, WGPUSupportedWGSLLanguageFeatures *features) {
    (void)instance;
    WGPUWGSLLanguageFeatureName *copy = allocate(sizeof language_features);
    memcpy(copy, language_features, sizeof language_features);
    *features = (WGPUSupportedWGSLLanguageFeatures){COUNT(language_features), copy};
}

void wgpuSupportedWGSLLanguageFeaturesFreeMembers(WGPUSupportedWGSLLanguageFeatures features) {
    free((void *)features.features);
}

WGPUBool wgpuInstanceHasWGSLLanguageFeature(WGPUInstance instance, WGPUWGSLLanguageFeatureName feature) {
    (void)instance;
    for (size_t i = 0; i < COUNT(language_features); i++) {
        if (language_features[i] == feature) return true;
    }
    return false;
}
