//! Loading, replacing, removing and restoring libraries of functions, all or nothing.

use std::rc::Rc;

use crate::base::clock::Clock;
use crate::command::error::CommandError;
use crate::engine::scripts::Scripting;
use crate::scripting::Kind;
use crate::scripting::failure::lossy;
use crate::scripting::functions::{Function, Libraries, Library, RestorePolicy, Taken, error, metadata, run_library};

impl Scripting {
    /// Loads a library; gives its name. With `replaces` it takes the place of one of the same name.
    ///
    /// Errors: its metadata or its code is wrong, or one of the names is taken.
    pub fn load_library(&mut self, clock: &Clock, code: &[u8], replaces: bool) -> Result<Rc<[u8]>, CommandError> {
        let (name, code_start) = metadata(code)?;
        let name: Rc<[u8]> = name.into();
        let old = self.functions.take(&name);
        if let Some(old) = old {
            if !replaces {
                self.functions.put(old);
                return error(format!("Library '{}' already exists", lossy(&name)));
            }
            let loaded = self.add_library(clock, name.clone(), code, code_start);
            match loaded {
                Ok(()) => self.release(old),
                Err(_) => self.functions.put(old),
            }
            return loaded.map(|()| name);
        }
        self.add_library(clock, name.clone(), code, code_start)?;
        Ok(name)
    }

    fn add_library(
        &mut self,
        clock: &Clock,
        name: Rc<[u8]>,
        code: &[u8],
        code_start: usize,
    ) -> Result<(), CommandError> {
        let mut engine = self.take_engine(Kind::Function, clock)?;
        let registered = run_library(&mut engine, clock, name.clone(), &code[code_start..]);
        self.put_engine(Kind::Function, engine);
        let registered = registered?;
        let taken = registered.iter().find(|registration| self.functions.find(&registration.name).is_some());
        let text = taken.map(|taken| format!("Function {} already exists", lossy(&taken.name)));
        let names = registered.iter().map(|registration| registration.name.clone().into());
        let library = Library { code: code.into(), functions: names.collect() };
        let functions: Vec<(Rc<[u8]>, Function)> = registered
            .into_iter()
            .map(|registration| (registration.name.to_ascii_lowercase().into(), registration.function))
            .collect();
        let loaded = Taken { name, library, functions };
        match text {
            None => self.functions.put(loaded),
            Some(text) => {
                self.release(loaded);
                return error(text);
            }
        }
        Ok(())
    }

    /// Lets go of a library's functions in their state.
    fn release(&mut self, library: Taken) {
        if let Some(engine) = &mut self.engines[Kind::Function as usize] {
            for (_, function) in library.functions {
                engine.lua.release(function.reference);
            }
        }
    }

    /// Removes a library; tells whether it was there.
    pub fn delete_library(&mut self, name: &[u8]) -> bool {
        let taken = self.functions.take(name);
        let found = taken.is_some();
        if let Some(taken) = taken {
            self.release(taken);
        }
        found
    }

    /// Removes all libraries, and the state that ran them.
    pub fn flush_functions(&mut self) {
        self.functions = Libraries::new(&self.seed);
        self.engines[Kind::Function as usize] = None;
        self.engine_bytes[Kind::Function as usize] = 0;
    }

    /// Loads several libraries, or none of them.
    ///
    /// Errors: those of `load_library`.
    pub fn restore_libraries(
        &mut self,
        clock: &Clock,
        codes: &[Vec<u8>],
        policy: RestorePolicy,
    ) -> Result<(), CommandError> {
        let mut before = Vec::new();
        let mut added = Vec::new();
        if policy == RestorePolicy::Flush {
            let names: Vec<Rc<[u8]>> = self.functions.libraries.keys().cloned().collect();
            before.extend(names.iter().filter_map(|name| self.functions.take(name)));
        }
        let mut result = Ok(());
        for code in codes {
            result = self.restore_one(clock, code, policy, &mut before, &mut added);
            if result.is_err() {
                break;
            }
        }
        if result.is_err() {
            for name in added {
                self.delete_library(&name);
            }
            before.drain(..).for_each(|old| self.functions.put(old));
        }
        before.into_iter().for_each(|old| self.release(old));
        result
    }

    fn restore_one(
        &mut self,
        clock: &Clock,
        code: &[u8],
        policy: RestorePolicy,
        before: &mut Vec<Taken>,
        added: &mut Vec<Rc<[u8]>>,
    ) -> Result<(), CommandError> {
        let (name, code_start) = metadata(code)?;
        let name: Rc<[u8]> = name.into();
        if self.functions.libraries.contains_key(&name) {
            if policy == RestorePolicy::Append || added.contains(&name) {
                return error(format!("Library {} already exists", lossy(&name)));
            }
            before.extend(self.functions.take(&name));
        }
        self.add_library(clock, name.clone(), code, code_start)?;
        added.push(name);
        Ok(())
    }
}
