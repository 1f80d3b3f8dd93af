//! `wherry push` is killed at random bytes, and again, and the next one goes on with what got through.

use std::process::Stdio;

use serde_json::Value;
use wherry_tests::{Home, Random};

use crate::proxy::{Fate, Proxy};
use crate::registry_server::RegistryServer;
use crate::second::SecondRegistry;

const MIB: u64 = 1 << 20;
/// After a cut, blobs are sent in steps of so many bytes.
const STEP: u64 = 16 * MIB;
const KILLS: u64 = 3;

/// A home with `team/weights:1.0`, which brings along files of so many MiB.
fn home(files: u64, mib: usize) -> (Home, String) {
    let home = Home::new();
    let mut random = Random::new();
    home.write("project/hello.wasm", wherry_tests::program("hello"));
    let mut text = "name = 'team/weights'\nversion = '1.0'\nmodule = 'hello.wasm'\n".to_owned();
    for file in 0..files {
        let words = std::iter::repeat_with(|| random.below(u64::MAX).to_le_bytes());
        let bytes: Vec<u8> = words.take(mib << 17).flatten().collect();
        home.write(&format!("project/{file}"), bytes);
        text += &format!("[[data]]\npath = '{file}'\nguest = '/{file}'\n");
    }
    home.write("project/workload.toml", text);
    let packed = home.wherry(["pack", "--json", "project"]).expect(0);
    let packed: Value = serde_json::from_slice(&packed.stdout).expect("JSON");
    (
        home,
        packed["digest"].as_str().expect("a digest").to_owned(),
    )
}

/// Kills pushes when they have sent so many bytes, each another number; lets one through, and
/// returns the bytes that this one sent.
fn sent_by_the_last(home: &Home, proxy: &Proxy, range: (u64, u64)) -> u64 {
    let mut random = Random::new();
    let name = proxy.name("team/weights:1.0");
    for _ in 0..KILLS {
        proxy.hold_up_after(range.0 + random.below(range.1 - range.0));
        let mut push = home.command(["push", "team/weights:1.0", &name]);
        let mut push = push.stderr(Stdio::null()).spawn().expect("it starts");
        proxy.wait_until_held();
        push.kill().expect("killed");
        push.wait().expect("it ended");
        proxy.release();
        proxy.wait_until_empty();
    }
    let before = proxy.up();
    home.wherry(["push", "team/weights:1.0", &name]).expect(0);
    proxy.up() - before
}

fn arrives(name: &str, digest: &str) {
    let there = Home::new();
    let pulled = there.wherry(["pull", "--json", name]).expect(0);
    let pulled: Value = serde_json::from_slice(&pulled.stdout).expect("JSON");
    assert_eq!(pulled["digest"], digest);
}

/// docker-registry forgets an upload that was cut inside a request: whole blobs are kept.
#[test]
fn blobs_that_got_through_are_not_sent_again() {
    let Some(registry) = RegistryServer::plain() else {
        return;
    };
    let (home, digest) = home(24, 4);
    let proxy = Proxy::start(&registry.host, |_| Fate::default());
    // Four go side by side: when more than four have been sent, one is through.
    let last = sent_by_the_last(&home, &proxy, (17 * MIB, 24 * MIB));
    assert!(last <= (24 - KILLS) * 4 * MIB + MIB, "{last}");
    // A kill costs no more than the four that were on their way.
    let most = 24 * 4 * MIB + KILLS * 4 * 4 * MIB + MIB;
    assert!(proxy.up() <= most, "{} of {most}", proxy.up());
    arrives(&format!("{}/team/weights:1.0", registry.host), &digest);
}

/// ferro-oci-server keeps the upload, with the steps that were whole.
#[test]
fn a_blob_goes_on_where_the_registry_has_kept_it() {
    let Some(registry) = SecondRegistry::start() else {
        return;
    };
    let (home, digest) = home(1, 64);
    let proxy = Proxy::start(&registry.host, |_| Fate::default());
    let last = sent_by_the_last(&home, &proxy, (STEP + MIB, STEP + 8 * MIB));
    // The first went in one go and was lost; each of the others got a step through.
    assert!(last <= 64 * MIB - (KILLS - 1) * STEP + MIB, "{last}");
    let most = 64 * MIB + STEP + 8 * MIB + (KILLS - 1) * 8 * MIB + 4 * MIB;
    assert!(proxy.up() <= most, "{} of {most}", proxy.up());
    arrives(&registry.name("team/weights:1.0"), &digest);
}
