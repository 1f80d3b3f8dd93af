/* What webgpu.h has and a host without windows has not: surfaces and external textures. There is never one of them, so
 * that these functions are there for programs to link with, and do nothing. */
#include "object.h"

#include <stdio.h>

WGPUSurface wgpuInstanceCreateSurface(WGPUInstance instance, WGPUSurfaceDescriptor const *descriptor) {
    (void)instance;
    (void)descriptor;
    fputs("webgpu: there are no surfaces here: render to a texture\n", stderr);
    return NULL;
}

void wgpuSurfaceConfigure(WGPUSurface surface, WGPUSurfaceConfiguration const *config) {
    (void)surface;
    (void)config;
}

WGPUStatus wgpuSurfaceGetCapabilities(WGPUSurface surface, WGPUAdapter adapter, WGPUSurfaceCapabilities *capabilities) {
    (void)surface;
    (void)adapter;
    (void)capabilities;
    return WGPUStatus_Error;
}

void wgpuSurfaceGetCurrentTexture(WGPUSurface surface, WGPUSurfaceTexture *to) {
    (void)surface;
    to->texture = NULL;
    to->status = WGPUSurfaceGetCurrentTextureStatus_Error;
}

WGPUStatus wgpuSurfacePresent(WGPUSurface surface) {
    (void)surface;
    return WGPUStatus_Error;
}

void wgpuSurfaceUnconfigure(WGPUSurface surface) { (void)surface; }

void wgpuSurfaceCapabilitiesFreeMembers(WGPUSurfaceCapabilities capabilities) { (void)capabilities; }

void wgpuSurfaceSetLabel(WGPUSurface surface, WGPUStringView label) {
    (void)surface;
    (void)label;
}

void wgpuSurfaceAddRef(WGPUSurface surface) { (void)surface; }

void wgpuSurfaceRelease(WGPUSurface surface) { (void)surface; }

void wgpuExternalTextureSetLabel(WGPUExternalTexture texture, WGPUStringView label) {
    (void)texture;
    (void)label;
}

void wgpuExternalTextureAddRef(WGPUExternalTexture texture) { (void)texture; }

void wgpuExternalTextureRelease(WGPUExternalTexture texture) { (void)texture; }
