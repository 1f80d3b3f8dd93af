//! What wgpu has and a node has not: surfaces, ray tracing, external textures, pipeline caches. Asking
//! for one is an error that the caller reports; what the program then holds is this.

use wgpu::custom::{
    BlasCompactCallback, BlasInterface, ExternalTextureInterface, PipelineCacheInterface,
    TlasInterface,
};
use wgpu::rwh::{DisplayHandle, HandleError, HasDisplayHandle, HasWindowHandle, WindowHandle};

/// Something that could not be made.
#[derive(Debug)]
pub(crate) struct Absent;

impl ExternalTextureInterface for Absent {
    fn destroy(&self) {}
}

impl PipelineCacheInterface for Absent {
    fn get_data(&self) -> Option<Vec<u8>> {
        None
    }
}

impl TlasInterface for Absent {}

impl BlasInterface for Absent {
    fn prepare_compact_async(&self, callback: BlasCompactCallback) {
        callback(Err(wgpu::BlasAsyncError));
    }

    fn ready_for_compaction(&self) -> bool {
        false
    }
}

/// wgpu's error for a window that cannot be drawn to. It can be made by wgpu alone, so that this
/// asks for the surface of a window that has no handle.
pub(crate) fn no_surface() -> wgpu::CreateSurfaceError {
    match super::instance().create_surface(NoWindow) {
        Err(error) => error,
        Ok(_) => unreachable!("there is no such window"),
    }
}

#[derive(Debug)]
struct NoWindow;

impl HasWindowHandle for NoWindow {
    fn window_handle(&self) -> Result<WindowHandle<'_>, HandleError> {
        Err(HandleError::Unavailable)
    }
}

impl HasDisplayHandle for NoWindow {
    fn display_handle(&self) -> Result<DisplayHandle<'_>, HandleError> {
        Err(HandleError::Unavailable)
    }
}
