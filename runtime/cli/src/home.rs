//! Where Wherry keeps things: `store/` for artifacts, `jobs/`, and `cache/` for compiled
//! modules.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use etcetera::BaseStrategy as _;
use wherry_engine::{Engine, EngineConfig, Target};
use wherry_node::JobStore;
use wherry_packager::{PackError, Store, StoreError};

use crate::exit;
use crate::failure::Refusal;

/// The directory of everything that is kept.
#[derive(Clone, Debug)]
pub(crate) struct Home(PathBuf);

impl Home {
    /// The directory that was chosen, or the one that the system has for such data.
    pub(crate) fn find(chosen: Option<PathBuf>) -> anyhow::Result<Self> {
        let directory = match chosen.filter(|chosen| !chosen.as_os_str().is_empty()) {
            Some(directory) => directory,
            None => default_directory()?,
        };
        let directory = std::path::absolute(directory).context("there is no current directory")?;
        Ok(Home(directory))
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.0
    }

    /// The store, made now if there is none.
    pub(crate) fn store(&self) -> anyhow::Result<Store> {
        Ok(Store::open(self.store_directory())?)
    }

    /// The store, if there is one: asking for something makes none.
    pub(crate) fn existing_store(&self) -> anyhow::Result<Option<Store>> {
        self.store_directory()
            .exists()
            .then(|| self.store())
            .transpose()
    }

    /// The store, to look `name` up in it.
    pub(crate) fn store_with(&self, name: &str) -> anyhow::Result<Store> {
        let missing = || StoreError::NotFound {
            name: name.to_owned(),
            similar: Vec::new(),
        };
        Ok(self.existing_store()?.ok_or_else(missing)?)
    }

    /// Adds something to the store. If there is none yet, it is made elsewhere first: what is
    /// refused leaves no store behind.
    pub(crate) fn add_to_store<T>(
        &self,
        add: impl Fn(&Store) -> Result<T, PackError>,
    ) -> anyhow::Result<T> {
        if self.existing_store()?.is_none() {
            fs::create_dir_all(&self.0)
                .with_context(|| format!("cannot create {}", self.0.display()))?;
            let elsewhere = tempfile::tempdir_in(&self.0)?;
            let store = elsewhere.path().join("store");
            let added = add(&Store::open(&store)?)?;
            // Unless another process has made one meanwhile.
            if fs::rename(store, self.store_directory()).is_ok() {
                return Ok(added);
            }
        }
        Ok(add(&self.store()?)?)
    }

    fn store_directory(&self) -> PathBuf {
        self.0.join("store")
    }

    pub(crate) fn jobs(&self) -> JobStore {
        JobStore::new(self.0.join("jobs"))
    }

    /// The directory of compiled modules.
    pub(crate) fn cache(&self) -> PathBuf {
        self.0.join("cache")
    }

    pub(crate) fn engine(&self, target: Target) -> anyhow::Result<Engine> {
        Ok(Engine::new(EngineConfig {
            target,
            cache_dir: Some(self.cache()),
            ..EngineConfig::default()
        })?)
    }
}

fn default_directory() -> anyhow::Result<PathBuf> {
    let strategy = etcetera::choose_base_strategy().map_err(|_| {
        Refusal::new(exit::CONFIG, "there is no home directory to keep things in")
            .hint("choose one with --home DIR or WHERRY_HOME")
    })?;
    Ok(strategy.data_dir().join("wherry"))
}
