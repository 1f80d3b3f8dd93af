//! Drivers for GPUs that run on the CPU: two really different ones, between which jobs move.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Home, say_skipped};

/// A driver of this machine.
#[derive(Clone, Debug)]
pub struct Driver {
    /// A part of the adapter's name.
    pub name: &'static str,
    manifest: PathBuf,
}

impl Driver {
    /// lavapipe, of Debian's package `mesa-vulkan-drivers`.
    pub fn lavapipe() -> Option<Self> {
        Self::find("llvmpipe", "lvp_icd")
    }

    /// SwiftShader, out of Debian's package `chromium-common`.
    pub fn swiftshader() -> Option<Self> {
        Self::find("SwiftShader", "vk_swiftshader_icd")
    }

    /// Both of them.
    pub fn both() -> Option<[Self; 2]> {
        Some([Self::lavapipe()?, Self::swiftshader()?])
    }

    /// The driver whose manifest begins so: one that `VK_DRIVER_FILES` names, or that is installed.
    fn find(name: &'static str, manifest: &str) -> Option<Self> {
        let named = std::env::var_os("VK_DRIVER_FILES").unwrap_or_default();
        let installed = std::fs::read_dir("/usr/share/vulkan/icd.d").into_iter();
        let installed = installed.flatten().flatten().map(|entry| entry.path());
        let is_it = |path: &PathBuf| {
            let file = path.file_name().unwrap_or_default().to_string_lossy();
            file.starts_with(manifest) && path.exists()
        };
        let found = std::env::split_paths(&named).chain(installed).find(is_it);
        if found.is_none() {
            say_skipped(&format!("there is no driver {name}: .ci/run installs it"));
        }
        found.map(|manifest| Self { name, manifest })
    }

    /// `wherry VERB --gpu=… ARGUMENTS…` with this driver and no other.
    pub fn command<A: AsRef<OsStr>>(
        &self,
        home: &Home,
        verb: &str,
        arguments: impl IntoIterator<Item = A>,
    ) -> Command {
        let mut command = self.plain(home, verb);
        command.arg(format!("--gpu={}", self.name)).args(arguments);
        command
    }

    /// `wherry VERB` on a machine with this driver and no other, which nobody asks for.
    pub fn plain(&self, home: &Home, verb: &str) -> Command {
        let mut command = home.command([verb]);
        self.choose(&mut command, Path::new(&home.directory()));
        command
    }

    /// Lets a command find this driver, and use it though it may have a defect.
    fn choose(&self, command: &mut Command, runtime: &Path) {
        command.env("VK_DRIVER_FILES", &self.manifest);
        command.env("XDG_RUNTIME_DIR", runtime);
        command.env("WHERRY_GPU_ALLOW_DEFECTS", "1");
    }
}
