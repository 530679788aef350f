//! The guest side of codeact, compiled into the program: the Python modules that run inside the sandbox, and the
//! manifests of the packs. `README.md` describes the ABI between guest and host.

/// The manifest of the pack `science`, as TOML.
pub const SCIENCE: &str = include_str!("packs/science.toml");

/// A WebAssembly module with wrappers of numpy's functions, from `overlays/numpy.wat`.
pub const NUMPY_OVERLAY: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/numpy.wasm"));

/// Source that runs once, while the base image is made. It loads [`MODULES`] and imports the pack's warm list.
pub const BOOT: &str = include_str!("guest/boot.py");

/// Source that runs a turn. It is constant: the guest requests the turn through a host call.
pub const RUN_TURN: &str = "__codeact__()";

macro_rules! module {
    ($name:literal) => {
        (
            concat!("_codeact.", $name),
            include_str!(concat!("guest/", $name, ".py")),
        )
    };
}

/// Name and source of each guest module, in the order in which they are loaded: a module follows those it imports.
pub const MODULES: [(&str, &str); 39] = [
    module!("user_database"),
    module!("unix_compat"),
    module!("scheduler"),
    module!("locks"),
    module!("hints"),
    module!("sources"),
    module!("errors"),
    module!("answer"),
    module!("seeds"),
    module!("wasi_compat"),
    module!("numpy_compat"),
    module!("random_ranges"),
    module!("key_derivation"),
    module!("hostcall"),
    module!("tls"),
    module!("wire"),
    module!("net"),
    module!("net_poll"),
    module!("net_async"),
    module!("event_loop"),
    module!("suspend"),
    module!("thread_calls"),
    module!("threads"),
    module!("thread_pool"),
    module!("unsupported"),
    module!("json_forms"),
    module!("charts"),
    module!("bundles"),
    module!("displays"),
    module!("fonts"),
    module!("notebook"),
    module!("ipython_display"),
    module!("ipython"),
    module!("plots"),
    module!("exit_functions"),
    module!("variables"),
    module!("tools"),
    module!("user_input"),
    module!("turn"),
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn module_names_are_unique() {
        let names: HashSet<_> = MODULES.iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), MODULES.len());
    }

    #[test]
    fn every_module_has_a_docstring() {
        for (name, source) in MODULES {
            assert!(source.starts_with("\"\"\""), "{name}");
        }
    }

    #[test]
    fn modules_follow_the_modules_that_they_import() {
        let mut loaded = HashSet::new();
        for (name, source) in MODULES {
            for imported in imports(source) {
                assert!(
                    loaded.contains(&imported),
                    "{name} imports {imported}, which is not loaded before it"
                );
            }
            loaded.insert(name.to_owned());
        }
    }

    /// Returns the full names of the guest modules that `source` imports.
    fn imports(source: &str) -> Vec<String> {
        let mut found = Vec::new();
        for statement in source.split("\nfrom _codeact").skip(1) {
            let (package, rest) = statement.split_once(" import ").unwrap();
            if let Some(module) = package.strip_prefix('.') {
                found.push(format!("_codeact.{module}"));
                continue;
            }
            let list = match rest.strip_prefix('(') {
                Some(rest) => rest.split_once(')').unwrap().0,
                None => rest.lines().next().unwrap(),
            };
            let names = list.split(',').map(str::trim).filter(|n| !n.is_empty());
            found.extend(names.map(|name| format!("_codeact.{name}")));
        }
        found
    }
}
