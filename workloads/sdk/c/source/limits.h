/* Limits of adapters and devices. */
#ifndef WHERRY_LIMITS_H
#define WHERRY_LIMITS_H

#include "wire.h"

void take_limits(struct reader *from, WGPULimits *limits);
void put_limits(struct bytes *to, const WGPULimits *limits);
/* For the program, which may ask for those of single stages as well. */
WGPUStatus copy_limits(const WGPULimits *from, WGPULimits *to);
/* What a device that was asked for with `asked`, which may be NULL, will have. */
WGPULimits requested_limits(const WGPULimits *asked);

#endif
