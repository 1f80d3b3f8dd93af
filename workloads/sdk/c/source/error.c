/* Errors: what the host refuses comes to the innermost error scope that asks for its kind, else to the program's
 * function for uncaptured errors, else to standard error. */
#include "object.h"

#include <stdio.h>
#include <stdlib.h>

char *failure_message(void) {
    size_t length = gpu_error(NULL, 0);
    uint8_t *record = allocate(length);
    gpu_error(record, length);
    struct reader from = {record, length};
    take_word(&from); /* the status, which is known */
    char *message = (char *)take_text(&from).data;
    free(record);
    return message;
}

static struct error_scope *scope_for(WGPUDevice device, WGPUErrorType type) {
    for (size_t i = device->scope_count; i-- > 0;) {
        struct error_scope *scope = &device->scopes[i];
        bool takes = (scope->filter == WGPUErrorFilter_Validation && type == WGPUErrorType_Validation) ||
                     (scope->filter == WGPUErrorFilter_OutOfMemory && type == WGPUErrorType_OutOfMemory) ||
                     (scope->filter == WGPUErrorFilter_Internal && type == WGPUErrorType_Internal);
        if (takes) return scope;
    }
    return NULL;
}

static void tell_program(WGPUDevice device, WGPUErrorType type, const char *message) {
    WGPUUncapturedErrorCallbackInfo *info = &device->uncaptured;
    if (info->callback) {
        info->callback(&device, type, text_of(message), info->userdata1, info->userdata2);
    } else {
        fprintf(stderr, "webgpu: uncaptured error: %s\n", message);
    }
}

void raise_error(WGPUDevice device, WGPUErrorType type, const char *message) {
    if (!device->lost_event) return; /* a lost device raises no errors */
    struct error_scope *scope = scope_for(device, type);
    if (!scope) {
        tell_program(device, type, message);
    } else if (!scope->message) {
        scope->type = type;
        scope->message = copy_text(text_of(message));
    }
}

static WGPUErrorType type_of(uint32_t status) {
    switch (status) {
    case GPU_VALIDATION: return WGPUErrorType_Validation;
    case GPU_OUT_OF_MEMORY: return WGPUErrorType_OutOfMemory;
    default: return WGPUErrorType_Internal;
    }
}

void raise_status(WGPUDevice device, uint32_t status) {
    if (status == GPU_OK) return;
    char *message = failure_message();
    if (status == GPU_DEVICE_LOST) {
        lose(device, WGPUDeviceLostReason_Unknown, message);
    } else {
        raise_error(device, type_of(status), message);
    }
    free(message);
}

void wgpuDevicePushErrorScope(WGPUDevice device, WGPUErrorFilter filter) {
    size_t size = (device->scope_count + 1) * sizeof *device->scopes;
    struct error_scope *scopes = realloc(device->scopes, size);
    if (!scopes) abort();
    scopes[device->scope_count++] = (struct error_scope){filter, WGPUErrorType_NoError, NULL};
    device->scopes = scopes;
}

static void deliver_scope(struct event *event) {
    WGPUPopErrorScopeStatus status = (WGPUPopErrorScopeStatus)event->status;
    CALL(event, WGPUPopErrorScopeCallback, status, (WGPUErrorType)event->type, text_of(event->message));
}

WGPUFuture wgpuDevicePopErrorScope(WGPUDevice device, WGPUPopErrorScopeCallbackInfo info) {
    struct event *event = NEW_EVENT(info, deliver_scope, device);
    event->type = WGPUErrorType_NoError;
    if (device->scope_count == 0) {
        event->status = WGPUPopErrorScopeStatus_Error;
        event->message = copy_text(text_of("there is no error scope"));
    } else {
        struct error_scope *scope = &device->scopes[--device->scope_count];
        event->status = WGPUPopErrorScopeStatus_Success;
        event->type = scope->type;
        event->message = scope->message;
    }
    return schedule(event, 0);
}

void free_error_scopes(WGPUDevice device) {
    for (size_t i = 0; i < device->scope_count; i++) free(device->scopes[i].message);
    free(device->scopes);
}
