/* Events: what futures stand for, and when the program is told of them. All are told from within a call of the program:
 * from the call that makes them if they may come at any time, else from wgpuInstanceProcessEvents or
 * wgpuInstanceWaitAny. */
#include "object.h"

#include <stdlib.h>
#include <time.h>

static struct event *first, **end = &first;
static uint64_t last_id;

struct event *new_event(WGPUCallbackMode mode, void (*callback)(void), void *userdata1, void *userdata2,
                        void (*deliver)(struct event *), void *object) {
    struct event *event = allocate(sizeof *event);
    event->id = ++last_id;
    event->mode = mode;
    event->callback = callback;
    event->userdata1 = userdata1;
    event->userdata2 = userdata2;
    event->deliver = deliver;
    event->object = object;
    if (object) retain(event->object);
    return event;
}

static void deliver(struct event *event) {
    event->deliver(event);
    release(event->object);
    free(event->message);
    free(event);
}

WGPUFuture schedule(struct event *event, uint64_t submission) {
    WGPUFuture future = {event->id};
    event->submission = submission;
    if (submission == 0 && event->mode == WGPUCallbackMode_AllowSpontaneous) {
        deliver(event);
    } else {
        *end = event;
        end = &event->next;
    }
    return future;
}

static void take_out(struct event *event) {
    struct event **at = &first;
    while (*at != event) at = &(*at)->next;
    *at = event->next;
    if (end == &event->next) end = at;
    event->next = NULL;
}

void happen(struct event *event) {
    event->submission = 0;
    if (event->mode == WGPUCallbackMode_AllowSpontaneous) {
        take_out(event);
        deliver(event);
    }
}

/* With the device lost nothing is waited for any more: what was asked for has failed. */
static bool has_happened(struct event *event) {
    if (event->submission == 0) return true;
    if (event->submission == NEVER || gpu_wait(event->submission, 0) == GPU_TIMEOUT) return false;
    event->submission = 0;
    return true;
}

static struct event *find(uint64_t id) {
    struct event *event = first;
    while (event && event->id != id) event = event->next;
    return event;
}

void wgpuInstanceProcessEvents(WGPUInstance instance) {
    (void)instance;
    uint64_t newest = last_id; /* those that the program makes meanwhile wait for the next time */
    struct event *event = first;
    while (event) {
        if (event->id <= newest && event->mode != WGPUCallbackMode_WaitAnyOnly && has_happened(event)) {
            take_out(event);
            deliver(event);
            event = first; /* the program may have done anything */
        } else {
            event = event->next;
        }
    }
}

/* How many have happened. */
static size_t look(size_t count, WGPUFutureWaitInfo *futures) {
    size_t happened = 0;
    for (size_t i = 0; i < count; i++) {
        struct event *event = find(futures[i].future.id);
        futures[i].completed = !event || has_happened(event);
        happened += futures[i].completed;
    }
    return happened;
}

static void wait_for_first(size_t count, WGPUFutureWaitInfo *futures, uint64_t nanoseconds) {
    uint64_t earliest = NEVER;
    for (size_t i = 0; i < count; i++) {
        struct event *event = find(futures[i].future.id);
        if (event->submission < earliest) earliest = event->submission;
    }
    if (earliest != NEVER) {
        gpu_wait(earliest, nanoseconds);
    } else {
        struct timespec time = {(time_t)(nanoseconds / 1000000000), (long)(nanoseconds % 1000000000)};
        nanosleep(&time, NULL);
    }
}

WGPUWaitStatus wgpuInstanceWaitAny(WGPUInstance instance, size_t count, WGPUFutureWaitInfo *futures,
                                   uint64_t nanoseconds) {
    if (nanoseconds > 0 && !instance->timed_waits) return WGPUWaitStatus_Error;
    if (count == 0) return WGPUWaitStatus_Success;
    if (look(count, futures) == 0) {
        if (nanoseconds > 0) wait_for_first(count, futures, nanoseconds);
        if (look(count, futures) == 0) return WGPUWaitStatus_TimedOut;
    }
    for (size_t i = 0; i < count; i++) {
        struct event *event = futures[i].completed ? find(futures[i].future.id) : NULL;
        if (!event) continue;
        take_out(event);
        deliver(event);
    }
    return WGPUWaitStatus_Success;
}
