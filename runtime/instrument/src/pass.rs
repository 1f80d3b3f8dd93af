//! The pass: read, judge, rewrite each function, assemble.

use std::collections::{BTreeSet, HashMap};

use wasm_encoder::{BranchHints, CodeSection, HeapType};
use wasmparser::FuncValidatorAllocations;

use wherry_snapshot::Slot;

use crate::{
    Error, Instrumented, MAX_SLOTS, Map, Options,
    assemble::{Parts, assemble, drop_segments},
    callgraph::{self, Verdicts},
    function::{Function, SiteId, SiteKind},
    helpers::{Helpers, check_zero, param_slots},
    indices::{Indices, Types},
    liveness,
    map::{Kind, Segments, Site, Type},
    module::{BodyValidators, Module, index},
    nans,
    refusal::function_name,
    rewrite::{rewrite, slots},
    types::all_exact,
};

/// `way_back` are the functions to rewind into, if those are not all.
pub(crate) fn run(
    wasm: &[u8],
    options: Options,
    way_back: Option<&BTreeSet<u32>>,
) -> Result<Instrumented, Error> {
    let (module, validators) = Module::read(wasm)?;
    let verdicts = callgraph::judge(&module)?;
    let segments = Segments::new(module.dropped_data.clone(), module.dropped_elements.clone());
    let (data_segments, element_segments) = segments.flags();
    let indices = Indices::new(&module);
    let mut pass = Pass {
        module: &module,
        way_back,
        verdicts,
        segments,
        helpers: Helpers::new(options, indices, Types::new(&module)),
        code: CodeSection::new(),
        hints: BranchHints::new(),
        map: Map {
            memories: module.memories,
            globals: module.mutable_globals.clone(),
            tables: module
                .tables
                .iter()
                .map(|table| !table.element_type.is_extern_ref())
                .collect(),
            referenced_functions: module.referenced.clone(),
            data_segments,
            element_segments,
            has_start: module.start.is_some(),
            ..Map::default()
        },
        result_types: HashMap::new(),
    };
    pass.bodies(validators)?;
    pass.finish()
}

struct Pass<'m, 'a> {
    module: &'m Module<'a>,
    way_back: Option<&'m BTreeSet<u32>>,
    verdicts: Verdicts,
    segments: Segments,
    helpers: Helpers,
    code: CodeSection,
    hints: BranchHints,
    map: Map,
    /// Result types that dynamic calls expect, with a number each.
    result_types: HashMap<Vec<wasmparser::ValType>, u32>,
}

impl Pass<'_, '_> {
    fn bodies(&mut self, validators: BodyValidators) -> Result<(), Error> {
        let mut allocations = FuncValidatorAllocations::default();
        for (body, validator) in self.module.bodies.iter().zip(validators) {
            let mut function = Function::read(
                self.module,
                &self.verdicts,
                validator,
                &mut allocations,
                body,
            )?;
            let number = function.index;
            let named = |error: Error| {
                error.within(|| function_name(self.module.names.unwrap_or(&[]), number))
            };
            liveness::analyse(&mut function)?;
            let first_site = index(self.map.sites.len());
            for site in 0..function.sites.len() {
                self.record(&function, site).map_err(named)?;
            }
            let resumable = self.can_rewind_into(number);
            let rewritten = rewrite(
                function,
                &mut self.helpers,
                &self.segments,
                first_site,
                resumable,
            )
            .map_err(named)?;
            if !rewritten.hints.is_empty() {
                self.hints.function_hints(number, rewritten.hints);
            }
            self.code.function(&rewritten.body);
        }
        Ok(())
    }

    fn can_rewind_into(&self, function: u32) -> bool {
        let resumable = self.helpers.options.resumable;
        resumable && self.way_back.is_none_or(|into| into.contains(&function))
    }

    /// Enters a site, with the layout of its frame, into the map.
    fn record(&mut self, function: &Function<'_>, id: SiteId) -> Result<(), Error> {
        let site = &function.sites[id];
        let kind = match site.kind {
            SiteKind::Entry | SiteKind::Loop => Kind::Poll,
            SiteKind::Call(callee) => Kind::Call(callee),
            SiteKind::Dynamic => Kind::Dynamic(self.number_of(&site.gives)),
        };
        let slots = slots(function, id)?.into_iter();
        let slots = slots.map(|(slot, ty)| (slot, Type::of(ty))).collect();
        self.record_site(function.index, site.offset, kind, slots)
    }

    fn record_site(
        &mut self,
        function: u32,
        offset: u32,
        kind: Kind,
        mut slots: Vec<(Slot, Type)>,
    ) -> Result<(), Error> {
        slots.sort_by_key(|&(_, ty)| ty);
        self.map.slots.extend(slots);
        if self.map.slots.len() > MAX_SLOTS {
            return Err(Error::TooLarge {
                what: "saved values",
                limit: MAX_SLOTS,
            });
        }
        let slots_end = index(self.map.slots.len());
        self.map.sites.push(Site {
            function,
            offset,
            kind,
            slots_end,
        });
        Ok(())
    }

    /// A number for result types, the same for the same types.
    fn number_of(&mut self, results: &[wasmparser::ValType]) -> u32 {
        let next = index(self.result_types.len());
        *self.result_types.entry(results.to_vec()).or_insert(next)
    }

    fn finish(mut self) -> Result<Instrumented, Error> {
        let mut added_functions = self.trampolines()?;
        let resumers = self.resumers()?;
        let drop = drop_segments(&self.helpers.indices, &self.segments);
        let drop_type = self.helpers.types.function(Vec::new(), Vec::new());
        let drop_segments = self.helpers.add(drop_type, drop);
        let indices = self.helpers.indices;
        let stand_ins = self.helpers.stand_ins();
        let Options {
            unshared_flag,
            canonical_nans,
            ..
        } = self.helpers.options;
        let (types, added) = self.helpers.into_added();
        for (ty, function) in added {
            added_functions.push(ty);
            self.code.function(&function);
        }
        let referenced = self
            .module
            .referenced
            .iter()
            .map(|&function| indices.function(function));
        let parts = Parts {
            indices,
            types,
            code: self.code,
            hints: self.hints,
            added_functions,
            drop_segments,
            unshared_flag,
            referenced: referenced.collect(),
            stand_ins,
            resumers,
        };
        let mut wasm = assemble(self.module, &self.segments, &parts)?;
        if canonical_nans {
            wasm = nans::canonicalise(&wasm, indices.frames)?;
        }
        Ok(Instrumented {
            wasm,
            map: self.map,
        })
    }

    /// One trampoline per imported function; returns their types.
    fn trampolines(&mut self) -> Result<Vec<u32>, Error> {
        let mut types = Vec::new();
        for import in 0..self.module.imported_functions {
            let ty = self.module.function_type(import);
            let site = index(self.map.sites.len());
            let (params, results) = (all_exact(ty.params())?, all_exact(ty.results())?);
            self.record_site(import, 0, Kind::Poll, param_slots(&params))?;
            let body = self.helpers.trampoline(import, &params, &results, site)?;
            types.push(self.module.functions[import as usize]);
            self.code.function(&body);
        }
        Ok(types)
    }

    /// One resumer for each function that a dynamic call, or the host, may have called. A module that
    /// cannot resume has none, but its map names them all the same.
    fn resumers(&mut self) -> Result<Vec<u32>, Error> {
        let mut functions = self.module.referenced.clone();
        functions.extend(&self.module.entries);
        functions.extend(&self.module.tail_called);
        // A call of what tail-calls is dynamic even while the callee runs in its own name.
        let tail_callers = (0..self.module.function_count())
            .filter(|&f| self.verdicts.functions[f as usize].tail_calls);
        functions.extend(tail_callers);
        // What cannot leave has no frames. It may have parameters of which no value can be made.
        functions.retain(|&function| self.verdicts.functions[function as usize].leaves);
        functions.sort_unstable();
        functions.dedup();
        let mut resumers = Vec::new();
        for function in functions {
            let ty = self.module.function_type(function).clone();
            let number = self.number_of(ty.results());
            self.map.resumers.push((function, number));
            let (params, results) = (all_exact(ty.params())?, all_exact(ty.results())?);
            // In every form: what could not be resumed must not be started.
            params
                .iter()
                .chain(&results)
                .copied()
                .try_for_each(check_zero)?;
            if self.can_rewind_into(function) {
                resumers.push(self.helpers.resumer(function, &params, &results)?);
            } else if self.helpers.options.resumable {
                resumers.push(self.helpers.stand_in(HeapType::FUNC)?);
            }
        }
        Ok(resumers)
    }
}
