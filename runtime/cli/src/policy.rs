//! The node's policy: where it is found, and whether it lets a job run.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use wherry_engine::{Limits, Quota};
use wherry_gpu_host as gpu;
use wherry_node::{Chain, MountRecord, Sensors};
use wherry_packager::{Demands, Digest, Store, WorkloadConfig};
use wherry_policy::{
    Adapter, Amounts, GpuRequest, Grant, Item, Limit, MountRequest, Origin, Policy, Request,
    Verdict, grant,
};
use wherry_trust::{TrustedKeys, Unsigned};

use crate::exit;
use crate::failure::Refusal;
use crate::home::Home;
use crate::origins;
use crate::signatures;

/// Where the operator of a machine puts the policy for everybody.
const OF_THE_MACHINE: &str = "/etc/wherry/policy.toml";

/// Larger than a policy may be.
const MAX_FILE: u64 = (1 << 20) + 1;

/// Which policy jobs run under.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Policy")]
pub(crate) struct PolicyArgs {
    /// What this node grants [default: /etc/wherry/policy.toml or policy.toml in the home; without
    /// one, whatever is asked for on the command line]
    #[arg(
        long,
        value_name = "FILE",
        env = "WHERRY_POLICY",
        hide_env_values = true
    )]
    policy: Option<PathBuf>,
}

/// The policy of this node.
#[derive(Clone, Debug)]
pub(crate) struct NodePolicy {
    pub(crate) policy: Policy,
    /// Its file; none if there is none.
    pub(crate) file: Option<PathBuf>,
    /// SHA-256 of the file as it is.
    pub(crate) digest: Digest,
    signatures: wherry_trust::Policy,
}

impl PolicyArgs {
    /// As if `file` were chosen.
    pub(crate) fn of(file: PathBuf) -> Self {
        PolicyArgs { policy: Some(file) }
    }

    /// Reads the policy that was chosen, or is there.
    pub(crate) fn load(&self, home: &Home) -> anyhow::Result<NodePolicy> {
        let chosen = self
            .policy
            .clone()
            .filter(|file| !file.as_os_str().is_empty());
        let own = home.directory().join(Policy::FILE_NAME);
        let usual = [Path::new(OF_THE_MACHINE), &own];
        let usual = usual.into_iter().find(|file| file.exists());
        match chosen.or_else(|| usual.map(Path::to_owned)) {
            Some(file) => NodePolicy::read(&file),
            None => NodePolicy::own_machine(),
        }
    }
}

impl NodePolicy {
    /// For one's own jobs, where there is no policy.
    pub(crate) fn own_machine() -> anyhow::Result<Self> {
        let policy = Policy::own_machine();
        let text = policy.to_toml();
        Self::new(policy, &text, None)
    }

    /// That of another node, whose keys are not here.
    pub(crate) fn of_another(policy: Policy) -> Self {
        let digest = Digest::of(policy.to_toml().as_bytes());
        NodePolicy {
            policy,
            file: None,
            digest,
            signatures: wherry_trust::Policy::only(&TrustedKeys::default()),
        }
    }

    fn read(file: &Path) -> anyhow::Result<Self> {
        let text = text_of(file)?;
        let policy = Policy::parse(&text).map_err(|error| {
            let message = format!("{} is refused:\n{error}", file.display());
            Refusal::new(exit::BAD_DATA, message)
        })?;
        Self::new(policy, &text, Some(file.to_owned()))
    }

    fn new(policy: Policy, text: &str, file: Option<PathBuf>) -> anyhow::Result<Self> {
        let beside = file
            .as_deref()
            .and_then(Path::parent)
            .unwrap_or(Path::new("."));
        let key = |path: &Path| std::fs::read(beside.join(path));
        let signatures = policy.signatures.clone().load(key).map_err(|error| {
            let name = file.as_deref().unwrap_or(Path::new(Policy::FILE_NAME));
            Refusal::new(exit::CONFIG, format!("{}: {error}", name.display()))
        })?;
        Ok(NodePolicy {
            policy,
            file,
            digest: Digest::of(text.as_bytes()),
            signatures,
        })
    }

    /// Finds out who has signed a workload, and whether it needs a signature. `manifest` is none for
    /// a module in a file.
    pub(crate) fn find_signer(
        &self,
        home: &Home,
        manifest: Option<&Digest>,
        request: &mut Request,
    ) -> anyhow::Result<()> {
        let repository = match &request.origin {
            Origin::Repository(repository) => Some(repository.as_str()),
            _ => None,
        };
        let found = signatures::judge(home, manifest, repository, &self.signatures)?;
        request.signer = found.signer.map(|key| key.to_string());
        request.may_be_unsigned = found.unsigned == Unsigned::Allow;
        Ok(())
    }

    /// Who may have made a checkpoint that a job goes on from: this node, and those that the policy
    /// names.
    pub(crate) fn nodes(&self, home: &Home) -> anyhow::Result<TrustedKeys> {
        origins::with_own(home, self.signatures.checkpoints().keys.clone())
    }

    /// Whoever is believed about an artifact of the store: those who may sign it, and nodes.
    pub(crate) fn signers(
        &self,
        home: &Home,
        store: &Store,
        artifact: &Digest,
    ) -> anyhow::Result<TrustedKeys> {
        let known = signatures::repositories(store, artifact)?;
        let mut keys = self.nodes(home)?;
        for key in self.signatures.workload(&known).keys.iter() {
            keys.add(key.clone());
        }
        Ok(keys)
    }

    /// Whether a job may go on from a checkpoint that came to this node.
    pub(crate) fn check_chain(&self, chain: &Chain) -> anyhow::Result<()> {
        let checked = match self.signatures.checkpoints().unsigned {
            Unsigned::Allow => Ok(()),
            Unsigned::Deny => chain.check(),
        };
        checked.map_err(|error| {
            let message = format!("the policy does not let a job go on from there: {error}");
            let hint = "[signatures.checkpoints] in the policy has the nodes that are believed; `wherry history REF` shows who made a checkpoint";
            Refusal::new(exit::POLICY, message).hint(hint).into()
        })
    }

    /// What a workload asks for, before whoever starts it adds something.
    pub(crate) fn request(&self, origin: Origin, config: &WorkloadConfig, wasm: &[u8]) -> Request {
        let demands = Demands::of(wasm);
        let mut needs = amounts(&config.needs);
        // Without a policy, the engine says what is too little.
        if self.policy.limit(Item::Memory) != Limit::Unlimited {
            let memory = needs.of(Item::Memory).unwrap_or(0).max(demands.memory);
            needs.set(Item::Memory, Some(memory));
        }
        Request {
            origin,
            signer: None,
            may_be_unsigned: false,
            asks: amounts(&config.limits),
            needs,
            mounts: Vec::new(),
            gpu: demands.gpu.then(GpuRequest::default),
        }
    }

    /// Intersects what a job asks for with the policy; an error if it cannot run.
    pub(crate) fn admit(&self, request: &Request) -> anyhow::Result<Grant> {
        let grant = grant(request, &self.policy);
        let refused: Vec<_> = grant
            .refusals()
            .map(|row| {
                let (asked, says) = (&row.request, &row.policy);
                format!(
                    "{}: {} (asked: {asked}, policy: {says})",
                    row.item, row.reason
                )
            })
            .collect();
        if refused.is_empty() {
            return Ok(grant);
        }
        let message = format!(
            "the policy does not let the job run: {}",
            refused.join("; ")
        );
        let hint = "`wherry explain WORKLOAD` shows what is asked for and granted";
        Err(Refusal::new(exit::POLICY, message).hint(hint).into())
    }

    /// Lends what the workload wants and the policy has for it.
    pub(crate) fn lend(&self, mounts: &mut Vec<MountRecord>, config: &WorkloadConfig) {
        for wanted in &config.mounts {
            let guest = Some(wanted.guest.as_str());
            let mut lent = self.policy.mounts.iter();
            let lent = lent.find(|lent| lent.guest.as_deref() == guest);
            if let Some(lent) = lent
                && mounts.iter().all(|mount| mount.guest != wanted.guest)
            {
                mounts.push(MountRecord {
                    host: lent.host.clone(),
                    guest: wanted.guest.clone(),
                    read_only: lent.read_only,
                });
            }
        }
    }

    /// The GPU that a job is lent of what it asks for: no more than is granted.
    pub(crate) fn lend_gpu(
        &self,
        wanted: Option<&gpu::Settings>,
        grant: &Grant,
    ) -> Option<gpu::Settings> {
        let mut lent = wanted.filter(|_| grant.gpu)?.clone();
        lent.adapter.hardware_only = self.policy.adapter == Adapter::Hardware;
        // An operator who writes so has thought of drivers on the CPU.
        lent.adapter.allow_cpu |= self.file.is_some() && self.policy.adapter == Adapter::Any;
        let bytes = grant.limit(Item::GpuMemory).at_most();
        lent.quota.bytes = lent.quota.bytes.min(bytes.unwrap_or(u64::MAX));
        let time = grant.limit(Item::GpuTime).at_most();
        let time = time.map(std::time::Duration::from_millis);
        lent.quota.gpu_time = lent.quota.gpu_time.into_iter().chain(time).min();
        Some(lent)
    }

    /// The smallest step that a job sees its clocks make, in nanoseconds.
    pub(crate) fn clock_resolution(&self) -> u64 {
        u64::try_from(self.policy.clock.as_nanos()).unwrap_or(u64::MAX)
    }

    /// Whether jobs may run now.
    pub(crate) fn check_time(&self) -> anyhow::Result<()> {
        let reasons = Sensors::of_this_machine().unmet(&self.policy.when);
        if reasons.is_empty() {
            return Ok(());
        }
        let message = format!("the policy lets no job run now: {}", reasons.join("; "));
        let hint = "try again later; [when] in the policy decides";
        Err(Refusal::new(exit::NOT_NOW, message).hint(hint).into())
    }

    /// Whether checkpoints may be written in the clear.
    pub(crate) fn check_key(&self, has_key: bool) -> anyhow::Result<()> {
        if has_key || !self.policy.checkpoints.encrypted {
            return Ok(());
        }
        let message = "the policy wants checkpoints to be encrypted, and there is no key";
        Err(Refusal::new(exit::POLICY, message)
            .hint(crate::failure::GIVE_KEY)
            .into())
    }
}

/// The directories that a job has, as a request.
pub(crate) fn mount_requests(mounts: &[MountRecord]) -> Vec<MountRequest> {
    let request = |mount: &MountRecord| MountRequest {
        guest: mount.guest.clone(),
        host: Some(mount.host.clone()),
        read_only: mount.read_only,
        required: true,
    };
    mounts.iter().map(request).collect()
}

/// The directories that a workload wants, as a request.
pub(crate) fn mounts_wanted(config: &WorkloadConfig) -> Vec<MountRequest> {
    let request = |mount: &wherry_packager::Mount| MountRequest {
        guest: mount.guest.clone(),
        host: None,
        read_only: mount.read_only,
        required: mount.required,
    };
    config.mounts.iter().map(request).collect()
}

/// What only may be read according to the grant, only may be read.
pub(crate) fn restrict(mounts: &mut [MountRecord], grant: &Grant) {
    for mount in mounts {
        let mut granted = grant.mounts.iter();
        let granted = granted.find(|granted| granted.guest.as_ref() == Some(&mount.guest));
        mount.read_only |= granted.is_none_or(|granted| granted.read_only);
    }
}

fn amounts(limits: &wherry_packager::Limits) -> Amounts {
    let time = |time: Option<std::time::Duration>| {
        time.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
    };
    Amounts::default()
        .with(Item::Memory, limits.memory)
        .with(Item::CpuTime, time(limits.cpu_time))
        .with(Item::WallTime, time(limits.wall_time))
        .with(Item::Scratch, limits.scratch)
        .with(Item::Files, limits.files)
        .with(Item::Output, limits.output)
        .with(Item::Log, limits.log)
        .with(Item::GpuMemory, limits.gpu_memory)
        .with(Item::GpuTime, time(limits.gpu_time))
}

/// What the engine enforces of a grant.
pub(crate) fn engine_limits(grant: &Grant) -> Limits {
    let amount = |item| grant.limit(item).at_most();
    let time = |item| amount(item).map(std::time::Duration::from_millis);
    Limits {
        memory_bytes: amount(Item::Memory),
        wall: time(Item::WallTime),
        cpu: time(Item::CpuTime),
        quota: Quota {
            scratch_bytes: amount(Item::Scratch),
            files: amount(Item::Files),
            output_bytes: amount(Item::Output),
            log_bytes: amount(Item::Log),
        },
    }
}

/// The text of a policy file.
pub(crate) fn text_of(file: &Path) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    File::open(file)
        .and_then(|file| file.take(MAX_FILE).read_to_end(&mut bytes))
        .with_context(|| format!("the policy {} cannot be read", file.display()))?;
    String::from_utf8(bytes).map_err(|_| {
        let message = format!("{} is refused: it is not UTF-8", file.display());
        Refusal::new(exit::BAD_DATA, message).into()
    })
}

/// How a decision is shown.
pub(crate) fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Granted => "granted",
        Verdict::Reduced => "reduced",
        Verdict::Refused => "REFUSED",
    }
}
