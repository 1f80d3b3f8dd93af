#include "object.h"

#include <stdlib.h>

void *new_object(WGPUDevice device, size_t size, void (*free)(struct object *)) {
    struct object *object = allocate(size);
    object->references = 1;
    object->device = device;
    object->free = free;
    if (device) retain(&device->object);
    return object;
}

void retain(struct object *object) { object->references++; }

void release(struct object *object) {
    if (!object || --object->references > 0) return;
    WGPUDevice device = object->device;
    if (object->free) object->free(object);
    if (object->handle && !device->closed) gpu_drop(object->handle);
    free(object);
    if (device) release(&device->object);
}

uint32_t new_handle(void) {
    static uint32_t last;
    return ++last;
}

void create(void *of, uint32_t kind, struct bytes *descriptor) {
    struct object *object = of;
    end_descriptor(descriptor);
    object->handle = new_handle();
    if (descriptor->refused) {
        raise_error(object->device, WGPUErrorType_Validation, "a descriptor lacks a value, or has flags that do not exist");
    } else if (!object->device->closed) {
        raise_status(object->device, gpu_create(kind, object->handle, descriptor->data, descriptor->length));
    }
    free(descriptor->data);
}

void *create_plain(WGPUDevice device, uint32_t kind, struct bytes *descriptor) {
    struct object *object = new_object(device, sizeof *object, NULL);
    create(object, kind, descriptor);
    return object;
}

void *create_invalid(WGPUDevice device, const char *reason) {
    raise_error(device, WGPUErrorType_Validation, reason);
    return new_object(device, sizeof(struct object), NULL);
}
