//! Compiles a module in a process of its own, which can be killed, and has no files.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};

use wherry_engine::{CodeRequest, Engine, EngineConfig, Module, Target};
use wherry_sandbox::Requirement;

use super::channel::{receive, send};
use super::confines::{CompilerLimits, of_compiler};
use super::failure::Failure;
use super::message::{Compile, Compiled};
use super::{ITSELF, death};
use crate::Error;

/// What the process is called.
pub(super) const NAME: &str = "wherry-compile";

/// More than a module may have.
pub(super) const MAX_MODULE: u64 = 1 << 30;

/// More code than any module that can be used.
pub(super) const MAX_CODE: u64 = 4 << 30;

/// Compiles modules for jobs.
#[derive(Clone, Debug)]
pub struct Compiler {
    /// What must confine it.
    pub isolation: Requirement,
    /// What it may use.
    pub limits: CompilerLimits,
}

impl Compiler {
    /// The compiled form of a module: from the engine's cache, or made now and kept there.
    ///
    /// # Errors
    /// The module is refused, or takes more than a compiler may use.
    pub fn code(
        &self,
        module: &Module,
        target: Target,
        request: &CodeRequest,
    ) -> Result<Vec<u8>, Error> {
        module.code(request, |way_back| {
            let order = Compile {
                confinement: of_compiler(self.limits, &self.isolation),
                target,
                form: request.form,
                way_back: way_back.cloned(),
            };
            self.compile(module.wasm(), &order)
        })
    }

    fn compile(&self, wasm: &[u8], order: &Compile) -> Result<Vec<u8>, Error> {
        let failed = |source| Error::Process { name: NAME, source };
        let mut child = start().map_err(failed)?;
        let said = exchange(&mut child, order, wasm);
        if !matches!(said, Ok(Some(_))) {
            // It talks nonsense, or no more: in the latter case it has ended already.
            let _ = child.kill();
        }
        let status = child.wait().map_err(failed)?;
        match said {
            Ok(Some((Compiled::Code, code))) => Ok(code),
            Ok(Some((Compiled::Failed(failure), _))) => Err(Error::Failed(failure)),
            Ok(None) | Err(_) => Err(Error::Compiler {
                how: death(status),
                limits: self.limits,
            }),
        }
    }
}

fn start() -> io::Result<Child> {
    Command::new(ITSELF)
        .arg0(NAME)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
}

type Said = Option<(Compiled, Vec<u8>)>;

fn exchange(child: &mut Child, order: &Compile, wasm: &[u8]) -> io::Result<Said> {
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let missing = || io::Error::other("a pipe");
    let sent = send(stdin.ok_or_else(missing)?, order, wasm);
    // Why it could not be sent may be what the process says.
    let said = receive(stdout.ok_or_else(missing)?, MAX_CODE);
    sent.and(said)
}

/// The compiler's process.
pub(super) fn serve(describe: &dyn Fn(&Error) -> Failure) -> io::Result<()> {
    let order = receive::<Compile>(io::stdin().lock(), MAX_MODULE)?;
    let Some((order, wasm)) = order else {
        return Ok(());
    };
    let compiled = order
        .confinement
        .apply()
        .map_err(Error::Confinement)
        .and_then(|_| compile(&order, wasm));
    let stdout = io::stdout().lock();
    match compiled {
        Ok(code) => send(stdout, &Compiled::Code, &code),
        Err(error) => send(stdout, &Compiled::Failed(describe(&error)), &[]),
    }
}

fn compile(order: &Compile, wasm: Vec<u8>) -> Result<Vec<u8>, Error> {
    let config = EngineConfig {
        target: order.target,
        ..EngineConfig::default()
    };
    Ok(Engine::new(config)?
        .load(wasm)
        .compile_code(order.form, order.way_back.as_ref())?)
}
