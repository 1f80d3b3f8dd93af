//! Limits and features of the interface and of wgpu, and which is better.

use wherry_gpu_abi::{Feature, Limits, for_each_limit};

use crate::convert;

/// Whether more or less of it is better.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Better {
    Higher,
    Lower,
}

macro_rules! limits {
    ($($field:ident: $better:ident,)*) => {
        /// As wgpu has them; what the interface does not have is as little as wgpu's default.
        pub(crate) fn to_wgpu(limits: &Limits) -> wgpu::Limits {
            wgpu::Limits {
                $($field: limits.$field,)*
                ..wgpu::Limits::default()
            }
        }

        pub(crate) fn from_wgpu(limits: &wgpu::Limits) -> Limits {
            Limits { $($field: limits.$field,)* }
        }

        /// The better of the two, limit by limit.
        pub(crate) fn best(a: &Limits, b: &Limits) -> Limits {
            Limits { $($field: match Better::$better {
                Better::Higher => a.$field.max(b.$field),
                Better::Lower => a.$field.min(b.$field),
            },)* }
        }

        /// The first limit of `wanted` that is better than in `have`: its name, what is wanted,
        /// and what there is.
        pub(crate) fn lacking(wanted: &Limits, have: &Limits) -> Option<(&'static str, u64, u64)> {
            $(
                let (want, has) = (u64::from(wanted.$field), u64::from(have.$field));
                if (Better::$better == Better::Higher && want > has)
                    || (Better::$better == Better::Lower && want < has)
                {
                    return Some((stringify!($field), want, has));
                }
            )*
            None
        }
    };
}

for_each_limit!(limits);

/// What of the interface's features is among those of wgpu, ascending.
pub(crate) fn features_from_wgpu(features: wgpu::Features) -> Vec<Feature> {
    let known = Feature::ALL.iter().copied();
    known
        .filter(|feature| features.contains(convert::feature(*feature)))
        .collect()
}

pub(crate) fn features_to_wgpu(features: &[Feature]) -> wgpu::Features {
    let features = features.iter().copied().map(convert::feature);
    features.fold(wgpu::Features::empty(), |all, feature| all | feature)
}
