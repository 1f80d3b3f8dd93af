/* What the library's files share: objects and their references, the device with its errors, and events. */
#ifndef WHERRY_OBJECT_H
#define WHERRY_OBJECT_H

#include "abi.h"
#include "wire.h"

/* Every object begins with this. */
struct object {
    uint32_t references;
    uint32_t handle; /* of the host; 0 if it knows nothing of it */
    WGPUDevice device;
    uint64_t held_by; /* the number of a recording that holds it */
    void (*free)(struct object *); /* gives back what it has besides itself; may be NULL */
};

/* `size` is that of the whole object, which begins with a `struct object` and is zero otherwise. */
void *new_object(WGPUDevice device, size_t size, void (*free)(struct object *));
void retain(struct object *object);
void release(struct object *object);
uint32_t new_handle(void);

static inline uint32_t handle_of(const void *object) { return object ? ((const struct object *)object)->handle : 0; }

/* Has the host make `object` of a descriptor, which is freed; what goes wrong is told to the device. */
void create(void *object, uint32_t kind, struct bytes *descriptor);
/* An object that nothing but the host knows anything of. */
void *create_plain(WGPUDevice device, uint32_t kind, struct bytes *descriptor);
/* An object that the host does not have: it is invalid wherever it is used. The reason is told to the device. */
void *create_invalid(WGPUDevice device, const char *reason);

#define PLAIN(Name) \
    struct WGPU##Name##Impl { \
        struct object object; \
    }

PLAIN(BindGroup);
PLAIN(BindGroupLayout);
PLAIN(ComputePipeline);
PLAIN(PipelineLayout);
PLAIN(RenderBundle);
PLAIN(RenderPipeline);
PLAIN(Sampler);
PLAIN(ShaderModule);
PLAIN(TextureView);

/* The functions that every kind of object has. Labels are for messages of the host, which takes them when objects are
 * made; later ones change nothing. */
#define REFERENCES(Name) \
    void wgpu##Name##AddRef(WGPU##Name object) { retain((struct object *)object); } \
    void wgpu##Name##Release(WGPU##Name object) { release((struct object *)object); }
#define OBJECT(Name) \
    REFERENCES(Name) \
    void wgpu##Name##SetLabel(WGPU##Name object, WGPUStringView label) { \
        (void)object; \
        (void)label; \
    }

struct WGPUInstanceImpl {
    struct object object;
    bool timed_waits;
};

struct WGPUAdapterImpl {
    struct object object;
    WGPUAdapterInfo info;
    WGPUSupportedFeatures features; /* as all lists of them, with the one that every adapter has in front */
    WGPULimits limits;
};

/* A copy, to be freed. */
void copy_features(const WGPUSupportedFeatures *from, WGPUSupportedFeatures *to);
bool has_feature(const WGPUSupportedFeatures *features, WGPUFeatureName feature);

/* Lives as long as the device, which it is a part of. */
struct WGPUQueueImpl {
    WGPUDevice device;
};

struct error_scope {
    WGPUErrorFilter filter;
    WGPUErrorType type; /* of the first error, if there was one */
    char *message;
};

struct WGPUDeviceImpl {
    struct object object;
    struct WGPUQueueImpl queue;
    WGPUAdapter adapter;
    WGPUSupportedFeatures features;
    WGPULimits limits;
    struct error_scope *scopes;
    size_t scope_count;
    WGPUUncapturedErrorCallbackInfo uncaptured;
    struct event *lost_event; /* until the device is lost */
    WGPUFuture lost_future;
    bool closed; /* the host has forgotten its objects */
    uint64_t submitted; /* the number of the last submission */
};

/* Tells the error scopes, or whoever asked for what they do not take. */
void raise_error(WGPUDevice device, WGPUErrorType type, const char *message);
/* The same of what a host's function returned; nothing if that is no error. */
void raise_status(WGPUDevice device, uint32_t status);
/* The reason of the last failure, to be freed. */
char *failure_message(void);
/* Closes the device, if it is open, and tells whoever asked for it. */
void lose(WGPUDevice device, WGPUDeviceLostReason reason, const char *message);
void free_error_scopes(WGPUDevice device);
/* Whether a part of the stream would be refused is worth asking only if somebody listens. */
static inline bool has_error_scope(WGPUDevice device) { return device->scope_count > 0; }

/* --- Events: what a future stands for --------------------------------------------------------- */

/* An event that happens when nobody knows. */
#define NEVER UINT64_MAX

struct event {
    struct event *next;
    uint64_t id;
    WGPUCallbackMode mode;
    uint64_t submission; /* it happens when this one is done: 0 is done, NEVER is not */
    struct object *object; /* held until it has happened; may be NULL */
    void (*deliver)(struct event *); /* does what there is to do, and calls the program's function */
    void (*callback)(void);
    void *userdata1, *userdata2;
    uint32_t status, type; /* as the kind of event has them */
    char *message; /* freed with it */
    void *result;
};

/* A new event from a callback info, which all have the same fields. */
#define NEW_EVENT(info, deliver, object) \
    new_event((info).mode, (void (*)(void))(info).callback, (info).userdata1, (info).userdata2, deliver, object)
struct event *new_event(WGPUCallbackMode mode, void (*callback)(void), void *userdata1, void *userdata2,
                        void (*deliver)(struct event *), void *object);
/* The event happens when `submission` is done. It may happen within this call, and be gone. */
WGPUFuture schedule(struct event *event, uint64_t submission);
/* An event that was scheduled happens now, whatever it waited for. */
void happen(struct event *event);

/* Calls the program's function, if there is one. */
#define CALL(event, Type, ...) \
    do { \
        if ((event)->callback) ((Type)(event)->callback)(__VA_ARGS__, (event)->userdata1, (event)->userdata2); \
    } while (0)

#endif
