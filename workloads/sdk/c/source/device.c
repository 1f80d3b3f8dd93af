/* The device: how it is opened, and how it comes to be closed or lost. The host opens one for a job at a time. */
#include "limits.h"
#include "object.h"

#include <stdlib.h>
#include <string.h>

OBJECT(Device)

static int by_number(const void *a, const void *b) {
    uint32_t left = *(const WGPUFeatureName *)a, right = *(const WGPUFeatureName *)b;
    return (left > right) - (left < right);
}

/* Each once, in ascending order; the one that every device has is the first. */
static WGPUSupportedFeatures requested_features(const WGPUDeviceDescriptor *asked) {
    size_t count = asked ? asked->requiredFeatureCount : 0, distinct = 0;
    WGPUFeatureName *list = allocate((count + 1) * sizeof *list);
    list[0] = WGPUFeatureName_CoreFeaturesAndLimits;
    if (count) memcpy(list + 1, asked->requiredFeatures, count * sizeof *list);
    qsort(list, count + 1, sizeof *list, by_number);
    for (size_t i = 0; i <= count; i++) {
        if (i == 0 || list[i] != list[i - 1]) list[distinct++] = list[i];
    }
    return (WGPUSupportedFeatures){distinct, list};
}

static uint32_t open_device(WGPUDevice device, WGPUStringView label) {
    struct bytes descriptor = begin_descriptor(KIND_DEVICE);
    put_text(&descriptor, label);
    put_word(&descriptor, (uint32_t)device->features.featureCount - 1);
    for (size_t i = 1; i < device->features.featureCount; i++) put_word(&descriptor, device->features.features[i]);
    put_limits(&descriptor, &device->limits);
    end_descriptor(&descriptor);
    uint32_t status = gpu_open(descriptor.data, descriptor.length);
    free(descriptor.data);
    return status;
}

static void free_device(struct object *object) {
    WGPUDevice device = (WGPUDevice)(void *)object;
    lose(device, WGPUDeviceLostReason_Destroyed, "the device was released");
    free_error_scopes(device);
    wgpuSupportedFeaturesFreeMembers(device->features);
    release(&device->adapter->object);
}

static WGPUDevice new_device(WGPUAdapter adapter, const WGPUDeviceDescriptor *asked) {
    WGPUDevice device = new_object(NULL, sizeof *device, free_device);
    device->queue.device = device;
    device->adapter = adapter;
    retain(&adapter->object);
    device->features = requested_features(asked);
    device->limits = requested_limits(asked ? asked->requiredLimits : NULL);
    if (asked) device->uncaptured = asked->uncapturedErrorCallbackInfo;
    return device;
}

/* The program has no device in its hand when it is told that the last reference is gone. */
static void deliver_lost(struct event *event) {
    WGPUDevice device = event->result;
    WGPUDevice const *named = device ? &device : NULL;
    CALL(event, WGPUDeviceLostCallback, named, (WGPUDeviceLostReason)event->status, text_of(event->message));
}

/* The event holds no reference, since it ends with the device. */
static void expect_loss(WGPUDevice device, const WGPUDeviceDescriptor *asked) {
    WGPUDeviceLostCallbackInfo info = WGPU_DEVICE_LOST_CALLBACK_INFO_INIT;
    if (asked) info = asked->deviceLostCallbackInfo;
    if (!info.callback) info.mode = WGPUCallbackMode_WaitAnyOnly;
    device->lost_event = NEW_EVENT(info, deliver_lost, NULL);
    device->lost_future = schedule(device->lost_event, NEVER);
}

void lose(WGPUDevice device, WGPUDeviceLostReason reason, const char *message) {
    struct event *event = device->lost_event;
    if (!device->closed) {
        device->closed = true;
        gpu_close();
    }
    if (!event) return;
    device->lost_event = NULL;
    event->status = reason;
    event->message = copy_text(text_of(message));
    event->result = device->object.references ? device : NULL;
    happen(event);
}

static void deliver_device(struct event *event) {
    WGPUStringView message = text_of(event->message);
    CALL(event, WGPURequestDeviceCallback, (WGPURequestDeviceStatus)event->status, event->result, message);
}

WGPUFuture wgpuAdapterRequestDevice(WGPUAdapter adapter, WGPUDeviceDescriptor const *asked,
                                    WGPURequestDeviceCallbackInfo info) {
    struct event *event = NEW_EVENT(info, deliver_device, adapter);
    WGPUDevice device = new_device(adapter, asked);
    uint32_t status = GPU_VALIDATION;
    if (device->limits.maxImmediateSize > 0) {
        event->message = copy_text(text_of("the host has no immediates"));
    } else if ((status = open_device(device, asked ? asked->label : (WGPUStringView){0})) != GPU_OK) {
        event->message = failure_message();
    }
    expect_loss(device, asked);
    if (status == GPU_OK) {
        event->status = WGPURequestDeviceStatus_Success;
        event->result = device;
    } else {
        event->status = WGPURequestDeviceStatus_Error;
        device->closed = true; /* it never was open */
        lose(device, WGPUDeviceLostReason_FailedCreation, event->message);
        release(&device->object);
    }
    return schedule(event, 0);
}

void wgpuDeviceDestroy(WGPUDevice device) {
    lose(device, WGPUDeviceLostReason_Destroyed, "the device was destroyed");
}

WGPUFuture wgpuDeviceGetLostFuture(WGPUDevice device) { return device->lost_future; }

WGPUQueue wgpuDeviceGetQueue(WGPUDevice device) {
    retain(&device->object);
    return &device->queue;
}

WGPUStatus wgpuDeviceGetAdapterInfo(WGPUDevice device, WGPUAdapterInfo *info) {
    return wgpuAdapterGetInfo(device->adapter, info);
}

WGPUStatus wgpuDeviceGetLimits(WGPUDevice device, WGPULimits *limits) { return copy_limits(&device->limits, limits); }

void wgpuDeviceGetFeatures(WGPUDevice device, WGPUSupportedFeatures *to) { copy_features(&device->features, to); }

WGPUBool wgpuDeviceHasFeature(WGPUDevice device, WGPUFeatureName feature) {
    return has_feature(&device->features, feature);
}
